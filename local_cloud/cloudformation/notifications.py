"""Topics, queues, rules, permissions and alarms: what the emulator's provisioners leave out or pass over."""

from __future__ import annotations

import json
from collections.abc import Callable, Container
from typing import Any

from ministack.core.arn import parse_arn
from ministack.core.responses import get_account_id
from ministack.services import lambda_svc, sns

from local_cloud.cloudformation.handlers import Handlers, Properties, followed_by, with_checks
from local_cloud.event_targets import SUPPORTED_SERVICES
from local_cloud.refused_values.alarms import alarm_problem
from local_cloud.refused_values.queues import name_problem
from local_cloud.refused_values.rules import check_rule, check_targets
from local_cloud.refused_values.topics import subscription_problem, topic_problem

_MOST_TARGETS = 5  # EventBridge quotas, "Targets per rule"


def permission_handlers(handlers: Handlers) -> Handlers:
    """Return handlers that refuse a permission on a function that does not exist."""

    def check(properties: Properties) -> None:
        function, _config, name = lambda_svc._get_func_record_for_ref(properties.get("FunctionName", ""))
        if function is None:
            raise ValueError(f"Function not found: {name}")

    return with_checks(handlers, before=check)


def queue_handlers(handlers: Handlers) -> Handlers:
    """Return handlers that refuse a name that CreateQueue refuses."""

    def check(properties: Properties) -> None:
        _refuse(name_problem(properties.get("QueueName")))

    return with_checks(handlers, before=check)


def topic_handlers(handlers: Handlers) -> Handlers:
    """Return handlers that check a topic as SNS does, give it AWS's default policy and leave e-mail unconfirmed."""

    def apply(arn: str, old: Properties, new: Properties) -> None:
        attributes = sns._topics[arn]["attributes"]
        if not old:
            attributes["Policy"] = _default_topic_policy(arn)
        if new.get("KmsMasterKeyId"):
            attributes["KmsMasterKeyId"] = new["KmsMasterKeyId"]
        else:
            attributes.pop("KmsMasterKeyId", None)
        _unconfirm_email(sns._topics[arn])

    def check(properties: Properties) -> None:
        _refuse(topic_problem(properties.get("TopicName") or None, str(properties.get("DisplayName", ""))))
        for subscription in properties.get("Subscription") or []:
            _refuse(subscription_problem(subscription))

    return followed_by(with_checks(handlers, before=check), apply=apply)


def subscription_handlers(handlers: Handlers) -> Handlers:
    """Return handlers that refuse a topic that does not exist and leave e-mail to be confirmed by its reader."""

    def check(properties: Properties) -> None:
        if properties.get("TopicArn") not in sns._topics:
            raise ValueError(f"Topic does not exist: {properties.get('TopicArn')}")
        _refuse(subscription_problem(properties))

    def apply(arn: str, _old: Properties, new: Properties) -> None:
        for subscription in sns._topics[new["TopicArn"]]["subscriptions"]:
            if subscription["arn"] == arn:  # GetSubscriptionAttributes answers with these, too
                places = {name: new.get(name, "") for name in ("TopicArn", "Protocol", "Endpoint")}
                subscription["attributes"].update(SubscriptionArn=arn, Owner=get_account_id(), **places)
        _unconfirm_email(sns._topics[new["TopicArn"]])

    return followed_by(with_checks(handlers, before=check), apply=apply)


def attached_policy_handlers(handlers: Handlers, members: str, existing: Callable[[], Container[str]]) -> Handlers:
    """Return handlers of a queue or topic policy that refuse a member that does not exist."""

    def check(properties: Properties) -> None:
        for member in properties.get(members) or []:
            if member not in existing():
                raise ValueError(f"{members}: {member} does not exist")

    return with_checks(handlers, before=check)


def rule_handlers(handlers: Handlers) -> Handlers:
    """Return handlers that check schedule, pattern and targets of a rule as PutRule and PutTargets do."""

    def check(properties: Properties) -> None:
        check_rule(properties)
        targets = properties.get("Targets") or []
        if len(targets) > _MOST_TARGETS:
            raise ValueError(f"a rule takes at most {_MOST_TARGETS} targets, not {len(targets)}")
        for target in targets:
            service = parse_arn(target["Arn"]).service
            if service not in SUPPORTED_SERVICES:
                raise ValueError(
                    f"target {target['Id']}: the local cloud delivers events to {', '.join(SUPPORTED_SERVICES)}, "
                    f"not to {service}"
                )
        check_targets(targets)

    return with_checks(handlers, before=check)


def alarm_handlers(handlers: Handlers) -> Handlers:
    """Return handlers that check an alarm as PutMetricAlarm does, and refuse an action other than a topic."""

    def check(properties: Properties) -> None:
        _refuse(alarm_problem(properties))
        for kind in ("AlarmActions", "OKActions", "InsufficientDataActions"):
            for action in properties.get(kind) or []:
                if parse_arn(action).service != "sns":
                    raise ValueError(f"{kind}: the local cloud knows SNS topics as actions of an alarm, not {action}")

    return with_checks(handlers, before=check)


def _refuse(problem: str | None) -> None:
    if problem:
        raise ValueError(problem)


def _unconfirm_email(topic: dict[str, Any]) -> None:
    """Let a new e-mail subscription wait for its reader; nobody is written to here, so it keeps waiting."""
    for subscription in topic["subscriptions"]:
        if subscription["protocol"].startswith("email") and "PendingConfirmation" not in subscription["attributes"]:
            subscription["confirmed"] = False
            subscription["attributes"]["PendingConfirmation"] = "true"


def _default_topic_policy(arn: str) -> str:
    """https://docs.aws.amazon.com/sns/latest/dg/sns-access-policy-use-cases.html: the owner's account only."""
    statement = {
        "Sid": "__default_statement_ID",
        "Effect": "Allow",
        "Principal": {"AWS": "*"},
        "Action": ["SNS:Publish", "SNS:Subscribe", "SNS:Receive"],
        "Resource": arn,
        "Condition": {"StringEquals": {"AWS:SourceOwner": get_account_id()}},
    }
    return json.dumps({"Version": "2008-10-17", "Id": "__default_policy_ID", "Statement": [statement]})

"""Delivers EventBridge's events to the targets of its rules, with permissions, retries and dead-letter queues.

As AWS does it (https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html): an event that a target
refuses for a missing permission, or whose target does not exist, goes to the target's dead-letter queue at once; any
other failure is retried within the target's retry policy first. A Lambda function takes an event as an asynchronous
invocation: an error of its code is Lambda's to retry, not EventBridge's.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ministack.core.arn import ArnParseError, parse_arn
from ministack.services import eventbridge, lambda_svc

from local_cloud.iam import AccessDeniedError, RoleNotAssumableError, check_allowed, check_trust
from local_cloud.messages import (
    NoSuchTargetError,
    check_service_may_publish,
    check_service_may_send,
    publish_to_topic,
    scope_of,
    send_to_queue,
    service_allowed,
)
from local_cloud.spool import Spool

_logger = logging.getLogger(__name__)
_EVENTS = "events.amazonaws.com"
_DEFAULT_ATTEMPTS = 185
_DEFAULT_AGE_SECONDS = 24 * 3600
SUPPORTED_SERVICES = ("lambda", "states", "sqs", "sns")

InvokeAsync = Callable[[Mapping[str, Any], Any], None]
StartExecution = Callable[[str, str], object]


class EventTargets:
    """Hands events to the targets of rules, in the background.

    ``invoke_async(function record, event)`` queues an asynchronous invocation; ``start_execution(state machine ARN,
    input JSON)`` starts an execution. ``retry_seconds`` is the wait before the first retry; it doubles up to a minute.
    ``spool`` keeps the events for the next cloud, should this one be killed.
    """

    def __init__(
        self,
        invoke_async: InvokeAsync,
        start_execution: StartExecution,
        retry_seconds: float = 1.0,
        spool: Spool | None = None,
    ) -> None:
        self._spool = Spool() if spool is None else spool
        self._invoke_async = invoke_async
        self._start_execution = start_execution
        self._retry_seconds = retry_seconds
        self._pool = ThreadPoolExecutor(max_workers=8, thread_name_prefix="event-target")
        self._closing = threading.Event()

    def deliver(self, account: str, region: str, rule: Mapping[str, Any], event: dict[str, Any]) -> None:
        """Deliver an event to every target of a rule; returns at once."""
        key = eventbridge._rule_key(rule["Name"], rule.get("EventBusName", "default"))
        for target in list(eventbridge._targets._data.get((account, region, key), [])):
            self._submit(account, region, rule, target, event)

    def recover(self) -> None:
        """Deliver the events that an earlier cloud left in the spool."""
        for ticket, kept in self._spool.waiting():
            self._pool.submit(self._deliver_kept, ticket, kept)

    def install(self) -> None:
        """Deliver the events that match a rule's pattern here, too, instead of by the emulator."""

        def invoke_target(target: Mapping[str, Any], event: Any, rule: Mapping[str, Any], view: Any = None) -> None:
            seen = (view or eventbridge._pattern_event_view(event)).event_with_detail()
            self._submit(event["Account"], event["Region"], rule, target, seen)

        eventbridge._invoke_target = invoke_target

    def close(self) -> None:
        """Stop delivering; what is not delivered stays in the spool."""
        self._closing.set()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _submit(
        self, account: str, region: str, rule: Mapping[str, Any], target: Mapping[str, Any], event: dict[str, Any]
    ) -> None:
        kept: dict[str, Any] = {"account": account, "region": region, "started": time.time()}
        kept.update(rule=dict(rule), target=dict(target), event=event)
        self._pool.submit(self._deliver_kept, self._spool.put(kept), kept)

    def _deliver_kept(self, ticket: str, kept: Mapping[str, Any]) -> None:
        dealt_with = True
        try:
            dealt_with = self._deliver(**kept)
        finally:
            if dealt_with:
                self._spool.flush()
                self._spool.done(ticket)

    def _deliver(
        self,
        account: str,
        region: str,
        rule: Mapping[str, Any],
        target: Mapping[str, Any],
        event: dict[str, Any],
        started: float,
    ) -> bool:
        """Deliver until it has gone well or for the last time; False where the cloud ends before."""
        policy = target.get("RetryPolicy") or {}
        most = int(policy.get("MaximumRetryAttempts", _DEFAULT_ATTEMPTS))
        deadline = started + float(policy.get("MaximumEventAgeInSeconds", _DEFAULT_AGE_SECONDS))
        retries = 0
        with scope_of(account, region):
            while True:
                try:
                    self._hand_over(rule, target, target_payload(target, event, rule))
                    return True
                except (AccessDeniedError, RoleNotAssumableError) as refused:
                    failure: dict[str, str | int] = {"ERROR_CODE": "NO_PERMISSIONS", "ERROR_MESSAGE": str(refused)}
                    break
                except (NoSuchTargetError, ArnParseError) as missing:
                    failure = {"ERROR_CODE": "NO_RESOURCE", "ERROR_MESSAGE": str(missing)}
                    break
                except Exception as error:
                    _logger.exception("rule %s could not reach its target %s", rule["Name"], target.get("Arn"))
                    failure = {"ERROR_CODE": "SDK_CLIENT_ERROR", "ERROR_MESSAGE": str(error), "RETRY_ATTEMPTS": retries}
                    wait = min(self._retry_seconds * 2**retries, 60.0)
                    if retries >= most:
                        failure["EXHAUSTED_RETRY_CONDITION"] = "MaximumRetryAttempts"
                        break
                    if time.time() + wait > deadline:
                        failure["EXHAUSTED_RETRY_CONDITION"] = "MaximumEventAgeInSeconds"
                        break
                retries += 1
                if self._closing.wait(wait):
                    return False
            self._bury(rule, target, event, failure)
            return True

    def _hand_over(self, rule: Mapping[str, Any], target: Mapping[str, Any], payload: str) -> None:
        arn = parse_arn(target.get("Arn", ""))
        if arn.service == "lambda":
            self._hand_to_function(rule["Arn"], str(arn), payload)
        elif arn.service == "states":
            self._hand_to_state_machine(rule, target, payload)
        elif arn.service == "sqs":
            check_service_may_send(str(arn), service=_EVENTS, source_arn=rule["Arn"])
            send_to_queue(str(arn), payload, group_id=(target.get("SqsParameters") or {}).get("MessageGroupId"))
        elif arn.service == "sns":
            check_service_may_publish(str(arn), service=_EVENTS, source_arn=rule["Arn"])
            publish_to_topic(str(arn), payload)
        else:
            raise NoSuchTargetError(f"{arn}: the local cloud delivers events to {', '.join(SUPPORTED_SERVICES)} only")

    def _hand_to_function(self, rule_arn: str, function_arn: str, payload: str) -> None:
        function, config, _name = lambda_svc._get_func_record_for_ref(function_arn)
        if not function or not config:
            raise NoSuchTargetError(f"function {function_arn} does not exist")
        policy = function.get("policy")
        if not service_allowed(policy, "lambda:InvokeFunction", function_arn, service=_EVENTS, source_arn=rule_arn):
            raise AccessDeniedError(
                f"the policy of function {function_arn} does not allow lambda:InvokeFunction to {_EVENTS} for "
                f"{rule_arn}: add an AWS::Lambda::Permission that does"
            )
        self._invoke_async(lambda_svc._execution_record_for_config(function, config), json.loads(payload))

    def _hand_to_state_machine(self, rule: Mapping[str, Any], target: Mapping[str, Any], payload: str) -> None:
        role = target.get("RoleArn")
        if not role:
            raise AccessDeniedError(f"target {target['Arn']} of rule {rule['Name']} needs a RoleArn to start it with")
        check_trust(role, service=_EVENTS, source_arn=rule["Arn"])
        check_allowed(role, "states:StartExecution", target["Arn"])
        self._start_execution(target["Arn"], payload)

    def _bury(
        self, rule: Mapping[str, Any], target: Mapping[str, Any], event: dict[str, Any], failure: dict[str, str | int]
    ) -> None:
        queue_arn = (target.get("DeadLetterConfig") or {}).get("Arn")
        _logger.error("rule %s did not reach %s: %s", rule["Name"], target.get("Arn"), failure["ERROR_MESSAGE"])
        if not queue_arn:
            return
        try:
            check_service_may_send(queue_arn, service=_EVENTS, source_arn=rule["Arn"])
            places = {"RULE_ARN": rule["Arn"], "TARGET_ARN": target.get("Arn", "")}
            send_to_queue(queue_arn, json.dumps(event), {**places, **failure})
        except (AccessDeniedError, NoSuchTargetError) as problem:
            _logger.error("the event of rule %s is lost: %s", rule["Name"], problem)


def target_payload(target: Mapping[str, Any], event: Mapping[str, Any], rule: Mapping[str, Any]) -> str:
    """Return what a target receives for an event: the whole event, or what its Input… settings make of it."""
    if target.get("InputTransformer"):
        envelope = {name: value for name, value in event.items() if name != "detail"}
        view = eventbridge._EventView(envelope, event.get("detail", {}))
        return str(eventbridge._apply_input_transformer(target["InputTransformer"], rule, view))
    if target.get("Input"):
        return str(target["Input"])
    value: Any = event
    for part in target.get("InputPath", "").strip("$.").split("."):
        if part:
            value = value[part]
    return json.dumps(value)


def put_event(source: str, detail_type: str, detail: Mapping[str, Any], resources: list[str]) -> None:
    """Put an event of an AWS service on the default bus, as the service itself does."""
    eventbridge._ensure_default_bus()
    entry = {"Source": source, "DetailType": detail_type, "Detail": json.dumps(detail), "Resources": resources}
    eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)

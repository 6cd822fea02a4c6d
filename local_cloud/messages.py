"""Messages that AWS services themselves send to queues and topics, with the permissions they need for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from ministack.core import iam_evaluator
from ministack.core.arn import parse_arn
from ministack.core.responses import get_account_id, get_region, set_request_account_id, set_request_region
from ministack.services import sns, sqs

from local_cloud.iam import AccessDeniedError


class NoSuchTargetError(Exception):
    """A queue or topic does not exist."""


@contextmanager
def scope_of(account: str, region: str) -> Iterator[None]:
    """Act inside one account and region: the emulator keeps its resources apart by both."""
    previous = get_account_id(), get_region()
    set_request_account_id(account)
    set_request_region(region)
    try:
        yield
    finally:
        set_request_account_id(previous[0])
        set_request_region(previous[1])


def send_to_queue(
    queue_arn: str, body: str, attributes: Mapping[str, str | int] | None = None, *, group_id: str | None = None
) -> None:
    """Put a message into a queue; permissions are the caller's business. Raises NoSuchTargetError."""
    queue = sqs._queue_by_arn(queue_arn)
    if queue is None:
        raise NoSuchTargetError(f"queue {queue_arn} does not exist")
    request = {"MessageBody": body, "MessageAttributes": _typed(attributes or {})}
    if group_id:
        request["MessageGroupId"] = group_id
    sqs._act_send_message(request, queue["url"])


def publish_to_topic(
    topic_arn: str, body: str, attributes: Mapping[str, str | int] | None = None, *, subject: str = ""
) -> None:
    """Publish a message on a topic; permissions are the caller's business. Raises NoSuchTargetError."""
    if sns.publish_internal(topic_arn, body, subject, message_attributes=_typed(attributes or {})) is None:
        raise NoSuchTargetError(f"topic {topic_arn} does not exist")


def check_service_may_send(queue_arn: str, *, service: str, source_arn: str) -> None:
    """Raise AccessDeniedError unless the queue's policy lets the service principal send for ``source_arn``."""
    if sqs._queue_by_arn(queue_arn) is None:
        raise NoSuchTargetError(f"queue {queue_arn} does not exist")
    if not sqs.queue_policy_allows(queue_arn, service, source_arn, get_account_id()):
        raise AccessDeniedError(
            f"the policy of queue {queue_arn} does not allow sqs:SendMessage to {service} for {source_arn}: "
            "add an AWS::SQS::QueuePolicy that does"
        )


def check_service_may_publish(topic_arn: str, *, service: str, source_arn: str, as_owner: bool = False) -> None:
    """Raise AccessDeniedError unless the topic's policy lets the service principal publish for ``source_arn``."""
    found = sns.topic_policy_for_arn(topic_arn)
    if found is None:
        raise NoSuchTargetError(f"topic {topic_arn} does not exist")
    asks = {"service": service, "source_arn": source_arn}
    if not service_allowed(found[0], "sns:Publish", topic_arn, **asks, as_owner=as_owner):
        raise AccessDeniedError(
            f"the policy of topic {topic_arn} does not allow sns:Publish to {service} for {source_arn}: "
            "add an AWS::SNS::TopicPolicy that does"
        )


def service_allowed(
    policy: object, action: str, resource_arn: str, *, service: str, source_arn: str, as_owner: bool = False
) -> bool:
    """Whether a resource's policy lets a service principal act for ``source_arn``.

    ``as_owner`` sets ``aws:SourceOwner``, too, as the services do that act for a topic's owner.
    """
    account = get_account_id()
    conditions = {"aws:sourcearn": source_arn, "aws:sourceaccount": account}
    if as_owner:
        conditions["aws:sourceowner"] = account
    context = iam_evaluator.EvalContext(
        principal_arn="*",  # the service itself, no principal of the account: "*" matches, an account's ARN does not
        principal_type="Service",
        principal_account="",
        action=action,
        resource_arn=resource_arn,
        region=parse_arn(resource_arn).region,
        service_context=conditions,
    )
    decision = iam_evaluator.evaluate_resource_policy(policy, context, service=service).decision
    return bool(decision == "Allow")


def _typed(attributes: Mapping[str, str | int]) -> dict[str, dict[str, str]]:
    return {
        name: {"DataType": "Number" if isinstance(value, int) else "String", "StringValue": str(value)}
        for name, value in attributes.items()
    }

"""Refuses the policy of a bucket, topic or queue where its service stores it, as that service does on AWS."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ministack.core.responses import get_account_id, get_region
from ministack.services import s3, sns, sqs

from local_cloud.iam.stored_policies import refusal
from local_cloud.policy_language.kinds import BUCKET, QUEUE, TOPIC


def install() -> None:
    """Ask before S3, SNS and SQS store a policy."""
    _install_s3()
    _install_sns()
    for action in ("CreateQueue", "SetQueueAttributes"):
        sqs._HANDLERS[action] = _of_queue(sqs._HANDLERS[action])


def bucket_arn(name: str) -> str:
    """Return a bucket's ARN."""
    return f"arn:aws:s3:::{name}"


def _install_s3() -> None:
    own = s3._put_bucket_policy

    def put_bucket_policy(name: str, body: bytes) -> Any:
        refused = refusal(body, BUCKET, bucket_arn(name)) if name in s3._buckets else None
        return s3._error(BUCKET.code, refused, 400) if refused else own(name, body)

    s3._put_bucket_policy = put_bucket_policy


def _install_sns() -> None:
    created, changed = sns._create_topic, sns._set_topic_attributes

    def create_topic(parameters: Any) -> Any:
        arn = f"arn:aws:sns:{get_region()}:{get_account_id()}:{sns._p(parameters, 'Name')}"
        number, policy = 1, ""
        while name := sns._p(parameters, f"Attributes.entry.{number}.key"):
            policy = sns._p(parameters, f"Attributes.entry.{number}.value") if name == "Policy" else policy
            number += 1
        return _of_topic(policy, arn) or created(parameters)

    def set_topic_attributes(parameters: Any) -> Any:
        policy = sns._p(parameters, "AttributeValue") if sns._p(parameters, "AttributeName") == "Policy" else ""
        return _of_topic(policy, sns._p(parameters, "TopicArn")) or changed(parameters)

    sns._create_topic, sns._set_topic_attributes = create_topic, set_topic_attributes


def _of_topic(policy: str, arn: str) -> Any:
    refused = refusal(policy, TOPIC, arn) if policy else None
    return sns._error(TOPIC.code, refused, 400) if refused else None


def _of_queue(own: Callable[[Any, str], Any]) -> Callable[[Any, str], Any]:
    def handler(request: Any, url: str) -> Any:
        policy = (request.get("Attributes") or {}).get("Policy")
        if policy and (refused := refusal(policy, QUEUE)):
            raise sqs._Err(QUEUE.code, refused)
        return own(request, url)

    return handler

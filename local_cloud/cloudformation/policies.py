"""Policies in a template: what of them the local cloud cannot evaluate, found before anything is created."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from local_cloud.policy_language.kinds import BUCKET, IDENTITY, QUEUE, TOPIC, TRUST
from local_cloud.policy_language.problems import problems

_DOCUMENT = "PolicyDocument"
# Resource type → its policy's property, and the kind of policy that it is.
_DOCUMENTS = {
    "AWS::IAM::Policy": (_DOCUMENT, IDENTITY),
    "AWS::IAM::ManagedPolicy": (_DOCUMENT, IDENTITY),
    "AWS::S3::BucketPolicy": (_DOCUMENT, BUCKET),
    "AWS::SNS::TopicPolicy": (_DOCUMENT, TOPIC),
    "AWS::SQS::QueuePolicy": (_DOCUMENT, QUEUE),
    "AWS::IAM::Role": ("AssumeRolePolicyDocument", TRUST),
}


def policy_problems(type_name: str, properties: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield path and problem for each part of a resource's policies that cannot be evaluated here.

    A policy that would be evaluated otherwise than on AWS must not be deployed: a Deny that is passed over, or an Allow
    that counts too often, is found only there.
    """
    if type_name in _DOCUMENTS:
        name, kind = _DOCUMENTS[type_name]
        for problem in problems(properties.get(name), kind):
            yield name, problem
    if type_name == "AWS::IAM::Role":
        for problem in _trust_problems(properties.get("AssumeRolePolicyDocument")):
            yield "AssumeRolePolicyDocument", problem
        inline = properties.get("Policies")
        for policy in inline if isinstance(inline, list) else []:
            if isinstance(policy, Mapping):
                for problem in problems(policy.get(_DOCUMENT)):
                    yield f"Policies.{policy.get('PolicyName', '?')}", problem


def _trust_problems(document: object) -> Iterator[str]:
    """Say where a trust policy asks for which resource a service assumes the role; only EventBridge's rules tell it."""
    listed = document.get("Statement") if isinstance(document, Mapping) else None
    for statement in listed if isinstance(listed, list) else [listed]:
        if not isinstance(statement, Mapping) or statement.get("Principal") == {"Service": "events.amazonaws.com"}:
            continue
        blocks = statement.get("Condition") or {}
        keys = [key for block in blocks.values() if isinstance(block, Mapping) for key in block]
        if any(key.lower() == "aws:sourcearn" for key in keys):
            yield f"{statement.get('Principal')} does not tell aws:SourceArn here when it assumes a role"

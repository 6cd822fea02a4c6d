"""Which actions and resources the policy of a resource may name; an identity's may name any, known or not.

S3 refuses an action that is none of its own, or that is about no resource of the statement (an object's on a bucket).
SNS wants actions on the policy's own topic, and not all of them by ``sns:*``
(https://docs.aws.amazon.com/sns/latest/dg/sns-access-policy-language-api-permissions-reference.html). A role's trust is
about assuming it, and what belongs to that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from local_cloud.policy_language.authorization import actions_of, matching_actions
from local_cloud.policy_language.conditions import arn_like, like
from local_cloud.policy_language.elements import is_intrinsic, listed
from local_cloud.policy_language.kinds import BUCKET, QUEUE, TOPIC, TRUST, Kind

_BUCKETS = "arn:aws:s3:::"
_ASSUME = ("AssumeRole", "AssumeRoleWithSAML", "AssumeRoleWithWebIdentity", "SetContext", "SetSourceIdentity")
_ASSUMING = frozenset(name.lower() for name in (*_ASSUME, "TagSession"))
# In a topic's default policy, though in no reference; and what SNS has refused, though its API is about a topic:
# https://github.com/hashicorp/terraform/issues/12740, https://github.com/aws/aws-cli/issues/3143
_MORE_OF_A_TOPIC = frozenset({"receive"})
_NOT_OF_A_TOPIC = frozenset({"createtopic", "getsubscriptionattributes", "setsubscriptionattributes"})
_MORE_OF_A_QUEUE = frozenset({"sendmessagebatch", "deletemessagebatch", "changemessagevisibilitybatch"})  # older names


def scope_problems(statement: Mapping[str, Any], kind: Kind, resource: str | None) -> Iterator[str]:
    """Say what of a statement is not the business of the service that keeps the policy."""
    actions = [one for one in listed(statement.get("Action")) if isinstance(one, str) and ":" in one]
    unknown = [action for action in actions if not _in_scope(action, kind)]
    for action in unknown:
        yield kind.said(kind.action, action)
    resources = listed(statement.get("Resource"))
    if resource is not None:
        for named in resources:
            if isinstance(named, str) and not _of(resource, named, kind):
                yield kind.said(kind.resource, f"{named} is not of {resource}")
    if kind is BUCKET and resources and not any(map(is_intrinsic, resources)):
        kinds = frozenset[str]().union(*(_kinds(str(named)) for named in resources))
        for action in actions:
            if action not in unknown and not any(actions_of("s3")[name] & kinds for name in matching_actions(action)):
                yield kind.said("Action does not apply to any resource(s) in statement", action)


def _in_scope(action: str, kind: Kind) -> bool:
    service, _, pattern = action.lower().partition(":")
    if kind is TRUST:
        return service == "sts" and any(like(name, pattern) for name in _ASSUMING)
    if kind is BUCKET:
        return service == "s3" and bool(matching_actions(action))
    if kind is QUEUE:
        return service == "sqs" and (bool(matching_actions(action)) or pattern in _MORE_OF_A_QUEUE)
    if kind is TOPIC:
        of_topics = {name for name, takes in actions_of("sns").items() if takes} - _NOT_OF_A_TOPIC | _MORE_OF_A_TOPIC
        return service == "sns" and pattern != "*" and any(like(name, pattern) for name in of_topics)
    return True


def _of(resource: str, named: str, kind: Kind) -> bool:
    """Whether a statement's resource is what the policy belongs to, or a part of it."""
    if named == "*":
        return True
    if kind is BUCKET:
        return not named.startswith(_BUCKETS) or like(resource, named.partition("/")[0])
    return kind is not TOPIC or arn_like(resource, named)


def _kinds(named: str) -> frozenset[str]:
    """Return whether a resource of S3 stands for buckets, objects or both; what is no bucket's is for S3 to judge."""
    place = named.removeprefix(_BUCKETS)
    if "/" in place and place != named:
        return frozenset({"object"})
    if "*" in place or "?" in place or place == named:
        return frozenset({"bucket", "object"})
    return frozenset({"bucket"})

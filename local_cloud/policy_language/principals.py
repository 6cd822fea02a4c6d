"""Whom a policy may name: the form of a ``Principal``, and the services that AWS knows as one.

IAM User Guide, "AWS JSON policy elements: Principal"
(https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from local_cloud.policy_language.authorization import services
from local_cloud.policy_language.elements import is_intrinsic, listed, statements_of

# An account, an ARN of IAM or STS, a unique ID (AROA…), or a canonical user.
_AWS = re.compile(r"\*|[0-9]{12}|arn:[^:]+:(?:iam|sts)::[^:]+:.+|A[A-Z0-9]{15,}|[0-9a-f]{64}")
_SERVICE = re.compile(r"(?P<name>[a-z0-9._-]+)\.amazonaws\.com(?:\.cn)?", re.IGNORECASE)
# Alexa's skills, and what services name among themselves, end otherwise.
_OTHER_SERVICE = re.compile(r"alexa[a-z0-9._-]*\.amazon\.com|[a-z0-9._-]+\.aws\.internal", re.IGNORECASE)
# AWS publishes no list of its principals. Most are called as the service's actions are (``states``), at the end of what
# is before them (``delivery.logs``); these are not.
_CALLED_OTHERWISE = frozenset(
    {
        "billingconsole",
        "cks",
        "cloudwatch-crossaccount",
        "config-conforms",
        "config-multiaccountsetup",
        "continuousexport",
        "costalerts",
        "deeplens",
        "diode",
        "dms-fleet-advisor",
        "ec2fleet",
        "ec2scheduled",
        "ecs-tasks",
        "edgelambda",
        "eks-connector",
        "eks-fargate",
        "eks-fargate-pods",
        "eks-nodegroup",
        "iotroborunner",
        "iotthingsgraph",
        "jellyfish",
        "lexv2",
        "macie",
        "monitoring",
        "opensearchservice",
        "opsdatasync",
        "pinpoint",
        "replicator",
        "spot",
        "spotfleet",
        "stacksets",
        "tagpolicies",
        "traffic-mirroring",
        "transitgateway",
        "tts",
        "vmie",
        "vpc-flow-logs",
    }
)


def is_service(principal: str) -> bool:
    """Whether a service principal may be one of AWS's."""
    found = _SERVICE.fullmatch(principal)
    if found is None:
        return _OTHER_SERVICE.fullmatch(principal) is not None
    return not _known().isdisjoint(found["name"].lower().split("."))


def invalid_principals(principal: object) -> Iterator[str]:
    """Yield each member of a ``Principal`` that none can be, as IAM writes it: ``"SERVICE":"stats.amazonaws.com"``."""
    if not isinstance(principal, Mapping):
        if principal != "*":
            yield f'"AWS":"{principal}"'
        return
    for name in listed(principal.get("Service")):
        if not is_intrinsic(name) and (not isinstance(name, str) or not is_service(name)):
            yield f'"SERVICE":"{name}"'
    for name in listed(principal.get("AWS")):
        if not is_intrinsic(name) and not _AWS.fullmatch(str(name)):
            yield f'"AWS":"{name}"'


def named_arns(document: object) -> Iterator[str]:
    """Yield the ARNs that a policy's statements name as principals."""
    for statement in statements_of(document):
        principal: Any = statement.get("Principal") if isinstance(statement, Mapping) else None
        for name in listed(principal.get("AWS")) if isinstance(principal, Mapping) else ():
            if isinstance(name, str) and name.startswith("arn:"):
                yield name


@cache
def _known() -> frozenset[str]:
    return services() | _CALLED_OTHERWISE

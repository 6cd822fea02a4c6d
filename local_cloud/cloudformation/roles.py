"""``AWS::IAM::Role`` and policies: documents are validated, managed policies must exist."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from ministack.core import iam_evaluator
from ministack.services import iam

from local_cloud.cloudformation.handlers import Handlers, Properties, with_checks
from local_cloud.policy_language.problems import problems

# What the SAM transform attaches to a function with tracing, and the emulator does not know.
_XRAY_WRITE = "AWSXrayWriteOnlyAccess"
_XRAY_ACTIONS = (
    "xray:PutTraceSegments",
    "xray:PutTelemetryRecords",
    "xray:GetSamplingRules",
    "xray:GetSamplingTargets",
    "xray:GetSamplingStatisticSummaries",
)


def install_managed_policies() -> None:
    """Make known the AWS managed policies that the SAM transform attaches by itself."""
    statement = {"Effect": "Allow", "Action": list(_XRAY_ACTIONS), "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    record = iam._make_aws_managed_record(_XRAY_WRITE, document, "Send traces to X-Ray")
    iam._aws_managed_policies.setdefault(record["Arn"], record)


def resource_policy_handlers(handlers: Handlers) -> Handlers:
    """Return handlers that refuse a resource's policy that cannot be evaluated."""

    def check(properties: Properties) -> None:
        check_resource_document("PolicyDocument", properties.get("PolicyDocument"))

    return with_checks(handlers, before=check)


def role_handlers(handlers: Handlers) -> Handlers:
    """Return handlers that refuse a malformed inline policy and a managed policy that nobody knows."""

    def check(properties: Properties) -> None:
        for policy in properties.get("Policies") or []:
            check_document(policy.get("PolicyName", "?"), policy.get("PolicyDocument"))
        check_resource_document("AssumeRolePolicyDocument", properties.get("AssumeRolePolicyDocument"))
        _check_known(properties.get("ManagedPolicyArns") or [])

    return with_checks(handlers, before=check)


def policy_handlers(handlers: Handlers) -> Handlers:
    """Return handlers that refuse a malformed policy document."""

    def check(properties: Properties) -> None:
        check_document(
            properties.get("PolicyName") or properties.get("ManagedPolicyName") or "?", properties.get("PolicyDocument")
        )

    return with_checks(handlers, before=check)


def check_document(name: str, document: Any) -> None:
    """Raise ValueError for a policy document that IAM would refuse."""
    problem = iam_evaluator.validate_policy_document(document)
    if problem:
        raise ValueError(f"policy {name}: {problem} (MalformedPolicyDocument)")


def check_resource_document(name: str, document: Any) -> None:
    """Raise ValueError for a resource's policy, or a trust policy, that cannot be evaluated."""
    for problem in problems(document, of_resource=True):
        raise ValueError(f"{name}: {problem} (MalformedPolicyDocument)")


def _check_known(policy_arns: Iterable[str]) -> None:
    for arn in policy_arns:
        if not iam.policy_known(arn):
            raise ValueError(
                f"Policy {arn} does not exist or is not attachable. (The local cloud knows the most common AWS managed "
                "policies; write the statements that the role needs as an inline policy.)"
            )

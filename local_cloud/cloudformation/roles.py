"""``AWS::IAM::Role`` and policies: documents are validated, managed policies must exist."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from ministack.core import iam_evaluator
from ministack.services import iam

from local_cloud.cloudformation.handlers import Handlers, Properties, Provisioned, with_checks
from local_cloud.iam.stored_policies import check_inline, check_inline_size, check_managed_size, check_name, refusal
from local_cloud.policy_language.kinds import TRUST, Kind

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


def resource_policy_handlers(handlers: Handlers, kind: Kind, arns: Callable[[Properties], list[str]]) -> Handlers:
    """Return handlers that refuse the policy of a resource that its service refuses; ``arns`` are of the resources.

    A queue's policy is not held against the queue's ARN, so its URL does.
    """

    def check(properties: Properties) -> None:
        for arn in arns(properties):
            _check_stored("PolicyDocument", properties.get("PolicyDocument"), kind, arn)

    return with_checks(handlers, before=check)


def role_handlers(handlers: Handlers) -> Handlers:
    """Return handlers that refuse a malformed trust or inline policy and a managed policy that nobody knows."""

    def check(properties: Properties) -> None:
        inline = properties.get("Policies") or []
        for policy in inline:
            _check_identity(policy.get("PolicyName", ""), policy.get("PolicyDocument"))
        check_inline_size(properties.get("RoleName", ""), (policy.get("PolicyDocument") for policy in inline))
        _check_stored("AssumeRolePolicyDocument", properties.get("AssumeRolePolicyDocument"), TRUST)
        _check_known(properties.get("ManagedPolicyArns") or [])

    return with_checks(handlers, before=check)


def policy_handlers(handlers: Handlers) -> Handlers:
    """Return handlers of ``AWS::IAM::Policy`` that refuse a malformed document, one too long, and nobody's."""
    create, update = handlers["create"], handlers["update"]

    def check(new: Properties, old: Properties) -> None:
        if not any(new.get(name) for name in ("Groups", "Roles", "Users")):
            raise ValueError("At least one of [Groups,Roles,Users] must be non-empty.")
        name, document = new.get("PolicyName", ""), new.get("PolicyDocument")
        _check_identity(name, document)
        for role in new.get("Roles") or []:
            check_inline(role, name, document, instead_of=old.get("PolicyName", ""))

    def checked_create(logical_id: str, properties: Properties, stack_name: str) -> Provisioned:
        check(properties, {})
        made: Provisioned = create(logical_id, properties, stack_name)
        return made

    def checked_update(physical_id: str, old: Properties, new: Properties, *rest: Any) -> Provisioned:
        check(new, old)
        updated: Provisioned = update(physical_id, old, new, *rest)
        return updated

    return {**handlers, "create": checked_create, "update": checked_update}


def managed_policy_handlers(handlers: Handlers) -> Handlers:
    """Return handlers of ``AWS::IAM::ManagedPolicy`` that refuse a malformed document, and roles that do not exist."""

    def check(properties: Properties) -> None:
        document, name = properties.get("PolicyDocument"), properties.get("ManagedPolicyName")
        _check_identity("?" if name is None else name, document, named=name is not None)
        check_managed_size(document)
        for role in properties.get("Roles") or []:
            if role not in iam._roles:
                raise ValueError(f"The role with name {role} cannot be found.")

    return with_checks(handlers, before=check)


def _check_identity(name: str, document: Any, *, named: bool = True) -> None:
    """Raise ValueError for a policy of a role that IAM would refuse."""
    if named:
        check_name(name)
    problem = iam_evaluator.validate_policy_document(document)
    if problem:
        raise ValueError(f"policy {name}: {problem} (MalformedPolicyDocument)")


def _check_stored(name: str, document: Any, kind: Kind, resource: str | None = None) -> None:
    """Raise ValueError for a resource's policy, or a trust policy, that its service would refuse."""
    problem = refusal(document, kind, resource)
    if problem:
        raise ValueError(f"{name}: {problem} ({kind.code})")


def _check_known(policy_arns: Iterable[str]) -> None:
    for arn in policy_arns:
        if not iam.policy_known(arn):
            raise ValueError(
                f"Policy {arn} does not exist or is not attachable. (The local cloud knows the most common AWS managed "
                "policies; write the statements that the role needs as an inline policy.)"
            )

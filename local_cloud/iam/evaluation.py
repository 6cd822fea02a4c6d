"""Decides requests with the statements of policies, in place of the emulator's own evaluator.

The order is IAM's (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html): an
explicit Deny in any policy, then an Allow in one that every boundary and session policy also allows, else an implicit
denial.
Every decision about a role is told to the record, with the statements that allowed it.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

from ministack.core import iam_evaluator
from ministack.services import iam as iam_service

from local_cloud.iam.record import RECORD, Denied
from local_cloud.iam.statements import Statement, matching, statements_of

# The statements of the caller's own policies that allowed what was decided last.
_allowing: ContextVar[tuple[Statement, ...]] = ContextVar("allowing", default=())


def install() -> None:
    """Let the emulator decide with these functions."""
    iam_evaluator.evaluate = evaluate
    iam_evaluator._gather_role_policies = policies_of_role
    _install_enforce()


def policies_of_role(role_name: str, account_id: str) -> list[list[Statement]]:
    """Return the statements of each policy of a role, inline and attached; none for a role that does not exist."""
    role = iam_service._roles.get_scoped(account_id, None, role_name)
    if role is None:
        return []
    documents = dict(role.get("InlinePolicies") or {})
    for arn in role.get("AttachedPolicies") or ():
        documents[arn] = iam_evaluator._resolve_managed_policy_document(arn, account_id)
    found = (statements_of(document, role_name, name) for name, document in documents.items() if document)
    return [statements for statements in found if statements]


def evaluate(context: Any, policies: list[list[Any]], *limits: list[list[Any]]) -> Any:
    """Decide a request: the emulator's ``EvalResult`` with Allow, Deny or ImplicitDeny."""
    layers = [[statement for policy in layer for statement in policy] for layer in (policies, *limits)]
    result = iam_evaluator.EvalResult
    for statements in layers:
        denying = matching(statements, "Deny", context)
        if denying:
            return result("Deny", context.principal_arn, denying[0].sid, "Explicit deny")
    allowing = matching(layers[0], "Allow", context)
    if allowing and all(matching(statements, "Allow", context) for statements in layers[1:]):
        own = tuple(one for one in allowing if getattr(one, "origin", None) is not None)
        if own:
            _allowing.set(own)
        return result("Allow", context.principal_arn, allowing[0].sid, "Explicit allow")
    return result("ImplicitDeny", context.principal_arn, "", "No matching Allow statement")


def decide(context: Any, policies: list[list[Any]], *limits: list[list[Any]]) -> str:
    """Decide a request that a service makes for a role, and record it: Allow, Deny or ImplicitDeny."""
    _allowing.set(())
    decision = str(evaluate(context, policies, *limits).decision)
    if decision == "Allow":
        RECORD.used(_allowing.get(), context.action, context.resource_arn)
    else:
        _record_denial(context.principal_arn, context.action, context.resource_arn, context.service_context, decision)
    return decision


def allows(context: Any, policies: list[list[Any]], *limits: list[list[Any]]) -> bool:
    """Decide what nobody has asked for in so many words, and record it where it is allowed."""
    _allowing.set(())
    allowed = bool(evaluate(context, policies, *limits).decision == "Allow")
    if allowed:
        RECORD.used(_allowing.get(), context.action, context.resource_arn)
    return allowed


def _install_enforce() -> None:
    """Record what the front door decides, and refuse what it would let pass without asking."""
    emulators_own = iam_evaluator.enforce

    def enforce(
        access_key_id: str,
        iam_action: str,
        service: str,
        region: str,
        resource_arn: str = "*",
        service_context: Mapping[str, Any] | None = None,
    ) -> Any:
        if service == "s3" and not access_key_id and iam_evaluator._signed_request.get() is None:
            return _anonymous(iam_action, region, resource_arn, dict(service_context or {}))
        _allowing.set(())
        refused = emulators_own(access_key_id, iam_action, service, region, resource_arn, service_context)
        if refused is None:
            RECORD.used(_allowing.get(), iam_action, resource_arn)
        elif isinstance(refused, iam_evaluator.EvalResult):
            by_resource = bool(refused.resource_policy_arn)
            _record_denial(
                refused.principal_arn,
                iam_action,
                resource_arn,
                service_context or {},
                refused.decision,
                by_resource=by_resource,
            )
        return refused

    iam_evaluator.enforce = enforce


def _anonymous(action: str, region: str, resource_arn: str, keys: dict[str, Any]) -> Any:
    """Decide an unsigned request to S3: only the bucket's policy can allow it, never an identity's."""
    context = iam_evaluator.EvalContext(
        principal_arn="anonymous",
        principal_type="Anonymous",
        principal_account="",
        action=action,
        resource_arn=resource_arn,
        region=region,
        service_context={key.lower(): value for key, value in keys.items()},
    )
    found = iam_evaluator._resource_policy("s3", resource_arn)
    decided = iam_evaluator.evaluate_resource_policy(found[0] if found else None, context)
    return None if decided.decision == "Allow" else decided


def _record_denial(
    principal: str, action: str, resource: str, keys: Mapping[str, Any], decision: str, *, by_resource: bool = False
) -> None:
    RECORD.denied(
        Denied(
            principal=principal,
            action=action,
            resource=resource,
            keys={key: value for key, value in keys.items() if value is not None},
            explicit=decision == "Deny",
            by_resource_policy=by_resource,
        )
    )

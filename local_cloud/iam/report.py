"""The report on permissions: what each role was granted, what of it was used, and what was denied.

It is what ``GET /_local_cloud/permissions`` answers and what ``permissions.json`` in the state directory holds, from
which a cloud that is started again goes on counting. Only the account of the local cloud counts.

The template may say why it grants what a good run does not use, below ``Metadata.Treering.Permissions``: by the
logical ID of the role or the managed policy, then by the statement's Sid, a reason for the whole statement, or one for
an action or for the end of a resource.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from ministack.core import iam_evaluator
from ministack.services import iam as iam_service

from local_cloud.emulator import ACCOUNT_ID, REGION
from local_cloud.iam import evaluation, suggestion
from local_cloud.iam.record import RECORD, Denied, Use, UseKey
from local_cloud.iam.statements import Origin, Statement
from local_cloud.iam.suggestion import Stack
from local_cloud.messages import scope_of
from local_cloud.state_directory import PERMISSIONS_FILE

_logger = logging.getLogger(__name__)
_SAVE_SECONDS = 1.0
_ROLE, _POLICY = "AWS::IAM::Role", "AWS::IAM::ManagedPolicy"
_GONE = ("DELETE_COMPLETE", "ROLLBACK_COMPLETE")


def describe() -> dict[str, Any]:
    """Return as JSON the roles with their statements and uses, and what is denied still with the statements to add."""
    with scope_of(ACCOUNT_ID, REGION):
        stacks = list(_stacks())
        roles = dict(iam_service._roles.items())
        denials = [_denial(one) for one in RECORD.denials() if _still_denied(one, roles, stacks)]
        return {
            "roles": [_role(name, record, stacks) for name, record in sorted(roles.items())],
            "denials": denials,
            "missing": list(_missing(denials)),
            "unknown_reasons": sorted(_unknown_reasons(stacks)),
        }


class Keeper:
    """Keeps the record in the state directory, soon after it changes."""

    def __init__(self, state: Path) -> None:
        self._file = state / PERMISSIONS_FILE
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="permissions", daemon=True)

    def start(self) -> None:
        """Take over what an earlier cloud has recorded, and begin to keep the record."""
        try:
            RECORD.restore(*_read(json.loads(self._file.read_text("utf-8"))))
        except FileNotFoundError:
            pass
        except (ValueError, KeyError, TypeError):
            _logger.exception("%s cannot be read; the use of permissions is counted anew", self._file)
        RECORD.explain = explain
        self._thread.start()

    def close(self) -> None:
        """Keep what has changed last."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)
        self._save()

    def _run(self) -> None:
        while not self._stop.wait(_SAVE_SECONDS):
            if RECORD.changed:
                self._save()

    def _save(self) -> None:
        RECORD.changed = False
        try:
            unfinished = self._file.with_suffix(".tmp")
            unfinished.write_text(json.dumps(describe(), indent=1) + "\n", "utf-8")
            unfinished.replace(self._file)
        except Exception:
            _logger.exception("the use of permissions could not be kept in %s", self._file)


def explain(denied: Denied) -> dict[str, Any]:
    """Say which role of which stack it was, and which statement to add; ``text`` says it to a person."""
    with scope_of(ACCOUNT_ID, REGION):
        stack, logical_id = _place(_stacks(), _ROLE, denied.role) if denied.role else (None, None)
        added = suggestion.statement(denied, stack) if denied.role else None
        advice = suggestion.advice(denied, stack)
    return {
        "stack": stack.name if stack else None,
        "logical_id": logical_id,
        "statement": added,
        "text": f"{advice} Add to its policy:\n{suggestion.as_yaml(added)}" if added else advice,
    }


def _stacks() -> Iterator[Stack]:
    """Yield the stacks that are there: of those that went, too, the emulator keeps the template."""
    from ministack.services import cloudformation  # a second's work, which the start need not wait for

    for name, stack in list(cloudformation._stacks.items()):
        if stack.get("StackStatus") in _GONE:
            continue
        resources = {
            logical_id: (
                resource.get("ResourceType", ""),
                str(resource.get("PhysicalResourceId", "")),
                _arn(resource),
            )
            for logical_id, resource in list((stack.get("_resources") or {}).items())
        }
        metadata = ((stack.get("_template") or {}).get("Metadata") or {}).get("Treering") or {}
        yield Stack(name, resources, metadata)


def _arn(resource: Mapping[str, Any]) -> str:
    physical_id = str(resource.get("PhysicalResourceId", ""))
    if physical_id.startswith("arn:"):
        return physical_id
    return str((resource.get("Attributes") or {}).get("Arn", ""))


def _role(name: str, record: Mapping[str, Any], stacks: Iterable[Stack]) -> dict[str, Any]:
    stack, logical_id = _place(stacks, _ROLE, name)
    return {
        "name": name,
        "arn": record["Arn"],
        "stack": stack.name if stack else None,
        "logical_id": logical_id,
        "trusts": sorted(_trusted(record.get("AssumeRolePolicyDocument") or "{}")),
        "statements": [
            _statement(one, stack, logical_id)
            for policy in evaluation.policies_of_role(name, ACCOUNT_ID)
            for one in policy
        ],
    }


def _statement(one: Statement, stack: Stack | None, role_id: str | None) -> dict[str, Any]:
    assert one.origin is not None  # noqa: S101  policies_of_role says where each stands
    policy_id = stack.logical_id(_POLICY, one.origin.policy) if stack else None
    reasons = _reasons(stack.metadata if stack else {}, policy_id or role_id).get(one.origin.label, {})
    uses = RECORD.uses_of(one.origin)
    return {
        "policy": one.origin.policy,
        "policy_logical_id": policy_id,
        "label": one.origin.label,
        "effect": one.effect,
        "actions": one.actions,
        "not_actions": one.not_actions,
        "resources": one.resources,
        "not_resources": one.not_resources,
        "conditions": one.conditions,
        "reason": reasons if isinstance(reasons, str) else "",
        "reasons": dict(reasons) if isinstance(reasons, Mapping) else {},
        "uses": [
            {"action": action, "resource": resource, "count": use.count, "last": use.last.isoformat()}
            for action, resource, use in uses
        ],
    }


def _denial(denied: Denied) -> dict[str, Any]:
    return {
        "principal": denied.principal,
        "role": denied.role,
        "action": denied.action,
        "resource": denied.resource,
        "keys": dict(denied.keys),
        "explicit": denied.explicit,
        "by_resource_policy": denied.by_resource_policy,
        "count": denied.count,
        "last": denied.last.isoformat(),
        "message": denied.message,
        "stack": denied.remedy.get("stack"),
        "logical_id": denied.remedy.get("logical_id"),
        "statement": denied.remedy.get("statement"),
        "text": denied.remedy.get("text", ""),
    }


def _missing(denials: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield for each role the statements to add, and what was denied for want of them."""
    by_role: dict[str, list[Mapping[str, Any]]] = {}
    for one in denials:
        if one["statement"]:
            by_role.setdefault(one["role"], []).append(one)
    for role, denied in by_role.items():
        added = suggestion.merged(one["statement"] for one in denied)
        yield {
            "role": role,
            "stack": denied[0]["stack"],
            "logical_id": denied[0]["logical_id"],
            "last": max(one["last"] for one in denied),
            "messages": [one["message"] for one in denied],
            "statements": added,
            "yaml": "\n".join(map(suggestion.as_yaml, added)),
        }


def _place(stacks: Iterable[Stack], type_name: str, physical_id: str) -> tuple[Stack | None, str | None]:
    for stack in stacks:
        logical_id = stack.logical_id(type_name, physical_id)
        if logical_id:
            return stack, logical_id
    return None, None


def _reasons(metadata: Mapping[str, Any], owner: str | None) -> Mapping[str, Any]:
    found = ((metadata.get("Permissions") or {}).get(owner) or {}) if owner else {}
    return found if isinstance(found, Mapping) else {}


def _unknown_reasons(stacks: Iterable[Stack]) -> Iterator[str]:
    """Name the reasons that stand beside nothing: the role, the statement or the action is not there (any more)."""
    for stack in stacks:
        granted: dict[tuple[str, str], Statement] = {}
        for logical_id, (kind, physical_id, _arn) in stack.resources.items():
            if kind == _ROLE:
                for policy in evaluation.policies_of_role(physical_id, ACCOUNT_ID):
                    for one in policy:
                        if one.origin is not None:
                            owner = stack.logical_id(_POLICY, one.origin.policy) or logical_id
                            granted[owner, one.origin.label] = one
        for owner, statements in (stack.metadata.get("Permissions") or {}).items():
            for label, reasons in (statements or {}).items():
                where = f"{owner}.{label}"
                if (owner, label) not in granted:
                    yield where
                elif isinstance(reasons, Mapping):
                    yield from (f"{where}.{part}" for part in reasons if not _is_part(granted[owner, label], str(part)))


def _is_part(statement: Statement, part: str) -> bool:
    return part in statement.actions or any(resource.endswith(part) for resource in statement.resources)


def _still_denied(denied: Denied, roles: Mapping[str, Any], stacks: Iterable[Stack]) -> bool:
    """Whether the role's policies of now would deny it, too: what has been granted meanwhile is no news."""
    if denied.role is None:
        return True
    if denied.role in roles:
        return denied.by_resource_policy or _would_be_denied(denied, denied.role)
    if _was_rolled_back(denied.remedy.get("stack")):
        return True  # the role went with the deployment that failed, maybe for this
    successor = _successor(denied, stacks)
    return successor is not None and (denied.by_resource_policy or _would_be_denied(denied, successor))


def _was_rolled_back(stack_name: str | None) -> bool:
    from ministack.services import cloudformation

    stack = cloudformation._stacks.get(stack_name) or {}
    return "ROLLBACK" in stack.get("StackStatus", "")


def _successor(denied: Denied, stacks: Iterable[Stack]) -> str | None:
    """Return the name of the role that is now what the denied one was in its stack; none if there is no such role."""
    stack = next((one for one in stacks if one.name == denied.remedy.get("stack")), None)
    kind, name, _arn = (stack.resources if stack else {}).get(denied.remedy.get("logical_id", ""), ("", "", ""))
    return name if kind == _ROLE else None


def _would_be_denied(denied: Denied, role: str) -> bool:
    """Whether the policies of a role do not allow what was denied."""
    context = iam_evaluator.EvalContext(
        principal_arn=denied.principal,
        principal_type="AssumedRole",
        principal_account=ACCOUNT_ID,
        action=denied.action,
        resource_arn=denied.resource,
        region=REGION,
        service_context={key.lower(): value for key, value in denied.keys.items()},
    )
    policies = evaluation.policies_of_role(role, ACCOUNT_ID)
    return bool(evaluation.evaluate(context, policies).decision != "Allow")


def _trusted(document: str | Mapping[str, Any]) -> Iterator[str]:
    policy = json.loads(document) if isinstance(document, str) else document
    listed = policy.get("Statement") or []
    for statement in listed if isinstance(listed, list) else [listed]:
        principal = statement.get("Principal")
        services = principal.get("Service", []) if isinstance(principal, Mapping) else []
        yield from [services] if isinstance(services, str) else services


def _read(report: Mapping[str, Any]) -> tuple[dict[UseKey, Use], list[Denied]]:
    uses: dict[UseKey, Use] = {}
    for role in report["roles"]:
        for statement in role["statements"]:
            origin = Origin(role["name"], statement["policy"], statement["label"])
            for use in statement["uses"]:
                key = (origin, use["action"], use["resource"])
                uses[key] = Use(use["count"], datetime.fromisoformat(use["last"]))
    denials = [
        Denied(
            principal=one["principal"],
            action=one["action"],
            resource=one["resource"],
            keys=one["keys"],
            explicit=one["explicit"],
            by_resource_policy=one["by_resource_policy"],
            count=one["count"],
            last=datetime.fromisoformat(one["last"]),
            remedy={name: one[name] for name in ("stack", "logical_id", "statement", "text")},
        )
        for one in report["denials"]
    ]
    return uses, denials

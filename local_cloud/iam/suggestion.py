"""The statement that a role lacks, ready for the template: with the names that its resources have there.

What differs from run to run (run IDs, dataset versions, object names) stands as ``*``; a person may want it narrower or
wider.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from local_cloud.iam.record import Denied

_CHANGING = re.compile(r"\d{6,}[0-9a-fA-F-]*|[0-9a-f]{12,}")
# Condition keys that make a grant narrow, with the operator that fits.
_NARROWING = {
    "iam:passedtoservice": "StringEquals",
    "s3:prefix": "StringLike",
    "cloudwatch:namespace": "StringEquals",
}
_SPELLING = {"iam:passedtoservice": "iam:PassedToService"}


@dataclass(frozen=True)
class Stack:
    """A stack's names, logical ID → type, physical ID and ARN (empty for what has none); the template's Metadata."""

    name: str
    resources: Mapping[str, tuple[str, str, str]] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def logical_id(self, type_name: str, physical_id: str) -> str | None:
        """Return the logical ID of a resource; none if it is not of this stack."""
        found = (key for key, (kind, known, _) in self.resources.items() if (kind, known) == (type_name, physical_id))
        return next(found, None)


def statement(denied: Denied, stack: Stack | None) -> dict[str, Any] | None:
    """Return the statement to add, as CloudFormation reads it in JSON; none where a Deny stands in the way."""
    if denied.explicit or denied.by_resource_policy:
        return None
    added: dict[str, Any] = {"Effect": "Allow", "Action": denied.action, "Resource": _resource(denied.resource, stack)}
    conditions: dict[str, dict[str, str]] = {}
    for key, value in denied.keys.items():
        operator = _NARROWING.get(key.lower())
        if operator and isinstance(value, str) and value:
            narrowed = _folder(f"{value.rstrip('/')}/object") if key.lower() == "s3:prefix" else value
            conditions.setdefault(operator, {})[_SPELLING.get(key.lower(), key.lower())] = narrowed
    if conditions:
        added["Condition"] = conditions
    return added


def merged(statements: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the statements with those in one that differ in their action only."""
    found: dict[str, list[dict[str, Any]]] = {}
    for one in statements:
        found.setdefault(json.dumps([one["Resource"], one.get("Condition")]), []).append(one)
    together = []
    for same in found.values():
        actions = list(dict.fromkeys(one["Action"] for one in same))
        together.append({**same[0], "Action": actions[0] if len(actions) == 1 else actions})
    return together


def as_yaml(added: Mapping[str, Any]) -> str:
    """Write a statement as a list's item, with CloudFormation's short forms."""
    action = added["Action"]
    actions = f" {action}" if isinstance(action, str) else "".join(f"\n    - {one}" for one in action)
    lines = [f"- Effect: {added['Effect']}", f"  Action:{actions}", f"  Resource: {_short(added['Resource'])}"]
    for operator, block in added.get("Condition", {}).items():
        pairs = ", ".join(f'{key}: "{value}"' for key, value in block.items())
        lines.append(f"  Condition: {{{operator}: {{{pairs}}}}}")
    return "\n".join(lines)


def advice(denied: Denied, stack: Stack | None) -> str:
    """Say in words what to change, and where."""
    role = denied.role
    logical_id = stack.logical_id("AWS::IAM::Role", role) if stack and role else None
    who = f"the role {logical_id}" if logical_id else f"the role {role}" if role else denied.principal
    if denied.by_resource_policy:
        return f"A Deny statement in the policy of {denied.resource} forbids {denied.action} to {who}: narrow it."
    if denied.explicit:
        return f"A Deny statement of {who} forbids {denied.action} on {denied.resource}: narrow it."
    if role is None:
        return f"{denied.principal} may not call {denied.action}: use the credentials of a role that may."
    return f"{who[0].upper()}{who[1:]} lacks {denied.action}."


def _resource(arn: str, stack: Stack | None) -> Any:
    if not arn.startswith("arn:"):
        return arn or "*"
    arn = re.sub(r":log-stream:.*$", ":*", arn)
    if stack is None:
        return _steady(arn)
    best: tuple[int, Any] | None = None
    for logical_id, (_kind, physical_id, known) in stack.resources.items():
        if not known:
            continue
        is_reference = physical_id == known
        if arn == known:
            return {"Ref": logical_id} if is_reference else {"Fn::GetAtt": [logical_id, "Arn"]}
        if arn.startswith((f"{known}/", f"{known}:")) and (best is None or len(known) > best[0]):
            inner = logical_id if is_reference else f"{logical_id}.Arn"
            best = len(known), {"Fn::Sub": f"${{{inner}}}{_rest(arn, arn[len(known) :])}"}
    if best is not None:
        return best[1]
    _arn, _partition, service, region, account, rest = arn.split(":", 5)
    pseudo = "${AWS::Region}" if region else "", "${AWS::AccountId}" if account else ""
    return {"Fn::Sub": f"arn:${{AWS::Partition}}:{service}:{pseudo[0]}:{pseudo[1]}:{_rest(arn, rest)}"}


def _rest(arn: str, rest: str) -> str:
    """Return the end of an ARN with ``*`` for what changes."""
    if arn.startswith("arn:aws:s3:::") and "/" in rest:
        return _folder(rest)
    return _steady(rest)


def _folder(key: str) -> str:
    """Return the objects that a key stands for: those of its folder, or of the one below a run's or a version's.

    What writes one of them writes the others, too, and would be denied the next one.
    """
    parts = _steady(key).split("/")
    changing = next((index for index, part in enumerate(parts) if "*" in part), len(parts))
    kept = parts[: min(changing + 2, len(parts) - 1)]
    return _steady("/".join([*kept, "*"]))


def _steady(text: str) -> str:
    return re.sub(r"(?:\*/)*\*+$", "*", _CHANGING.sub("*", text))


def _short(resource: Any) -> str:
    if isinstance(resource, str):
        return f'"{resource}"'
    if "Ref" in resource:
        return f"!Ref {resource['Ref']}"
    if "Fn::GetAtt" in resource:
        return f"!GetAtt {'.'.join(resource['Fn::GetAtt'])}"
    return f"!Sub {resource['Fn::Sub']}"

"""The permissions of a cloud's roles: what was granted, what of it was used, what is wrong with it, what was denied."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from cli.cloud import Cloud
from local_cloud.policy_language.authorization import LIMITED_BY_CONDITION, takes_resource


class Missing(BaseModel):
    """What a role lacks: AWS's words for what was denied, and the statements to add, as JSON and as YAML."""

    role: str  # its logical ID in the template, or its name
    messages: list[str]
    statements: list[dict[str, Any]]
    yaml: str


@dataclass(frozen=True)
class Grant:
    """One action of a statement, or of a role's managed policy, and what was made of it."""

    role: str
    statement: str
    action: str
    resources: tuple[str, ...]
    conditions: dict[str, Any]
    count: int
    last: datetime | None
    reason: str  # why it is granted though a good run does not use it


@dataclass(frozen=True)
class Permissions:
    """A cloud's report on the roles of one stack."""

    stack: str
    folder: Path
    running: bool
    grants: tuple[Grant, ...]
    trusts: dict[str, list[str]]  # role → the services that may assume it
    missing: tuple[Missing, ...]
    problems: tuple[str, ...]

    def describe(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "stack": self.stack,
            "folder": str(self.folder),
            "running": self.running,
            "roles": [
                {"role": role, "trusts": trusts, "grants": [_as_json(one) for one in self.grants if one.role == role]}
                for role, trusts in self.trusts.items()
            ],
            "missing": [one.model_dump(mode="json") for one in self.missing],
            "problems": list(self.problems),
        }


def of_report(report: dict[str, Any], stack_name: str, folder: Path, *, running: bool) -> Permissions:
    """The permissions in a cloud's report (see `local_cloud.iam.report`)."""
    roles = [role for role in report["roles"] if role["stack"] == stack_name]
    statements = [(role["logical_id"], one) for role in roles for one in role["statements"]]
    grants = tuple(grant for role, one in statements for grant in _grants(role, one))
    missing = tuple(_missing(one) for one in report["missing"] if one["stack"] == stack_name)
    return Permissions(
        stack=stack_name,
        folder=folder,
        running=running,
        grants=grants,
        trusts={role["logical_id"]: role["trusts"] for role in roles},
        missing=missing,
        problems=tuple(_problems(grants, statements, missing, report["unknown_reasons"])),
    )


def missing_since(cloud: Cloud, since: datetime | None) -> list[Missing]:
    """What roles were denied since then, and what to add to them."""
    return [
        _missing(one)
        for one in cloud.permissions()["missing"]
        if since is None or datetime.fromisoformat(one["last"]) >= since
    ]


def to_add(missing: list[Missing]) -> str:
    """What to add to the template, for a person; empty where nothing is missing."""
    parts = []
    for one in missing:
        indented = "\n".join(f"    {line}" for line in one.yaml.splitlines())
        parts.append(f"Add to the policy of {one.role} in the template, and run again:\n\n{indented}")
    return "\n\n".join(parts)


def _grants(role: str, statement: dict[str, Any]) -> Iterator[Grant]:
    if statement["effect"] != "Allow":
        return
    owner = statement["policy_logical_id"]
    for action in statement["actions"] or ["all but " + ", ".join(statement["not_actions"])]:
        uses = [use for use in statement["uses"] if use["action"] in (action, "*")]
        yield Grant(
            role=role,
            statement=f"{owner}.{statement['label']}" if owner else statement["label"],
            action=action,
            resources=tuple(statement["resources"] or ["all but " + ", ".join(statement["not_resources"])]),
            conditions=statement["conditions"],
            count=sum(use["count"] for use in uses),
            last=max((datetime.fromisoformat(use["last"]) for use in uses), default=None),
            reason=statement["reason"] or statement["reasons"].get(action, ""),
        )


def _problems(
    grants: tuple[Grant, ...],
    statements: list[tuple[str, dict[str, Any]]],
    missing: tuple[Missing, ...],
    unknown_reasons: list[str],
) -> Iterator[str]:
    for lacking in missing:
        yield from lacking.messages
    for grant in grants:
        where = f"{grant.role}, {grant.statement}"
        if not grant.count and not grant.reason:
            yield f"{where}: {grant.action} is granted, but no run has used it, and no reason is given"
        if "*" in grant.resources and _could_be_narrower(grant):
            yield f"{where}: {grant.action} is granted on *, though AWS takes an ARN for it"
    for role, one in statements:
        used = {use["resource"] for use in one["uses"]}
        for resource in one["resources"] if used and one["effect"] == "Allow" else []:
            if resource not in used and not one["reason"] and not resource.endswith(tuple(one["reasons"]) or "\0"):
                yield f"{role}, {one['label']}: granted on {resource}, but no run has used it there"
    for place in unknown_reasons:
        yield f"Metadata.Treering.Permissions.{place}: a reason for what is not granted"


def _could_be_narrower(grant: Grant) -> bool:
    key = LIMITED_BY_CONDITION.get(grant.action.lower())
    limited = key is not None and any(key in (name.lower() for name in block) for block in grant.conditions.values())
    return not limited and takes_resource(grant.action)


def _missing(one: dict[str, Any]) -> Missing:
    return Missing(
        role=one["logical_id"] or one["role"],
        messages=one["messages"],
        statements=one["statements"],
        yaml=one["yaml"],
    )


def _as_json(grant: Grant) -> dict[str, Any]:
    return {
        "statement": grant.statement,
        "action": grant.action,
        "resources": list(grant.resources),
        "conditions": grant.conditions,
        "used": grant.count,
        "last_used": grant.last.isoformat(timespec="seconds") if grant.last else None,
        "reason": grant.reason or None,
    }

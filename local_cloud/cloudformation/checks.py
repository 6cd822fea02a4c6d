"""Holds an expanded template against the table of what the local cloud supports, before anything is created."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from local_cloud.cloudformation.policies import policy_problems
from local_cloud.cloudformation.supported import (
    RESOURCE_ATTRIBUTES,
    RESOURCES,
    UNSUPPORTED_VALUES,
    VALUES_WITHOUT_EFFECT,
    NoEffect,
    Rule,
)


@dataclass(frozen=True)
class Finding:
    """One thing in a template that the local cloud cannot do (``fatal``), or accepts without effect."""

    logical_id: str
    type: str
    path: str
    reason: str
    fatal: bool

    def __str__(self) -> str:
        where = f" {self.path}" if self.path else ""
        return f"{self.logical_id} ({self.type}){where}: {self.reason}"


class UnsupportedTemplateError(ValueError):
    """A template asks for what the local cloud cannot do; names every resource and property."""

    def __init__(self, findings: list[Finding]) -> None:
        self.findings = findings
        listed = "; ".join(str(finding) for finding in findings)
        super().__init__(f"The local cloud does not support this template, and nothing was created: {listed}")


def check(template: Mapping[str, Any], conditions: Mapping[str, bool] | None = None) -> list[Finding]:
    """Return what takes no effect in an expanded template; raise UnsupportedTemplateError for what cannot be done.

    ``conditions`` are the template's conditions, evaluated; a resource whose condition is false does not count.
    """
    findings = list(_findings(template, conditions or {}))
    fatal = [finding for finding in findings if finding.fatal]
    if fatal:
        raise UnsupportedTemplateError(fatal)
    return _summary(findings)


def without_effect(template: Mapping[str, Any]) -> list[Finding]:
    """Return what an expanded template says that takes no effect here, whatever its conditions are."""
    return _summary([finding for finding in _findings(template, {}) if not finding.fatal])


def _summary(findings: list[Finding]) -> list[Finding]:
    """Return one finding for each property of a resource that takes no effect for the same reason."""
    whole = [replace(finding, path=finding.path.partition(".")[0]) for finding in findings]
    return list(dict.fromkeys(whole))


def _findings(template: Mapping[str, Any], conditions: Mapping[str, bool]) -> Iterator[Finding]:
    for logical_id, resource in (template.get("Resources") or {}).items():
        if not conditions.get(resource.get("Condition"), True):
            continue
        type_name = resource.get("Type", "")
        properties = RESOURCES.get(type_name)
        if properties is None:
            yield Finding(logical_id, type_name, "", "this resource type is not supported", fatal=True)
            continue
        for attribute in resource.keys() - RESOURCE_ATTRIBUTES:
            yield Finding(logical_id, type_name, attribute, "this resource attribute is not supported", fatal=True)

        def found(path: str, reason: str, *, fatal: bool, where: tuple[str, str] = (logical_id, type_name)) -> Finding:
            return Finding(where[0], where[1], path, reason, fatal)

        yield from _walk(type_name, resource.get("Properties") or {}, properties, "", conditions, found)
        for path, problem in policy_problems(type_name, resource.get("Properties") or {}):
            yield found(path, problem, fatal=True)


def _walk(
    type_name: str,
    value: Any,
    rule: Rule,
    path: str,
    conditions: Mapping[str, bool],
    found: Callable[..., Finding],
) -> Iterator[Finding]:
    """Compare one value with its rule; lists count as their items, ``Fn::If`` as the branch taken."""
    if isinstance(value, Mapping) and "Fn::If" in value and len(value) == 1:
        condition, if_true, if_false = value["Fn::If"]
        taken = [if_true if conditions[condition] else if_false] if condition in conditions else [if_true, if_false]
        for branch in taken:
            yield from _walk(type_name, branch, rule, path, conditions, found)
        return
    if isinstance(value, list):
        for item in value:
            yield from _walk(type_name, item, rule, path, conditions, found)
        return
    if value == {"Ref": "AWS::NoValue"}:
        return
    if isinstance(rule, NoEffect):
        yield found(path, rule.reason, fatal=False)
    elif isinstance(rule, Mapping):
        if not isinstance(value, Mapping) or _is_function(value):
            return
        for name, below in value.items():
            below_path = f"{path}.{name}" if path else name
            if name in rule:
                yield from _walk(type_name, below, rule[name], below_path, conditions, found)
            else:
                yield found(below_path, "this property is not supported", fatal=True)
    elif isinstance(value, str):
        place = (type_name, path)
        if value in UNSUPPORTED_VALUES.get(place, {}):
            yield found(path, f"{value!r}: {UNSUPPORTED_VALUES[place][value]}", fatal=True)
        if value in VALUES_WITHOUT_EFFECT.get(place, {}):
            yield found(path, f"{value!r}: {VALUES_WITHOUT_EFFECT[place][value]}", fatal=False)


def _is_function(value: Mapping[str, Any]) -> bool:
    return len(value) == 1 and (next(iter(value)) == "Ref" or next(iter(value)).startswith("Fn::"))

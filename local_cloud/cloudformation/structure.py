"""What CloudFormation refuses about a template before it makes anything: sections, names, references.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/template-anatomy.html and, for the wording, what users of
CloudFormation report of its answers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

_SECTIONS = frozenset(
    {
        "AWSTemplateFormatVersion",
        "Description",
        "Metadata",
        "Parameters",
        "Rules",
        "Mappings",
        "Conditions",
        "Transform",
        "Hooks",
        "Resources",
        "Outputs",
        "Globals",
    }
)
_PLACEHOLDER = re.compile(r"\$\{([^!}][^}]*)\}")


def check_structure(template: Mapping[str, Any]) -> None:
    """Raise ValueError, in CloudFormation's words, for the first thing that is wrong with a template's frame."""
    unknown = sorted(template.keys() - _SECTIONS)
    if unknown:
        raise ValueError(f"Invalid template property or properties [{', '.join(unknown)}]")
    resources = template.get("Resources") or {}
    if not resources:
        raise ValueError("Template format error: At least one Resources member must be defined.")
    for name, resource in resources.items():
        if not re.fullmatch("[A-Za-z0-9]+", name):
            raise ValueError(f"Template format error: Resource name {name} is non alphanumeric.")
        if not isinstance(resource, Mapping) or not resource.get("Type"):
            raise ValueError(
                f"Template format error: [/Resources/{name}] Every Resources object must contain a Type member."
            )
    for name, output in (template.get("Outputs") or {}).items():
        if not isinstance(output, Mapping) or output.get("Value") in (None, ""):
            raise ValueError(
                f"Template format error: [/Outputs/{name}] Every Outputs member must contain a Value object"
            )
    _check_references(template, resources)
    _check_conditions(template, resources)
    _check_order(resources)


def _check_references(template: Mapping[str, Any], resources: Mapping[str, Any]) -> None:
    parameters = template.get("Parameters") or {}
    for section, body in (("Resources", resources), ("Outputs", template.get("Outputs") or {})):
        wanted = set(references(body)) | {name for one in body.values() for name in _listed(one.get("DependsOn"))}
        known = resources.keys() | parameters.keys()
        missing = sorted(name for name in wanted if name not in known and "::" not in name)
        if missing:
            raise ValueError(
                f"Template format error: Unresolved resource dependencies [{', '.join(missing)}] in the {section} "
                "block of the template"
            )


def _check_conditions(template: Mapping[str, Any], resources: Mapping[str, Any]) -> None:
    known = template.get("Conditions") or {}
    for section, body in (("Resources", resources), ("Outputs", template.get("Outputs") or {})):
        named = {one["Condition"] for one in body.values() if isinstance(one.get("Condition"), str)}
        missing = sorted((named | set(_conditions_in(body))) - known.keys())
        if missing:
            raise ValueError(
                f"Template format error: Unresolved condition dependency {missing[0]} in the {section} block of the "
                "template"
            )


def _check_order(resources: Mapping[str, Any]) -> None:
    waiting = {
        name: {*references(resource.get("Properties")), *_listed(resource.get("DependsOn"))} & resources.keys()
        for name, resource in resources.items()
    }
    while free := [name for name, needs in waiting.items() if not needs & waiting.keys()]:
        for name in free:
            del waiting[name]
    if waiting:
        raise ValueError(f"Circular dependency between resources: [{', '.join(waiting)}]")


def references(value: Any) -> Iterator[str]:
    """Name what `Ref`, `Fn::GetAtt` and `Fn::Sub` below a value refer to: logical IDs and (pseudo) parameters."""
    if isinstance(value, list):
        for item in value:
            yield from references(item)
    elif isinstance(value, Mapping):
        for key, below in value.items():
            if key == "Ref" and isinstance(below, str) and len(value) == 1:
                yield below
            elif key == "Fn::GetAtt" and len(value) == 1:
                yield str(below[0]) if isinstance(below, list) else str(below).partition(".")[0]
            elif key == "Fn::Sub" and len(value) == 1:
                yield from _substituted(below)
            else:
                yield from references(below)


def _substituted(value: Any) -> Iterator[str]:
    text, own = (value[0], value[1]) if isinstance(value, list) and len(value) == 2 else (value, {})
    for name in _PLACEHOLDER.findall(str(text)):
        if name.strip() not in own:
            yield name.strip().partition(".")[0]
    yield from references(own)


def _conditions_in(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from _conditions_in(item)
    elif isinstance(value, Mapping):
        for key, below in value.items():
            if key == "Fn::If" and isinstance(below, list) and below and isinstance(below[0], str):
                yield below[0]
            yield from _conditions_in(below)


def _listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value or [])

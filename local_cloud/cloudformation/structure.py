"""What CloudFormation refuses about a template before it makes anything: sections, names, references.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/template-anatomy.html and, for the wording, what users of
CloudFormation report of its answers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Set
from typing import Any

#: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/pseudo-parameter-reference.html
PSEUDO_PARAMETERS = frozenset(
    f"AWS::{name}"
    for name in (
        "AccountId",
        "NotificationARNs",
        "NoValue",
        "Partition",
        "Region",
        "StackId",
        "StackName",
        "URLSuffix",
    )
)
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
_PARAMETER_ATTRIBUTES = frozenset(
    {
        "AllowedPattern",
        "AllowedValues",
        "ConstraintDescription",
        "Default",
        "Description",
        "MaxLength",
        "MaxValue",
        "MinLength",
        "MinValue",
        "NoEcho",
        "Type",
    }
)
_PARAMETER_TYPE = re.compile(r"String|Number|CommaDelimitedList|List<(Number|String|AWS::[\w:]+)>|AWS::[\w:<>]+")
_OUTPUT_ATTRIBUTES = frozenset({"Condition", "Description", "Export", "Value"})
#: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-attribute-deletionpolicy.html
_POLICIES = {
    "DeletionPolicy": ("Delete", "Retain", "RetainExceptOnCreate", "Snapshot"),
    "UpdateReplacePolicy": ("Delete", "Retain", "Snapshot"),
}
_PLACEHOLDER = re.compile(r"\$\{([^!}][^}]*)\}")


def check_structure(template: Mapping[str, Any], conditions: Mapping[str, bool]) -> None:
    """Raise ValueError, in CloudFormation's words, for the first thing that is wrong with a template's frame.

    ``conditions`` are the template's conditions, evaluated: what one leaves out cannot be referred to.
    """
    unknown = sorted(template.keys() - _SECTIONS)
    if unknown:
        raise ValueError(f"Invalid template property or properties [{', '.join(unknown)}]")
    if str(template.get("AWSTemplateFormatVersion", "2010-09-09")) != "2010-09-09":
        raise ValueError("Template format error: unsupported value for AWSTemplateFormatVersion.")
    resources = template.get("Resources") or {}
    if not resources:
        raise ValueError("Template format error: At least one Resources member must be defined.")
    _check_parameters(template.get("Parameters") or {}, resources)
    for name, resource in resources.items():
        _check_resource(name, resource)
    _check_outputs(template.get("Outputs") or {}, resources)
    _check_references(template, resources)
    _check_conditions(template, resources)
    _check_what_is_left_out(template, resources, conditions)
    _check_order(resources)


def _check_parameters(parameters: Mapping[str, Any], resources: Mapping[str, Any]) -> None:
    for name, parameter in parameters.items():
        if not re.fullmatch("[A-Za-z0-9]+", str(name)):
            raise ValueError(f"Template format error: Parameter name {name} is non alphanumeric.")
        if not isinstance(parameter, Mapping) or not parameter.get("Type"):
            raise ValueError("Template format error: Every Parameters object must contain a Type member.")
        unknown = sorted(parameter.keys() - _PARAMETER_ATTRIBUTES)
        if unknown:
            raise ValueError(
                f"Invalid template parameter property or properties [{', '.join(unknown)}] of parameter {name}"
            )
        if not _PARAMETER_TYPE.fullmatch(str(parameter["Type"])):
            raise ValueError(f"Template format error: Unrecognized parameter type: {parameter['Type']} of {name}")
    twice = sorted(parameters.keys() & resources.keys())
    if twice:
        raise ValueError(f"Template format error: Parameters and Resources share the name(s) [{', '.join(twice)}]")


def _check_resource(name: str, resource: Any) -> None:
    if not re.fullmatch("[A-Za-z0-9]+", name):
        raise ValueError(f"Template format error: Resource name {name} is non alphanumeric.")
    if not isinstance(resource, Mapping) or not resource.get("Type"):
        raise ValueError(
            f"Template format error: [/Resources/{name}] Every Resources object must contain a Type member."
        )
    for attribute, allowed in _POLICIES.items():
        value = resource.get(attribute, "Delete")
        if isinstance(value, str) and value not in allowed:
            raise ValueError(f"Template format error: Unrecognized {attribute} {value} for resource {name}")
    _check_joins(resource.get("Properties"))


def _check_joins(value: Any) -> None:
    for item in value if isinstance(value, list) else ():
        _check_joins(item)
    if not isinstance(value, Mapping):
        return
    join = value.get("Fn::Join", ["", []])
    if not (isinstance(join, list) and len(join) == 2 and isinstance(join[0], str) and not isinstance(join[1], str)):
        raise ValueError(
            "Template error: every Fn::Join object requires two parameters, (1) a string delimiter and (2) a list of "
            "strings to be joined or a function that returns a list of strings (such as Fn::GetAZs) to be joined."
        )
    for below in value.values():
        _check_joins(below)


def _check_outputs(outputs: Mapping[str, Any], resources: Mapping[str, Any]) -> None:
    exported: list[str] = []
    for name, output in outputs.items():
        if not re.fullmatch("[A-Za-z0-9]+", str(name)):
            raise ValueError(f"Template format error: Output name {name} is non alphanumeric.")
        if not isinstance(output, Mapping) or output.get("Value") in (None, ""):
            raise ValueError(
                f"Template format error: [/Outputs/{name}] Every Outputs member must contain a Value object"
            )
        unknown = sorted(output.keys() - _OUTPUT_ATTRIBUTES)
        if unknown:
            raise ValueError(f"Invalid template output property or properties [{', '.join(unknown)}] of output {name}")
        export = output.get("Export")
        if export is None:
            continue
        if not isinstance(export, Mapping) or not export.get("Name") or len(export) > 1:
            raise ValueError(f"Template format error: [/Outputs/{name}] Every Export member must contain a Name alone")
        depends = sorted(set(references(export)) & resources.keys())
        if depends:
            raise ValueError(
                f"Template format error: Output {name}: the Name of an Export cannot depend on resources "
                f"[{', '.join(depends)}]"
            )
        exported.append(json.dumps(export["Name"], sort_keys=True))
    twice = sorted({name for name in exported if exported.count(name) > 1})
    if twice:
        raise ValueError(
            f"Template format error: Export names must be unique: {', '.join(twice)} is used more than once"
        )


def _check_references(template: Mapping[str, Any], resources: Mapping[str, Any]) -> None:
    parameters = template.get("Parameters") or {}
    known = resources.keys() | parameters.keys() | PSEUDO_PARAMETERS
    for section, body in _blocks(template, resources):
        missing = set(references(body)) - known
        for one in body.values():
            missing |= set(_listed(one.get("DependsOn"))) - resources.keys()
        _refuse_missing(missing, section)
        for name, attribute in _references(body, {}):
            if attribute and name not in resources:
                raise ValueError(f"Template error: instance of Fn::GetAtt references undefined resource {name}")


def _check_what_is_left_out(
    template: Mapping[str, Any], resources: Mapping[str, Any], conditions: Mapping[str, bool]
) -> None:
    """A reference to a resource whose condition is false is one to nothing, unless an `Fn::If` leaves it out too.

    A `DependsOn` of such a resource is let through: what CloudFormation says of it is not known for certain.
    """
    absent = {name for name, resource in resources.items() if not conditions.get(resource.get("Condition"), True)}
    for section, body in _blocks(template, resources):
        present = [one for one in body.values() if conditions.get(one.get("Condition"), True)]
        _refuse_missing(absent & {name for name, _ in _references(present, conditions)}, section)


def _blocks(template: Mapping[str, Any], resources: Mapping[str, Any]) -> tuple[tuple[str, Mapping[str, Any]], ...]:
    return ("Resources", resources), ("Outputs", template.get("Outputs") or {})


def _refuse_missing(missing: set[str], section: str) -> None:
    if missing:
        raise ValueError(
            f"Template format error: Unresolved resource dependencies [{', '.join(sorted(missing))}] in the {section} "
            "block of the template"
        )


def _check_conditions(template: Mapping[str, Any], resources: Mapping[str, Any]) -> None:
    known = template.get("Conditions") or {}
    for section, body in _blocks(template, resources):
        named = {one["Condition"] for one in body.values() if isinstance(one.get("Condition"), str)}
        missing = sorted((named | set(conditions_in(body))) - known.keys())
        if missing:
            raise ValueError(
                f"Template format error: Unresolved condition dependency {missing[0]} in the {section} block of the "
                "template"
            )


def _check_order(resources: Mapping[str, Any]) -> None:
    needs = {
        name: {*references(resource.get("Properties")), *_listed(resource.get("DependsOn"))}
        for name, resource in resources.items()
    }
    if circles := in_circles(needs):
        raise ValueError(f"Circular dependency between resources: [{', '.join(circles)}]")


def in_circles(needs: Mapping[str, Set[str]]) -> list[str]:
    """List the names that need themselves, directly or through others, and those that need such a name.

    `needs` says of each name what it needs; what is no name of the mapping itself is in nobody's way.
    """
    waiting = dict(needs)
    while free := [name for name, needed in waiting.items() if not needed & waiting.keys()]:
        for name in free:
            del waiting[name]
    return list(waiting)


def references(value: Any) -> Iterator[str]:
    """Name what `Ref`, `Fn::GetAtt` and `Fn::Sub` below a value refer to: logical IDs and (pseudo) parameters."""
    for name, _ in _references(value, {}):
        yield name


def _references(value: Any, conditions: Mapping[str, bool]) -> Iterator[tuple[str, bool]]:
    """Each name below a value, and whether it is one of its attributes that is asked for.

    Of an `Fn::If` whose condition is known, the branch taken counts alone.
    """
    if isinstance(value, list):
        for item in value:
            yield from _references(item, conditions)
    elif isinstance(value, Mapping):
        for key, below in value.items():
            if key == "Ref" and isinstance(below, str) and len(value) == 1:
                yield below, False
            elif key == "Fn::GetAtt" and len(value) == 1:
                yield (str(below[0]) if isinstance(below, list) else str(below).partition(".")[0]), True
            elif key == "Fn::Sub" and len(value) == 1:
                yield from _substituted(below, conditions)
            elif key == "Fn::If" and isinstance(below, list) and len(below) == 3 and below[0] in conditions:
                yield from _references(below[1] if conditions[below[0]] else below[2], conditions)
            else:
                yield from _references(below, conditions)


def _substituted(value: Any, conditions: Mapping[str, bool]) -> Iterator[tuple[str, bool]]:
    text, own = (value[0], value[1]) if isinstance(value, list) and len(value) == 2 else (value, {})
    for placeholder in _PLACEHOLDER.findall(str(text)):
        if placeholder.strip() not in own:
            name, _, attribute = placeholder.strip().partition(".")
            yield name, bool(attribute)
    yield from _references(own, conditions)


def conditions_in(value: Any) -> Iterator[str]:
    """Name the conditions that `Fn::If` below a value asks for."""
    if isinstance(value, list):
        for item in value:
            yield from conditions_in(item)
    elif isinstance(value, Mapping):
        for key, below in value.items():
            if key == "Fn::If" and isinstance(below, list) and below and isinstance(below[0], str):
                yield below[0]
            yield from conditions_in(below)


def _listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value or [])

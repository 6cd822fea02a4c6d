"""Holds a resource's resolved properties against CloudFormation's own schema of its type, before it is provisioned.

The schemas are those of the CloudFormation registry as cfn-lint ships them. CloudFormation converts scalars (`"5"` is
a number where one is wanted), so only what cannot be converted is wrong.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

_REGION = "us-east-1"
_BOOLEANS = ("true", "false")


class SchemasMissingError(RuntimeError):
    """The installed cfn-lint has its schemas elsewhere."""


def check_properties(type_name: str, logical_id: str, properties: Mapping[str, Any]) -> None:
    """Raise ValueError, in CloudFormation's words, for properties that the type's schema refuses."""
    schema = schema_of(type_name)
    problems = list(_problems(properties, schema, schema, "#"))
    if problems:
        raise ValueError(
            f"Properties validation failed for resource {logical_id} with message: [{', '.join(problems)}]"
        )


def create_only(type_name: str) -> frozenset[str]:
    """Name the properties whose change replaces the resource."""
    return frozenset(path.split("/")[2] for path in schema_of(type_name).get("createOnlyProperties", ()))


@functools.cache
def schema_of(type_name: str) -> Mapping[str, Any]:
    """Read a type's schema. Raises SchemasMissingError."""
    found = importlib.util.find_spec("cfnlint")
    try:
        folder = Path(next(iter(found.submodule_search_locations or ()))) if found else Path()
        schemas = folder / "data" / "schemas"
        known = json.loads((schemas / "providers" / f"{_REGION}.json").read_text())
        schema: dict[str, Any] = json.loads((schemas / "resources" / f"{known[type_name]}.json").read_text())
    except (OSError, KeyError, StopIteration) as error:
        raise SchemasMissingError(
            f"cfn-lint's schema of {type_name} cannot be read ({error}): install the versions of requirements/dev.txt"
        ) from error
    return schema


def _problems(value: Any, rule: Mapping[str, Any], root: Mapping[str, Any], place: str) -> Iterator[str]:
    while "$ref" in rule:
        rule = functools.reduce(lambda found, part: found[part], rule["$ref"].removeprefix("#/").split("/"), root)
    kinds = rule.get("type", ())
    kinds = (kinds,) if isinstance(kinds, str) else tuple(kinds)
    if kinds and not any(_is(value, kind) for kind in kinds):
        yield f"{place}: expected type: {' or '.join(kinds)}, found: {_kind(value)}"
        return
    if isinstance(value, Mapping):
        yield from _object_problems(value, rule, root, place)
    elif isinstance(value, list):
        if not rule.get("minItems", 0) <= len(value) <= rule.get("maxItems", len(value)):
            yield f"{place}: {len(value)} items are not from {rule.get('minItems', 0)} to {rule.get('maxItems', 'any')}"
        for number, item in enumerate(value):
            yield from _problems(item, rule.get("items", {}), root, f"{place}/{number}")
    else:
        yield from _scalar_problems(value, rule, kinds, place)


def _object_problems(
    value: Mapping[str, Any], rule: Mapping[str, Any], root: Mapping[str, Any], place: str
) -> Iterator[str]:
    for name in rule.get("required", ()):
        if name not in value:
            yield f"{place}: required key [{name}] not found"
    properties = rule.get("properties", {})
    for name, below in value.items():
        if name in properties:
            yield from _problems(below, properties[name], root, f"{place}/{name}")
        elif rule.get("additionalProperties") is False and not rule.get("patternProperties"):
            yield f"{place}: extraneous key [{name}] is not permitted"


def _scalar_problems(value: Any, rule: Mapping[str, Any], kinds: tuple[str, ...], place: str) -> Iterator[str]:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if "enum" in rule and text not in {str(known) for known in rule["enum"]}:
        yield f"{place}: {text} is not a valid enum value"
    if "string" in kinds:
        least, most = rule.get("minLength", 0), rule.get("maxLength", "any")
        if len(text) < least or (most != "any" and len(text) > most):
            yield f"{place}: length {len(text)} is not from {least} to {most}"
        if "pattern" in rule and not _matches(rule["pattern"], text):
            yield f"{place}: string [{text}] does not match pattern {rule['pattern']}"
    elif {"integer", "number"} & set(kinds):
        number = float(text)
        if number < rule.get("minimum", number) or number > rule.get("maximum", number):
            yield f"{place}: {text} is not from {rule.get('minimum', 'any')} to {rule.get('maximum', 'any')}"


def _is(value: Any, kind: str) -> bool:
    """Whether a value has a type of JSON schema, or a scalar that CloudFormation converts to it."""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    scalar = isinstance(value, str | int | float | bool)
    return {
        "object": lambda: isinstance(value, Mapping),
        "array": lambda: isinstance(value, list),
        "string": lambda: scalar,
        "boolean": lambda: scalar and text.lower() in _BOOLEANS,
        "integer": lambda: scalar and re.fullmatch(r"[+-]?\d+(\.0+)?", text) is not None,
        "number": lambda: scalar and re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", text) is not None,
        "null": lambda: value is None,
    }.get(kind, lambda: True)()


def _kind(value: Any) -> str:
    names = {bool: "Boolean", str: "String", int: "Integer", float: "Number", list: "JSONArray", dict: "JSONObject"}
    return names.get(type(value), type(value).__name__)


def _matches(pattern: str, text: str) -> bool:
    try:
        return re.search(pattern, text) is not None
    except re.error:  # a pattern of another dialect than Python's
        return True

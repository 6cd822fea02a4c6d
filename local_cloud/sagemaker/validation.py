"""Checks a request against SageMaker's service model and refuses it in AWS's words.

Every constraint of the model is checked (required members, types, enumerations, lengths, ranges, patterns), and all
violations of a request are reported together, as AWS does.
"""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from botocore.model import ListShape, MapShape, Shape, StringShape, StructureShape

from local_cloud.sagemaker.errors import ServiceError, invalid

_JSON_TYPES: dict[str, tuple[type, ...]] = {
    "structure": (dict,),
    "map": (dict,),
    "list": (list,),
    "string": (str,),
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
    "boolean": (bool,),
    "timestamp": (int, float),
    "blob": (str,),
}
# The types as AWS's services, which are written in Java, name them in this error
_JAVA_TYPES = {
    "structure": "a Structure", "map": "a Map", "list": "a List", "string": "a String", "integer": "an Integer",
    "long": "a Long", "float": "a Float", "double": "a Double", "boolean": "a Boolean", "timestamp": "a Timestamp",
    "blob": "a Blob",
}  # fmt: skip
# Java's classes of characters, as they stand inside a set; the first are all but the control characters
_JAVA_CLASSES = {
    r"\p{L}\p{M}\p{Z}\p{S}\p{N}\p{P}": r"^\x00-\x1f\x7f-\x9f",
    r"\p{L}": r"\w",
    r"\p{N}": r"\d",
    r"\p{Z}": r"\s",
    r"\p{Alnum}": "a-zA-Z0-9",
}


def validate(shape: Shape | None, request: Any) -> None:
    """Raises a ServiceError (SerializationException, ValidationException) for what is wrong with a request."""
    if shape is None:
        return
    _check_types(shape, request, "")
    violations = list(_violations(shape, request, ""))
    if violations:
        plural = "s" if len(violations) > 1 else ""
        raise invalid(f"{len(violations)} validation error{plural} detected: {'; '.join(violations)}")


def _check_types(shape: Shape, value: Any, path: str) -> None:
    expected = _JSON_TYPES[shape.type_name]
    if not isinstance(value, expected) or (isinstance(value, bool) and bool not in expected):
        raise ServiceError(
            "SerializationException",
            f"{_token(value)} can not be converted to {_JAVA_TYPES[shape.type_name]} at '{path or 'request'}'",
        )
    for name, member, item in _children(shape, value):
        if member is None:
            raise invalid(
                f"Unknown parameter {name!r} at '{path or 'request'}': SageMaker's service model has none such."
            )
        if item is not None:
            _check_types(member, item, _join(path, name))


def _children(shape: Shape, value: Any) -> Iterator[tuple[str, Shape | None, Any]]:
    if isinstance(shape, StructureShape):
        for name, item in value.items():
            yield name, shape.members.get(name), item
    elif isinstance(shape, ListShape):
        for number, item in enumerate(value, 1):
            yield f"{number}.member", shape.member, item
    elif isinstance(shape, MapShape):
        for name, item in value.items():
            yield name, shape.value, item


def _violations(shape: Shape, value: Any, path: str) -> Iterator[str]:
    for constraint in _broken_constraints(shape, value):
        yield f"Value {_show(value)} at '{path}' failed to satisfy constraint: {constraint}"
    if isinstance(shape, StructureShape):
        for name in shape.required_members:
            if value.get(name) is None:
                yield f"Value null at '{_join(path, name)}' failed to satisfy constraint: Member must not be null"
    if isinstance(shape, MapShape):
        yield from _map_violations(shape, value, path)
        return
    for name, member, item in _children(shape, value):
        if member is not None and item is not None:
            yield from _violations(member, item, _join(path, name))


def _map_violations(shape: MapShape, value: dict[str, Any], path: str) -> Iterator[str]:
    for part, member, items in (("keys", shape.key, value.keys()), ("value", shape.value, value.values())):
        if any(list(_broken_constraints(member, item)) for item in items):
            rules = f"Map {part} must satisfy constraint: [{', '.join(_all_constraints(member))}]"
            yield f"Value {_show(value)} at '{path}' failed to satisfy constraint: {rules}"


def _broken_constraints(shape: Shape, value: Any) -> Iterator[str]:
    metadata = shape.metadata
    if isinstance(shape, StringShape) and shape.enum and value not in shape.enum:
        yield f"Member must satisfy enum value set: [{', '.join(shape.enum)}]"
    if shape.type_name in ("integer", "long", "float", "double"):
        if "max" in metadata and value > metadata["max"]:
            yield f"Member must have value less than or equal to {metadata['max']}"
        if "min" in metadata and value < metadata["min"]:
            yield f"Member must have value greater than or equal to {metadata['min']}"
    elif isinstance(value, (str, list, dict)):
        if "max" in metadata and len(value) > metadata["max"]:
            yield f"Member must have length less than or equal to {metadata['max']}"
        if "min" in metadata and len(value) < metadata["min"]:
            yield f"Member must have length greater than or equal to {metadata['min']}"
    if isinstance(shape, StringShape) and "pattern" in metadata and not compiled(metadata["pattern"]).fullmatch(value):
        yield f"Member must satisfy regular expression pattern: {metadata['pattern']}"


def _all_constraints(shape: Shape) -> Iterator[str]:
    if "max" in shape.metadata:
        yield f"Member must have length less than or equal to {shape.metadata['max']}"
    if "min" in shape.metadata:
        yield f"Member must have length greater than or equal to {shape.metadata['min']}"
    if "pattern" in shape.metadata:
        yield f"Member must satisfy regular expression pattern: {shape.metadata['pattern']}"


@cache
def compiled(pattern: str) -> re.Pattern[str]:
    """A pattern of the service model (Java's syntax) as Python's."""
    for java, python in _JAVA_CLASSES.items():
        pattern = pattern.replace(java, python)
    pattern = re.sub(r"\$\{\d+,\d+\}$", "$", pattern)  # an end, so many times: a slip in the model, and no harm in Java
    try:
        return re.compile(pattern)
    except re.error:  # surrogate pairs, in members that are not supported here and refused by name
        return re.compile(r"[\s\S]*")


def _join(path: str, name: str) -> str:
    """AWS names members in lower camel case: `productionVariants.1.member.variantName`."""
    lower = name[:1].lower() + name[1:]
    return f"{path}.{lower}" if path else lower


def _token(value: Any) -> str:
    if isinstance(value, bool):
        return f"{str(value).upper()}_VALUE"
    names = {str: "STRING_VALUE", int: "NUMBER_VALUE", float: "NUMBER_VALUE", dict: "START_OBJECT", list: "START_ARRAY"}
    return names.get(type(value), "NULL_VALUE")


def _show(value: Any) -> str:
    return f"'{value}'"

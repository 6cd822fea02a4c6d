"""A task's arguments against the API's own model.

AWS names unknown and missing fields when the state machine is created, and values of the wrong type, which only appear
once paths are resolved, when the task starts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

#: How Step Functions names types; Java's, as its messages show them.
_TYPE_NAMES = {
    "string": "STRING",
    "integer": "INTEGER",
    "long": "LONG",
    "float": "FLOAT",
    "double": "DOUBLE",
    "boolean": "BOOLEAN",
    "structure": "OBJECT",
    "map": "MAP",
    "list": "ARRAY",
}
_PYTHON_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
    "boolean": (bool,),
    "structure": (Mapping,),
    "map": (Mapping,),
    "list": (list,),
}


def problems_in_definition(arguments: Mapping[str, Any], shape: Any, *, strict: bool) -> list[str]:
    """Find unknown and missing fields, and with `strict` literal values of a wrong type.

    A key that ends in `.$`, and a string `{% … %}`, is filled in later and has no type yet.
    """
    return [problem for problem in _check(arguments, shape) if strict or "must be" not in problem]


def problems_at_run_time(arguments: Mapping[str, Any], shape: Any) -> list[str]:
    """Find what is wrong with arguments whose paths are resolved."""
    return list(_check(arguments, shape))


def _check(arguments: Mapping[str, Any], shape: Any) -> Iterator[str]:
    known = {_pascal(name): member for name, member in shape.members.items()}
    given = {key.removesuffix(".$") for key in arguments}
    for key, value in arguments.items():
        name = key.removesuffix(".$")
        if name not in known:
            yield f'The field "{name}" is not supported by Step Functions'
        elif not key.endswith(".$"):
            yield from _check_value(name, value, known[name])
    for name in shape.required_members:
        if _pascal(name) not in given:
            yield f'The field "{_pascal(name)}" is required but was missing'


def _check_value(name: str, value: Any, shape: Any) -> Iterator[str]:
    if isinstance(value, str) and value.startswith("{%"):
        return
    expected = _PYTHON_TYPES.get(shape.type_name)
    wrong_boolean = isinstance(value, bool) and shape.type_name != "boolean"
    if expected and (not isinstance(value, expected) or wrong_boolean):
        type_name = _TYPE_NAMES[shape.type_name]
        yield f"The value for the field '{name}' must be {'an' if type_name[0] in 'AEIOU' else 'a'} {type_name}"
    elif shape.type_name == "structure" and isinstance(value, Mapping):
        yield from _check(value, shape)
    elif shape.type_name == "list" and isinstance(value, list):
        for item in value:
            yield from _check_value(name, item, shape.member)
    elif shape.type_name == "map" and isinstance(value, Mapping):
        for key, item in value.items():
            if not key.endswith(".$"):
                yield from _check_value(key, item, shape.value)


def _pascal(name: str) -> str:
    return name[:1].upper() + name[1:]

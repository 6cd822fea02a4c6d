"""The strings of a definition that are evaluated: JSONPath and JSONata."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

#: Answers with what is wrong with a JSONata expression's syntax, None for nothing, and what it reads of the top level.
Jsonata = Callable[[str], tuple[str | None, Sequence[str]]]

_OPEN, _CLOSE = "{%", "%}"
_VARIABLE = re.compile(r"(?<![\w$.])\$([A-Za-z_]\w*)")
_QUOTED = re.compile(r"'(?:[^'\\]|\\.)*'")


def walk_strings(value: Any, place: str) -> Iterator[tuple[str, str, str]]:
    """Yield where each string stands (`Parameters/a/b[0]`), the key that it stands at, and the string."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            if isinstance(item, str):
                yield f"{place}/{key}", key, item
            else:
                yield from walk_strings(item, f"{place}/{key}")
    elif isinstance(value, list):
        for number, item in enumerate(value):
            if isinstance(item, str):
                yield f"{place}[{number}]", "", item
            else:
                yield from walk_strings(item, f"{place}[{number}]")


def path_problem(path: str, syntax: Callable[[str], str | None]) -> str | None:
    """Say what is wrong with a path: JSONPath, into the context object (`$$.`) or into a variable (`$name.`)."""
    if not path.startswith("$"):
        return f"{path} is no path: it must begin with $"
    problem = syntax(f"$.{path[1:]}" if path[1:2].isalpha() or path[1:2] == "_" else path.replace("$$", "$", 1))
    return f"{path} is no valid JSONPath: {problem}" if problem else None


def variables_in(text: str) -> list[str]:
    """Name the variables of a path (`$name.a`) or of an intrinsic function's arguments."""
    return _VARIABLE.findall(_QUOTED.sub("''", text))


def expression_problem(text: str, jsonata: Jsonata) -> tuple[str, str] | None:
    """Say what is wrong with a JSONata expression, and by which code; a string that is none is right.

    https://docs.aws.amazon.com/step-functions/latest/dg/transforming-data.html: no blanks around the delimiters, and
    "improperly opening or closing the expression will result in a validation error".
    """
    opened, closed = text.startswith(_OPEN), text.endswith(_CLOSE)
    if opened != closed or (not opened and text.strip().startswith(_OPEN) and text.strip().endswith(_CLOSE)):
        message = f"{text!r} must begin with {_OPEN} and end with {_CLOSE}, without blanks around them"
        return "SCHEMA_VALIDATION_FAILED", message
    if not opened:
        return None
    problem, _ = jsonata(_inner(text))
    return ("INVALID_JSONATA_EXPRESSION", problem) if problem else None


def unsupported_references(text: str, jsonata: Jsonata, *, in_catcher: bool) -> Iterator[str]:
    """Say what a JSONata expression reads that Step Functions does not have there, in AWS's words."""
    if not text.startswith(_OPEN) or not text.endswith(_CLOSE):
        return
    for name in jsonata(_inner(text))[1]:
        if name == "$states.errorOutput":
            if not in_catcher:
                yield f"Field '{name}' does not exist."
        elif name == "$$":
            yield f"Reference to '{name}' is not supported."
        else:
            yield f"Reference to '{name}' at the top level is not supported."


def _inner(text: str) -> str:
    return text.removeprefix(_OPEN).removesuffix(_CLOSE)

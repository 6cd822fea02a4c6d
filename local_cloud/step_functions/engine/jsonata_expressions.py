"""JSONata for the engine, which comes without an evaluator.

The functions that Step Functions adds: Step Functions Developer Guide, "Transforming data with JSONata".
"""

from __future__ import annotations

import hashlib
import json
import random
import uuid
from collections.abc import Mapping
from typing import Any

import jsonata

from local_cloud.step_functions import json_text

_ALGORITHMS = {"MD5": "md5", "SHA-1": "sha1", "SHA-256": "sha256", "SHA-384": "sha384", "SHA-512": "sha512"}


class JsonataError(Exception):
    """An expression that could not be evaluated, with the evaluator's reason."""


class UnsupportedResultError(JsonataError):
    """An expression whose result is no JSON, but a function or a regular expression."""


def evaluate(expression: str) -> Any:
    """Evaluate an expression that declares its own variables; undefined is None."""
    try:
        compiled = jsonata.Jsonata(expression)
        for name, function in _FUNCTIONS.items():
            compiled.register_lambda(name, function)
        compiled.assign("eval", None)  # "Transforming data with JSONata": $eval is not supported
        return _plain(compiled.evaluate(None))
    except (jsonata.JException, ValueError, TypeError, ArithmeticError, RecursionError) as error:
        raise JsonataError(str(error)) from error


def declare(bindings: Mapping[str, Any]) -> str:
    """Write variables as JSONata declarations (replaces the engine's, which leaves quotes in strings unescaped)."""
    return "".join(f"{name}:={json.dumps(value, default=str)};" for name, value in bindings.items())


def _plain(value: Any) -> Any:
    """Turn the evaluator's list and dictionary classes into Python's own, and whole floats into integers."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if value is not None and not isinstance(value, str | int | float):
        raise UnsupportedResultError("its result is no JSON")
    return value


def _partition(array: list[Any], size: int) -> list[list[Any]]:
    return [list(array[start : start + int(size)]) for start in range(0, len(array), int(size))]


def _range(first: int, last: int, step: int) -> list[int]:
    return list(range(int(first), int(last) + (1 if step > 0 else -1), int(step)))


def _hash(data: str, algorithm: str = "SHA-256") -> str:
    if algorithm not in _ALGORITHMS:
        raise ValueError(f"$hash knows {', '.join(_ALGORITHMS)}, not {algorithm}")
    return hashlib.new(_ALGORITHMS[algorithm], data.encode(), usedforsecurity=False).hexdigest()


def _random(seed: float | None = None) -> float:
    return random.Random(seed).random()  # noqa: S311  (a number for a workflow, no secret)


_FUNCTIONS = {
    "partition": _partition,
    "range": _range,
    "hash": _hash,
    "random": _random,
    "uuid": lambda: str(uuid.uuid4()),
    "parse": json_text.read,
}

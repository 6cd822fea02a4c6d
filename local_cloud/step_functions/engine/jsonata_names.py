"""What a JSONata expression reads that Step Functions does not give it.

An expression is evaluated without a context item: the input is `$states.input`, a variable `$name`. AWS refuses a
definition in which the first step of a path is a bare name, `$` or `$$` (measured there: floci-io/floci, issues 2670
and 2745). Later steps, predicates, sort terms and groups have the value before them as their context, and may name its
fields; the body of a function has the context of the expression around it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

#: `$states.errorOutput`, which only a catcher has.
ERROR_OUTPUT = "$states.errorOutput"


def unanchored(tree: Any) -> list[str]:
    """Name what a syntax tree reads of the top level, each once, in order; also `$states.errorOutput`."""
    return list(dict.fromkeys(_read_by(tree)))


def _read_by(node: Any) -> Iterator[str]:
    if node is None:
        return
    kind = node.type
    if kind == "name":
        yield str(node.value)
    elif kind == "variable" and str(node.value) in ("", "$"):
        yield f"${node.value}"
    elif kind == "path":
        yield from _read_by(node.steps[0])
        if [(step.type, step.value) for step in node.steps[:2]] == [("variable", "states"), ("name", "errorOutput")]:
            yield ERROR_OUTPUT
    else:
        for part in _parts(node):
            yield from _read_by(part)


def _parts(node: Any) -> list[Any]:
    """The parts of a node that are evaluated in the context of the whole."""
    kind, operator = node.type, str(node.value)
    if kind == "unary" and operator == "{":
        return [part for pair in node.lhs_object for part in pair]
    if kind == "block" or (kind == "unary" and operator == "["):
        return list(node.expressions)
    if kind in ("function", "partial"):
        return [node.procedure, *node.arguments]
    return {
        "unary": [node.expression],
        "binary": [node.lhs, node.rhs],
        "apply": [node.lhs, node.rhs],
        "bind": [node.rhs],
        "lambda": [node.body],
        "condition": [node.condition, node.then, node._else],
    }.get(kind, [])

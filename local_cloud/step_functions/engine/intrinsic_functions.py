r"""Intrinsic functions as AWS reads and evaluates them, where the engine's grammar loses, garbles or refuses text.

Step Functions Developer Guide, "Intrinsic functions for JSONPath states": texts stand in single quotes, and in them
\', \{, \} and \\ stand for the second character. No other character may follow a backslash: such a definition is
refused (aws/aws-cdk#27304). A line break stands as itself.
"""

from __future__ import annotations

import json
import re
from typing import Any

from moto.stepfunctions.parser.asl.component.common.query_language import QueryLanguageMode
from moto.stepfunctions.parser.asl.component.common.string.string_expression import (
    StringIntrinsicFunction,
    StringVariableSample,
)
from moto.stepfunctions.parser.asl.component.intrinsic.argument.argument import (
    ArgumentContextPath,
    ArgumentFunction,
    ArgumentJsonPath,
    ArgumentList,
    ArgumentLiteral,
    ArgumentVar,
)
from moto.stepfunctions.parser.asl.component.intrinsic.function.statesfunction.factory import StatesFunctionFactory
from moto.stepfunctions.parser.asl.component.intrinsic.functionname.state_function_name_types import (
    StatesFunctionNameType,
)
from moto.stepfunctions.parser.asl.component.intrinsic.functionname.states_function_name import StatesFunctionName

from local_cloud.step_functions.engine.texts import text_of

_NAME = re.compile(r"States\.(\w+)\s*\(")
_TEXT = re.compile(r"'((?:[^'\\]|\\['{}\\])*)'")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.])")
_WORD = re.compile(r"(?:true|false|null)\b")
_IN_PATH = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|.""", re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_TEMPLATE = re.compile(r"\\(?P<escaped>.)|(?P<gap>\{\})|(?P<brace>[{}])|(?P<text>[^\\{}]+)|\\", re.DOTALL)


class _UnreadableError(ValueError):
    """A text that is no function call, with where it ends to be one."""


def read(self: Any, ctx: Any) -> StringIntrinsicFunction:  # noqa: ARG001  (the engine calls it)
    """Make a function of its text (replaces `Preprocessor.visitString_intrinsic_function`)."""
    text = text_of(ctx)
    try:
        function = _Reader(text).whole()
    except _UnreadableError as error:
        raise ValueError(
            f"The value for the field '{_field(ctx)}' must be a valid JSONPath or a valid intrinsic function call: "
            f"{text} {error}"
        ) from error
    return StringIntrinsicFunction(intrinsic_function_derivation=text, function=function)


def _field(ctx: Any) -> str:
    """Name the field that a string stands at: the nearest node above that has a name, a colon and a value."""
    while ctx.getChildCount() < 3:
        ctx = ctx.parentCtx
    return text_of(ctx.getChild(0))


class _Reader:
    """Reads a function call from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def whole(self) -> Any:
        function = self._call()
        if self._at < len(self._text):
            raise self._error()
        return function

    def _call(self) -> Any:
        named = self._take(_NAME)
        kind = StatesFunctionNameType.__members__.get(named[1]) if named else None
        if kind is None:
            raise self._error()
        arguments: list[Any] = []
        while not self._take_mark(")"):
            if arguments and not self._take_mark(","):
                raise self._error()
            # Format resolves the escapes of its template itself: it has to tell `\{}` from `{}`.
            arguments.append(self._argument(escaped=kind is StatesFunctionNameType.Format and not arguments))
        name = StatesFunctionName(function_type=kind)
        return StatesFunctionFactory.from_name(func_name=name, argument_list=ArgumentList(arguments=arguments))

    def _argument(self, *, escaped: bool) -> Any:
        if text := self._take(_TEXT):
            return ArgumentLiteral(definition_value=text[1] if escaped else _ESCAPE.sub(r"\1", text[1]))
        if literal := self._take(_NUMBER) or self._take(_WORD):
            return ArgumentLiteral(definition_value=json.loads(literal[0]))
        if self._text.startswith("$", self._at):
            return _path(self._take_path())
        return ArgumentFunction(function=self._call())

    def _take_path(self) -> str:
        """Take what ends at a comma, a parenthesis or a blank outside of brackets."""
        start = end = self._at
        depth = 0
        while piece := _IN_PATH.match(self._text, end):
            if not depth and (piece[0] in ",()" or piece[0].isspace()):
                break
            depth += {"[": 1, "]": -1}.get(piece[0], 0)
            end = piece.end()
        self._go_behind(end)
        return self._text[start:end]

    def _take_mark(self, mark: str) -> bool:
        return self._take(re.compile(re.escape(mark))) is not None

    def _take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        found = pattern.match(self._text, self._at)
        if found:
            self._go_behind(found.end())
        return found

    def _go_behind(self, end: int) -> None:
        """Go behind what ends there, and the blanks after it."""
        self._at = len(self._text) - len(self._text[end:].lstrip())

    def _error(self) -> _UnreadableError:
        rest = self._text[self._at :]
        return _UnreadableError(f"cannot be read from '{rest}' on" if rest else "ends too soon")


def _path(path: str) -> Any:
    if path.startswith("$$"):
        return ArgumentContextPath(context_path=path)
    if path[1:2] in ("", ".", "["):
        return ArgumentJsonPath(json_path=path)
    variable = StringVariableSample(query_language_mode=QueryLanguageMode.JSONPath, expression=path)
    return ArgumentVar(string_variable_sample=variable)


def evaluate_format(self: Any, env: Any) -> None:
    """Put values into a template (replaces `StringFormat._eval_body`, which gives it to Python's `str.format`).

    Braces that are neither `{}` nor escaped are an error when it is evaluated, not before (aws/aws-cdk#29261).
    """
    self.argument_list.eval(env=env)
    template, *values = env.stack.pop()
    if not isinstance(template, str):
        raise TypeError("Invalid template in States.Format: it is not a string")
    parts: list[str] = []
    left = iter(values)
    for piece in _TEMPLATE.finditer(template):
        if piece["brace"]:
            other = {"{": "}", "}": "{"}[piece["brace"]]
            raise ValueError(f"Invalid template in States.Format: matching '{other}' not found for '{piece['brace']}'.")
        if piece["gap"]:
            try:
                parts.append(self._to_str_repr(next(left)))
            except StopIteration:
                raise ValueError("Invalid arguments in States.Format: there are more {} than values") from None
        else:
            parts.append(piece["escaped"] or piece["text"] or "\\")
    env.stack.append("".join(parts))

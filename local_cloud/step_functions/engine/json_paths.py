"""JSONPath as Step Functions reads it: as the Java library Jayway JsonPath does.

A definite path, which names one place (`$.a.b[0].c`), gives the value there, and fails where there is none. Any other
path (`$.a[*].b`, `$..b`, slices, filters, several names or indices) gives the array of what it finds: of one element
where it finds one, empty where it finds none. The engine decides by what was found instead, and reads the path of a
variable (`$name.a[0]`) as JSONata.
"""

from __future__ import annotations

import copy
import functools
import re
from typing import Any

from jsonpath_ng.jsonpath import Child, Fields, Index, Root
from moto.stepfunctions.parser.asl.component.common.query_language import QueryLanguageMode
from moto.stepfunctions.parser.asl.component.common.string.string_expression import StringVariableSample
from moto.stepfunctions.parser.asl.eval.variable_store import NoSuchVariable
from moto.stepfunctions.parser.asl.utils.json_path import NoSuchJsonPathError, parse

#: A path that begins with a slice: of a root that is no array, it fails (localstack/localstack#12366, seen on AWS).
_SLICE_OF_ROOT = re.compile(r"\$\[-?\d*:")
_VARIABLE = re.compile(r"\$(\w+)(.*)", re.DOTALL)

_engine_variable = StringVariableSample._eval_body


def extract(path: str, data: Any) -> Any:
    """Read what a path names; raises NoSuchJsonPathError (replaces `json_path.extract_json`)."""
    parsed, definite = _parsed(path)
    found = [match.value for match in parsed.find(data)]
    if (definite and not found) or (_SLICE_OF_ROOT.match(path) and not isinstance(data, list)):
        raise NoSuchJsonPathError(json_path=path, data=data)
    return found[0] if definite else found


def evaluate_variable(self: Any, env: Any) -> None:
    """Read a variable, or what a path into it names (replaces `StringVariableSample._eval_body`)."""
    named = _VARIABLE.fullmatch(self.expression)
    if named is None or self.query_language_mode is not QueryLanguageMode.JSONPath:
        _engine_variable(self, env)
        return
    try:
        value = env.variable_store.get(named[1])
    except NoSuchVariable as error:
        raise NoSuchJsonPathError(json_path=self.expression, data=env.states.get_input()) from error
    try:
        env.stack.append(copy.deepcopy(extract(f"${named[2]}", value)))
    except NoSuchJsonPathError as error:
        raise NoSuchJsonPathError(json_path=self.expression, data=value) from error


@functools.lru_cache(maxsize=1024)
def _parsed(path: str) -> tuple[Any, bool]:
    """Parse a path, which takes longer than reading what it names."""
    parsed = parse(path)
    return parsed, _is_definite(parsed)


def _is_definite(parsed: Any) -> bool:
    if isinstance(parsed, Child):
        return _is_definite(parsed.left) and _is_definite(parsed.right)
    if isinstance(parsed, Fields):
        return len(parsed.fields) == 1 and parsed.fields != ("*",)
    if isinstance(parsed, Index):
        return len(parsed.indices) == 1
    return isinstance(parsed, Root)

"""All that is checked about a definition before a state machine is made of it."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from statelint.config import Config
from statelint.linter import Linter
from statelint.problem import ProblemType

from local_cloud.step_functions.definition.diagnostic import Diagnostic
from local_cloud.step_functions.definition.expressions import Jsonata
from local_cloud.step_functions.definition.graph import check_graph
from local_cloud.step_functions.definition.integrations import FindOperation, check_integrations
from local_cloud.step_functions.definition.language import FREE_PATHS, Syntax, check_language
from local_cloud.step_functions.definition.walk import states

#: What the linter says about the graph and about error rules; `graph` and `language` say it in AWS's words.
_SAID_ELSEWHERE = re.compile(
    r"^No (state found named|transition found to state|terminal state found)|^StartAt value .* not found|"
    r'does not have required field "(Next|End)"$|has forbidden field "(Next|End)"$|'
    r'^Field "(Next|End)" not allowed in|: States\.ALL can only appear in the last element|, is also defined at '
)
_VARIABLE = re.compile(r"^\$[A-Za-z_]\w*")
#: What AWS takes, and the linter does not: a task's own default, seconds, and the most attempts.
_LONGEST_TIME = 99_999_999
_TIMES = ("TimeoutSeconds", "HeartbeatSeconds", "MaxAttempts")
#: Fields of a state in JSONata that may be an expression (Developer Guide, "Task", "Wait" and "Map workflow state").
_OPTIONAL_NUMBERS = (
    "TimeoutSeconds",
    "HeartbeatSeconds",
    "MaxConcurrency",
    "ToleratedFailureCount",
    "ToleratedFailurePercentage",
)
_PLACEHOLDERS = {"Seconds": 1, "Timestamp": "2026-01-01T00:00:00Z"}
#: The linter wants a float where AWS takes an integer too, in BackoffRate and in Choice rules.
_LINT = Config(ignored_problem_types={ProblemType.FLOAT})


@dataclass(frozen=True)
class Engine:
    """What the engine thinks of a definition and a JSONPath, its complaint or None, and of a JSONata expression."""

    definition: Syntax
    json_path: Syntax
    jsonata: Jsonata


def check(definition: Mapping[str, Any], operation: FindOperation, engine: Engine) -> list[Diagnostic]:
    """Find what AWS or the local cloud would refuse; `operation` looks up an API action."""
    found = check_graph(definition)
    found += check_language(definition, engine.json_path, engine.jsonata)
    found += _lint(definition, {diagnostic.location for diagnostic in found})
    found += check_integrations(definition, operation)
    if not found:
        complaint = engine.definition(json.dumps(definition))
        if complaint:
            found.append(Diagnostic("SCHEMA_VALIDATION_FAILED", complaint))
    return found


def _lint(definition: Mapping[str, Any], known: Collection[str]) -> list[Diagnostic]:
    """Ask the linter; what it says of a path that is known to be wrong is left out."""
    problems = [
        Diagnostic("SCHEMA_VALIDATION_FAILED", problem, _location(problem, definition))
        for problem in Linter.validate(_as_the_linter_knows(definition), _LINT)
        if not _SAID_ELSEWHERE.search(problem)
    ]
    return [found for found in problems if not (found.location in known and "Path" in found.message)]


def _as_the_linter_knows(value: Any, jsonata: bool = False) -> Any:
    """Leave out what the linter does not know: `Assign`, paths with filters and brackets, variables, the longest time.

    `$name` becomes `$.name`, and the paths that `language` checks become `$`, as do functions, which the engine reads:
    the linter refuses line breaks in them. In JSONata a state's number or instant may be an expression: what stands in
    its place is right, or nothing where the field may be missing.
    """
    if isinstance(value, Mapping):
        jsonata = value.get("QueryLanguage", "JSONata" if jsonata else None) == "JSONata"
        kept = {key: item for key, item in value.items() if key != "Assign"}
        if jsonata and "Type" in value:
            kept = {
                key: _PLACEHOLDERS.get(key, item) if _is_expression(item) else item
                for key, item in kept.items()
                if not (key in _OPTIONAL_NUMBERS and _is_expression(item))
            }
        return {key: _known_to_the_linter(key, item, jsonata) for key, item in kept.items()}
    if isinstance(value, list):
        return [_as_the_linter_knows(item, jsonata) for item in value]
    if isinstance(value, str) and _VARIABLE.match(value):
        return f"$.{value[1:]}"
    return value


def _known_to_the_linter(key: str, item: Any, jsonata: bool) -> Any:
    if _checked_path(key, item):
        return "$"
    if key in _TIMES and item == _LONGEST_TIME:
        return _LONGEST_TIME - 1
    return _as_the_linter_knows(item, jsonata)


def _is_expression(value: Any) -> bool:
    return isinstance(value, str) and value.startswith("{%") and value.endswith("%}")


def _checked_path(key: str, value: Any) -> bool:
    if not isinstance(value, str):
        return False
    return value.startswith(("$", "States.")) if key.endswith(".$") else value.startswith("$") and key in FREE_PATHS


def _location(problem: str, definition: Mapping[str, Any]) -> str:
    """Turn the linter's `State Machine.States.A.Next`, which is part of a sentence, into AWS's `/States/A/Next`."""
    places = [state.location for state in states(definition)]
    dotted = {f"State Machine{place.replace('/', '.')}": place for place in places}
    found = max((path for path in dotted if path in problem), key=len, default=None)
    if found is None:
        return ""
    rest = re.match(r"[\w.$\[\]]*", problem.partition(found)[2])
    return dotted[found] + (rest[0].replace(".", "/") if rest else "")

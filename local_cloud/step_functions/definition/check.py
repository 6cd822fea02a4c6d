"""All that is checked about a definition before a state machine is made of it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from statelint.config import Config
from statelint.linter import Linter
from statelint.problem import ProblemType

from local_cloud.step_functions.definition.diagnostic import Diagnostic
from local_cloud.step_functions.definition.graph import check_graph
from local_cloud.step_functions.definition.integrations import FindOperation, check_integrations
from local_cloud.step_functions.definition.walk import states

#: What the linter says about the graph; `graph` says it in AWS's words.
_ABOUT_THE_GRAPH = re.compile(
    r"^No (state found named|transition found to state|terminal state found)|^StartAt value .* not found|"
    r'does not have required field "(Next|End)"$|has forbidden field "(Next|End)"$'
)
_VARIABLE = re.compile(r"^\$[A-Za-z_]\w*")
#: The linter wants a float where AWS takes an integer too, in BackoffRate and in Choice rules.
_LINT = Config(ignored_problem_types={ProblemType.FLOAT})


def check(
    definition: Mapping[str, Any], operation: FindOperation, parse: Callable[[str], str | None]
) -> list[Diagnostic]:
    """Find what AWS or the local cloud would refuse.

    `operation` looks up an API action, `parse` gives the definition to the engine and answers with its complaint.
    """
    found = check_graph(definition)
    found += [
        Diagnostic("SCHEMA_VALIDATION_FAILED", problem, _location(problem, definition))
        for problem in Linter.validate(_without_variables(definition), _LINT)
        if not _ABOUT_THE_GRAPH.search(problem)
    ]
    found += check_integrations(definition, operation)
    if not found:
        complaint = parse(json.dumps(definition))
        if complaint:
            found.append(Diagnostic("SCHEMA_VALIDATION_FAILED", complaint))
    return found


def _without_variables(value: Any) -> Any:
    """Write `$name` as `$.name`: the linter knows paths, but not the variables that Assign makes."""
    if isinstance(value, Mapping):
        return {key: _without_variables(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_variables(item) for item in value]
    if isinstance(value, str) and _VARIABLE.match(value):
        return f"$.{value[1:]}"
    return value


def _location(problem: str, definition: Mapping[str, Any]) -> str:
    """Turn the linter's `State Machine.States.A.Next`, which is part of a sentence, into AWS's `/States/A/Next`."""
    places = [state.location for state in states(definition)]
    dotted = {f"State Machine{place.replace('/', '.')}": place for place in places}
    found = max((path for path in dotted if path in problem), key=len, default=None)
    if found is None:
        return ""
    rest = re.match(r"[\w.$\[\]]*", problem.partition(found)[2])
    return dotted[found] + (rest[0].replace(".", "/") if rest else "")

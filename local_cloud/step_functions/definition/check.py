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

#: What the linter says about the graph; `graph` says it in AWS's words.
_ABOUT_THE_GRAPH = re.compile(
    r"^No (state found named|transition found to state|terminal state found)|"
    r'does not have required field "(Next|End)"$|has forbidden field "(Next|End)"$'
)
#: The linter wants a float where AWS takes an integer too, in BackoffRate and in Choice rules.
_LINT = Config(ignored_problem_types={ProblemType.FLOAT})
_LINT_LOCATION = re.compile(r'"?State Machine((?:\.[^"]*?)?)"?(?= (?:is|has|does|should|may|must|are|not)\b|[\s,:]|$)')


def check(
    definition: Mapping[str, Any], operation: FindOperation, parse: Callable[[str], str | None]
) -> list[Diagnostic]:
    """Find what AWS or the local cloud would refuse.

    `operation` looks up an API action, `parse` gives the definition to the engine and answers with its complaint.
    """
    found = check_graph(definition)
    found += [
        Diagnostic("SCHEMA_VALIDATION_FAILED", problem, _location(problem))
        for problem in Linter.validate(dict(definition), _LINT)
        if not _ABOUT_THE_GRAPH.search(problem)
    ]
    found += check_integrations(definition, operation)
    if not found:
        complaint = parse(json.dumps(definition))
        if complaint:
            found.append(Diagnostic("SCHEMA_VALIDATION_FAILED", complaint))
    return found


def _location(problem: str) -> str:
    """Turn the linter's `State Machine.States.A.Next` into AWS's `/States/A/Next`, as far as names have no dots."""
    match = _LINT_LOCATION.search(problem)
    return match[1].replace(".", "/") if match else ""

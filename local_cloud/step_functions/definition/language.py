"""What the linter leaves out of the Amazon States Language: names, transitions, rules, paths, expressions.

Rules: the language's specification, https://states-language.net/spec.html, and the Step Functions Developer Guide,
pages "State machine structure", "Choice workflow state", "Handling errors" and "Transforming data with JSONata".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from local_cloud.step_functions.definition.diagnostic import Diagnostic
from local_cloud.step_functions.definition.expressions import (
    Jsonata,
    expression_problem,
    path_problem,
    unsupported_references,
    variables_in,
    walk_strings,
)
from local_cloud.step_functions.definition.walk import StateAt, machines, states

#: Answers with what is wrong about the syntax of a JSONPath (`$.a`); None is right.
Syntax = Callable[[str], str | None]

_LONGEST_NAME = 80
_LONGEST_WAIT_SECONDS = 99_999_999
_ENDS_BY_ITSELF = ("Succeed", "Fail")
_TYPES = ("Task", "Pass", "Wait", "Parallel", "Map", "Choice", *_ENDS_BY_ITSELF)
#: Paths that may name several places.
FREE_PATHS = ("InputPath", "OutputPath")
#: Reference Paths, which name exactly one place.
_REFERENCE_PATHS = (
    "ResultPath",
    "ItemsPath",
    "SecondsPath",
    "TimestampPath",
    "TimeoutSecondsPath",
    "HeartbeatSecondsPath",
)
#: Fields whose strings AWS reads as JSONata, of a state and of its rules; `{% … %}` in others, as Comment, is text.
_EXPRESSIONS = (
    "Arguments",
    "Assign",
    "Cause",
    "Condition",
    "Error",
    "HeartbeatSeconds",
    "ItemSelector",
    "Items",
    "MaxConcurrency",
    "Output",
    "Seconds",
    "TimeoutSeconds",
    "Timestamp",
    "ToleratedFailureCount",
    "ToleratedFailurePercentage",
)
_INTRINSIC = re.compile(r"States\.\w+\(.*\)\Z", re.DOTALL)
_NOT_IN_REFERENCE = re.compile(r"\.\.|[@,:?*]")
_VARIABLE_NAME = re.compile(r"[^\W\d]\w*\Z")


def check_language(definition: Mapping[str, Any], json_path: Syntax, jsonata: Jsonata) -> list[Diagnostic]:
    """Find what a definition says that the language does not have."""
    found = [
        Diagnostic("SCHEMA_VALIDATION_FAILED", "These states must not be empty", f"{machine.location}/States")
        for machine in machines(definition)
        if machine.body.get("States") == {}
    ]
    languages = {machine.location: machine.body.get("QueryLanguage") for machine in machines(definition)}
    assigned = {
        name.removesuffix(".$")
        for state in states(definition)
        for _, names in _assignments(state.body)
        for name in names
    }
    for state in states(definition):
        found += _check_name(state)
        found += _check_transitions(state)
        found += _check_choices(state)
        found += _check_error_rules(state)
        found += _check_assignments(state)
        if state.body.get("Type") == "Wait" and _above(state.body.get("Seconds"), _LONGEST_WAIT_SECONDS):
            found.append(_schema(f"Seconds must not be above {_LONGEST_WAIT_SECONDS}", state, "Seconds"))
        if _language(state, languages) == "JSONata":
            found += _check_expressions(state, jsonata)
        else:
            found += _check_paths(state, json_path)
            found += _check_variables(state, assigned)
    return found


def _schema(message: str, state: StateAt, *fields: str) -> Diagnostic:
    return Diagnostic("SCHEMA_VALIDATION_FAILED", message, "/".join([state.location, *fields]))


def _check_name(state: StateAt) -> Iterator[Diagnostic]:
    if not 0 < len(state.name) <= _LONGEST_NAME:
        message = f"The name of a state has from 1 to {_LONGEST_NAME} characters, this one {len(state.name)}"
        yield Diagnostic("INVALID_STATE_NAME", message, state.location)


def _check_transitions(state: StateAt) -> Iterator[Diagnostic]:
    kind = state.body.get("Type")
    for field in ("Next", "End"):
        if field in state.body and kind in (*_ENDS_BY_ITSELF, "Choice"):
            yield _schema(f"A state of type {kind} must not have the field {field}", state, field)


def _check_choices(state: StateAt) -> Iterator[Diagnostic]:
    rules = state.body.get("Choices")
    for number, rule in enumerate(rules if isinstance(rules, list) else []):
        if not isinstance(rule, Mapping):
            continue
        place = f"Choices[{number}]"
        if not isinstance(rule.get("Next"), str):
            yield _schema("A rule of a Choice must have the field Next", state, place)
        for nested, where in _nested_rules(rule, place):
            if "Next" in nested:
                yield _schema("Only the outermost rule of a Choice has the field Next", state, where, "Next")


def _nested_rules(rule: Mapping[str, Any], place: str) -> Iterator[tuple[Mapping[str, Any], str]]:
    for operator in ("And", "Or", "Not"):
        below = rule.get(operator)
        items = below if isinstance(below, list) else [below]
        for number, nested in enumerate(items):
            if isinstance(nested, Mapping):
                where = f"{place}/{operator}[{number}]" if isinstance(below, list) else f"{place}/{operator}"
                yield nested, where
                yield from _nested_rules(nested, where)


def _check_error_rules(state: StateAt) -> Iterator[Diagnostic]:
    """`States.ALL` "must appear alone in the ErrorEquals array and in the last" retrier or catcher."""
    for field in ("Retry", "Catch"):
        rules = state.body.get(field)
        if not isinstance(rules, list):
            continue
        for number, rule in enumerate(rules):
            names = rule.get("ErrorEquals") if isinstance(rule, Mapping) else None
            if isinstance(names, list) and "States.ALL" in names and (len(names) > 1 or number + 1 < len(rules)):
                message = f"States.ALL must appear alone in ErrorEquals, and in the last element of {field}"
                yield _schema(message, state, f"{field}[{number}]", "ErrorEquals")
            if field == "Catch" and isinstance(rule, Mapping) and not isinstance(rule.get("Next"), str):
                yield _schema("A catcher must have the field Next", state, f"{field}[{number}]")


def _check_assignments(state: StateAt) -> Iterator[Diagnostic]:
    for place, assignments in _assignments(state.body):
        for name in assignments:
            bare = name.removesuffix(".$")
            if bare == "states" or len(bare) > _LONGEST_NAME or not _VARIABLE_NAME.match(bare):
                message = f"A variable cannot be named {bare}: letters, digits and _, at most 80, and not states"
                yield _schema(message, state, *place)
    if "Assign" in state.body and state.body.get("Type") in _ENDS_BY_ITSELF:
        yield _schema(f"A state of type {state.body['Type']} must not have the field Assign", state, "Assign")


def _assignments(body: Mapping[str, Any]) -> Iterator[tuple[list[str], Mapping[str, Any]]]:
    if isinstance(body.get("Assign"), Mapping):
        yield ["Assign"], body["Assign"]
    for field in ("Catch", "Choices"):
        rules = body.get(field)
        for number, rule in enumerate(rules if isinstance(rules, list) else []):
            if isinstance(rule, Mapping) and isinstance(rule.get("Assign"), Mapping):
                yield [f"{field}[{number}]", "Assign"], rule["Assign"]


def _check_paths(state: StateAt, json_path: Syntax) -> Iterator[Diagnostic]:
    for field in (*FREE_PATHS, *_REFERENCE_PATHS):
        value = state.body.get(field)
        if not isinstance(value, str):
            continue
        problem = path_problem(value, json_path)
        if field in _REFERENCE_PATHS and _NOT_IN_REFERENCE.search(value):
            problem = f"{value} is no Reference Path, which names one place: no .., *, ?, @, comma or colon"
        if problem:
            yield _schema(problem, state, field)
    templates = [(field, state.body.get(field)) for field in ("Parameters", "ResultSelector", "ItemSelector")]
    templates += [("/".join(place), names) for place, names in _assignments(state.body)]
    for field, template in templates:
        for place, key, value in walk_strings(template, field):
            if not key.endswith(".$"):
                continue
            if value.startswith("$"):
                problem = path_problem(value, json_path)
                if problem:
                    yield _schema(problem, state, place)
            elif "Assign" in field and not _INTRINSIC.match(value):  # of the others the linter says so
                message = f"The value for the field '{key}' must be a valid JSONPath or a valid intrinsic function call"
                yield _schema(message, state, place)


def _check_variables(state: StateAt, assigned: Collection[str]) -> Iterator[Diagnostic]:
    """A variable that no state assigns has no value at run time either."""
    nested = ("States", "Branches", "ItemProcessor", "Iterator")
    body = {field: value for field, value in state.body.items() if field not in nested}
    for place, key, value in walk_strings(body, ""):
        if key.endswith((".$", "Path")):
            for name in variables_in(value):
                if name not in assigned:
                    yield _schema(f"The variable ${name} is assigned in no state", state, place.lstrip("/"))


def _check_expressions(state: StateAt, jsonata: Jsonata) -> Iterator[Diagnostic]:
    for place, value in _expressions(state.body):
        problem = expression_problem(value, jsonata)
        where = f"{state.location}/{place}"
        if problem:
            yield Diagnostic(*problem, where)
        for message in unsupported_references(value, jsonata, in_catcher=place.startswith("Catch[")):
            yield Diagnostic("UNSUPPORTED_JSONATA_EXPRESSION", message, where)


def _expressions(body: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Where a state's JSONata may stand, and each string there."""
    given = [(field, body[field]) for field in _EXPRESSIONS if field in body]
    for rules in ("Catch", "Choices"):
        for number, rule in enumerate(body[rules] if isinstance(body.get(rules), list) else []):
            if isinstance(rule, Mapping):
                given += [(f"{rules}[{number}]/{field}", rule[field]) for field in _EXPRESSIONS if field in rule]
    for place, value in given:
        if isinstance(value, str):
            yield place, value
        for deeper, _, text in walk_strings(value, place):
            yield deeper, text


def _language(state: StateAt, languages: Mapping[str, Any]) -> str:
    """The state's own query language, or that of the nearest machine around it that names one."""
    if state.body.get("QueryLanguage"):
        return str(state.body["QueryLanguage"])
    around = [place for place in languages if languages[place] and state.location.startswith(f"{place}/States/")]
    return str(languages[max(around, key=len)]) if around else "JSONPath"


def _above(value: Any, most: int) -> bool:
    return isinstance(value, int) and value > most

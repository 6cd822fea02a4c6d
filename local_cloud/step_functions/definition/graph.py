"""Whether the states hang together, in AWS's words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from local_cloud.step_functions.definition.diagnostic import Diagnostic
from local_cloud.step_functions.definition.walk import Machine, machines

_ENDING = ("Succeed", "Fail")
_CONTINUING = ("Task", "Pass", "Wait", "Parallel", "Map")


def check_graph(definition: Mapping[str, Any]) -> list[Diagnostic]:
    """Find transitions to nowhere, states out of reach, states that neither go on nor end, machines without an end."""
    found: list[Diagnostic] = []
    names: set[str] = set()
    for machine in machines(definition):
        if not machine.states:
            continue
        found += _check_machine(machine)
        for name in machine.states:
            if name in names:
                found.append(Diagnostic("DUPLICATE_STATE_NAME", f"Duplicate State name: {name}", machine.at(name)))
            names.add(name)
    return found


def _check_machine(machine: Machine) -> list[Diagnostic]:
    states = machine.states
    found: list[Diagnostic] = []
    start = machine.body.get("StartAt")
    if isinstance(start, str) and start not in states:
        found.append(_missing(start, f"{machine.location}/StartAt"))
    for name, state in states.items():
        for field, target in _targets(state):
            if target not in states:
                found.append(_missing(target, machine.at(name, field)))
        if state.get("Type") in _CONTINUING and ("Next" in state) == bool(state.get("End")):
            both = "Next" in state
            found.append(
                Diagnostic(
                    "SCHEMA_VALIDATION_FAILED",
                    f"The state must have {'only ' if both else ''}one of these fields: [Next, End]",
                    machine.at(name),
                )
            )
    if not any(state.get("End") is True or state.get("Type") in _ENDING for state in states.values()):
        return [*found, Diagnostic("MISSING_END_STATE", "Workflow has no terminal state")]
    reached = _reach(start, states) if isinstance(start, str) else set(states)
    return found + [
        Diagnostic("MISSING_TRANSITION_TARGET", f'State "{name}" is not reachable.', machine.at(name))
        for name in states
        if name not in reached
    ]


def _reach(start: str, states: Mapping[str, Mapping[str, Any]]) -> set[str]:
    reached: set[str] = set()
    waiting = [start]
    while waiting:
        name = waiting.pop()
        if name not in reached and name in states:
            reached.add(name)
            waiting += [target for _, target in _targets(states[name])]
    return reached


def _targets(state: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The field and the target of each transition."""
    for field in ("Next", "Default"):
        if isinstance(state.get(field), str):
            yield field, state[field]
    for field in ("Choices", "Catch"):
        rules = state.get(field)
        for number, rule in enumerate(rules if isinstance(rules, list) else []):
            if isinstance(rule, Mapping) and isinstance(rule.get("Next"), str):
                yield f"{field}[{number}]/Next", rule["Next"]


def _missing(target: str, location: str) -> Diagnostic:
    return Diagnostic("MISSING_TRANSITION_TARGET", f"Missing 'Next' target: {target}", location)

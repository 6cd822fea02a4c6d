"""Every machine within a definition: its own, and those of Parallel's branches and Map's items."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Machine:
    """A `StartAt` with its `States`, and where it stands: '' or `/States/<name>/Branches[0]`."""

    location: str
    body: Mapping[str, Any]

    @property
    def states(self) -> dict[str, dict[str, Any]]:
        """Its states by name; what is no object is left to the schema's check."""
        states = self.body.get("States")
        if not isinstance(states, Mapping):
            return {}
        return {name: state for name, state in states.items() if isinstance(state, dict)}

    def at(self, state: str, *fields: str) -> str:
        """Where a field of a state stands."""
        return "/".join([f"{self.location}/States/{state}", *fields])


@dataclass(frozen=True)
class StateAt:
    """A state, its name and where it stands."""

    name: str
    location: str
    body: Mapping[str, Any]


def machines(definition: Mapping[str, Any], location: str = "") -> Iterator[Machine]:
    """Walk over the machines, outermost first."""
    machine = Machine(location, definition)
    yield machine
    for name, state in machine.states.items():
        branches = state.get("Branches")
        for number, branch in enumerate(branches if isinstance(branches, list) else []):
            if isinstance(branch, Mapping):
                yield from machines(branch, machine.at(name, f"Branches[{number}]"))
        for field in ("ItemProcessor", "Iterator"):
            if isinstance(state.get(field), Mapping):
                yield from machines(state[field], machine.at(name, field))


def states(definition: Mapping[str, Any]) -> Iterator[StateAt]:
    """Walk over every state of every machine."""
    for machine in machines(definition):
        for name, body in machine.states.items():
            yield StateAt(name, machine.at(name), body)

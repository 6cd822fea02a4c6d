"""What all kinds of faults have in common, and the checks of their fields."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from typing import Any, ClassVar, Literal

FUNCTION, JOB, ENDPOINT = "function", "job", "endpoint"


class FaultRefusedError(ValueError):
    """A fault that makes no sense; says what is allowed."""


@dataclass(frozen=True)
class Moment:
    """When a container is struck: at its start or end, ``later`` by some seconds, or once its ``log`` says a text."""

    at: Literal["start", "end", "later", "log"]
    seconds: float = 0.0
    text: str = ""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What all kinds have in common. ``times`` is how often the fault strikes, None for ever."""

    kind: ClassVar[str]
    times: int | None = 1

    def __post_init__(self) -> None:
        """Refuse what no kind allows; each kind adds its own checks."""
        if self.times is not None:
            check_number(self, "times", 1, whole=True)

    def as_json(self) -> dict[str, Any]:
        """The fault as it is given and told."""
        return {"kind": self.kind, **asdict(self)}


@dataclass(frozen=True, kw_only=True)
class NamedFault(Fault):
    """A fault of a function, job or endpoint, known by its name."""

    name: str = "*"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_text(self, "name")

    def fits(self, target: str, name: str, **where: str) -> bool:  # noqa: ARG002  kinds that have these look at them
        """Whether it is about this function, job or endpoint; ``where`` says more of its place (see ServerFault)."""
        return fnmatchcase(name, self.name)


@dataclass(frozen=True, kw_only=True)
class ServerFault(NamedFault):
    """A fault of an endpoint's containers: those of one endpoint configuration or variant, or all."""

    config: str = "*"
    variant: str = "*"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_text(self, "config", "variant")

    def fits(self, target: str, name: str, **where: str) -> bool:
        """Whether it is about this container of the endpoint."""
        places = {"config": self.config, "variant": self.variant}
        fitting = all(fnmatchcase(where.get(place, ""), pattern) for place, pattern in places.items())
        return fitting and super().fits(target, name, **where)


@dataclass(frozen=True, kw_only=True)
class CallFault(Fault):
    """A fault of calls of AWS's API."""

    service: str = "*"
    action: str = "*"
    match: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_text(self, "service", "action")
        check_text(self, "match", empty=True)


def moment_of(fault: Fault, when: object) -> Moment:
    """The moment that a fault's ``when`` says. Raises FaultRefusedError."""
    if when == "start" or when == "end":
        return Moment("start" if when == "start" else "end")
    if isinstance(when, Mapping) and len(when) == 1:
        seconds, text = when.get("after_seconds"), when.get("when_log_says")
        if isinstance(seconds, int | float) and _is_number(seconds) and seconds >= 0:
            return Moment("later", seconds=float(seconds))
        if isinstance(text, str) and text:
            return Moment("log", text=text)
    raise refused(fault, "when", '"start", "end", {"after_seconds": 1.5} or {"when_log_says": "text"}', value=when)


def check_text(fault: Fault, *names: str, empty: bool = False) -> None:
    """Refuse a fault whose fields of these names are no texts, or empty ones."""
    for name in names:
        value = getattr(fault, name)
        if not isinstance(value, str) or not (value or empty):
            raise refused(fault, name, "a text" if empty else "a text that is not empty")


def check_number(
    fault: Fault, name: str, least: float, most: float = math.inf, *, whole: bool = False, other: str = ""
) -> None:
    """Refuse a fault whose field is no number, no whole one, or out of range; ``other`` names what else it may be."""
    value = getattr(fault, name)
    fits = isinstance(value, int) and not isinstance(value, bool) if whole else _is_number(value)
    if not fits or not least <= value <= most:
        noun = "a whole number" if whole else "a number"
        allowed = f"{noun} from {least} to {most}" if most < math.inf else f"{noun} of at least {least}"
        if name == "times":
            other = "null for ever"
        raise refused(fault, name, f"{allowed}{f', or {other}' if other else ''}")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def check_target(fault: Fault, *allowed: str) -> None:
    """Refuse a fault whose target is none of these."""
    if getattr(fault, "target", None) not in allowed:
        raise refused(fault, "target", f"one of {', '.join(allowed)}")


def refused(fault: Fault, name: str, allowed: str, value: object = None) -> FaultRefusedError:
    """The error for a field: its value, and what is allowed."""
    value = getattr(fault, name) if value is None else value
    return FaultRefusedError(f"{fault.kind}: {name} is {value!r}, but must be {allowed}")

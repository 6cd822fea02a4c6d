"""The kinds of faults and their fields (the table is in the package's docstring)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from local_cloud.faults.base import (
    ENDPOINT,
    FUNCTION,
    JOB,
    CallFault,
    Fault,
    FaultRefusedError,
    Moment,
    NamedFault,
    ServerFault,
    check_number,
    check_target,
    check_text,
    moment_of,
    refused,
)


@dataclass(frozen=True, kw_only=True)
class ApiError(CallFault):
    """A call gets an error of AWS's, or (``after``) takes effect and loses its answer."""

    kind = "api_error"
    code: str | None = None
    status: int | None = None
    message: str | None = None
    after: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.after, bool):
            raise refused(self, "after", "true or false")
        if self.after and (self.code, self.status, self.message) != (None, None, None):
            raise FaultRefusedError(
                "api_error: with after the answer is lost, so there is no code, status or message: leave these out, or "
                "leave out after"
            )
        for name in ("code", "message"):
            if getattr(self, name) is not None:
                check_text(self, name)
        if self.status is not None:
            check_number(self, "status", 400, 599, whole=True)


@dataclass(frozen=True, kw_only=True)
class ApiDelay(CallFault):
    """A call is passed on ``seconds`` later."""

    kind = "api_delay"
    seconds: float

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "seconds", 0)


@dataclass(frozen=True, kw_only=True)
class DeliverTwice(NamedFault):
    """An asynchronous event reaches its function twice, ``seconds`` apart."""

    kind = "deliver_twice"
    seconds: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "seconds", 0)


@dataclass(frozen=True, kw_only=True)
class Capacity(NamedFault):
    """There is no instance for a job or an endpoint."""

    kind = "capacity"
    target: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.target is not None:
            check_target(self, JOB, ENDPOINT)

    def fits(self, target: str, name: str, **where: str) -> bool:
        """Whether it is about this job or endpoint."""
        return self.target in (None, target) and super().fits(target, name, **where)


@dataclass(frozen=True, kw_only=True)
class Kill(ServerFault):
    """SIGKILL to the processes of a container."""

    kind = "kill"
    target: str
    when: str | Mapping[str, Any] = "start"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_target(self, FUNCTION, JOB, ENDPOINT)
        if self.target != ENDPOINT and (self.config, self.variant) != ("*", "*"):
            raise FaultRefusedError(
                f"kill: config and variant are for the target endpoint: leave them out for a {self.target}"
            )
        if self.moment.at == "end" and self.target == ENDPOINT:
            raise FaultRefusedError("kill: an endpoint does not end by itself: give another when than end")

    @property
    def moment(self) -> Moment:
        """When it strikes."""
        return moment_of(self, self.when)

    def fits(self, target: str, name: str, **where: str) -> bool:
        """Whether it is about this function, job or container of an endpoint."""
        return self.target == target and super().fits(target, name, **where)


@dataclass(frozen=True, kw_only=True)
class InstanceLost(NamedFault):
    """The machine below a job is gone."""

    kind = "instance_lost"
    when: str | Mapping[str, Any] = "start"

    def __post_init__(self) -> None:
        super().__post_init__()
        moment_of(self, self.when)

    @property
    def moment(self) -> Moment:
        """When it strikes."""
        return moment_of(self, self.when)

    def fits(self, target: str, name: str, **where: str) -> bool:
        """Whether it is about this job."""
        return target == JOB and super().fits(target, name, **where)


@dataclass(frozen=True, kw_only=True)
class _Size(NamedFault):
    """A job or a function has less of something than it needs."""

    megabytes: int
    target: str = JOB

    def __post_init__(self) -> None:
        super().__post_init__()
        check_target(self, JOB, FUNCTION)
        check_number(self, "megabytes", 1, whole=True)

    def fits(self, target: str, name: str, **where: str) -> bool:
        """Whether it is about this job or function."""
        return self.target == target and super().fits(target, name, **where)


class Memory(_Size):
    """A container that uses more than ``megabytes`` of memory is killed."""

    kind = "memory"


class Volume(_Size):
    """What a container writes to has room for ``megabytes`` only."""

    kind = "volume"


@dataclass(frozen=True, kw_only=True)
class Ping(ServerFault):
    """A health check of an endpoint's container fails: of one that is to get into service, or is in service."""

    kind = "ping"
    during: str = "start"
    status: int | str = 503
    give_up_seconds: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.during not in ("start", "service"):
            raise refused(self, "during", '"start" or "service"')
        if self.status != "stall":
            check_number(self, "status", 400, 599, whole=True, other='"stall"')
        if self.give_up_seconds is not None:
            check_number(self, "give_up_seconds", 0)


@dataclass(frozen=True, kw_only=True)
class Answer(ServerFault):
    """An invocation of an endpoint is answered without its container, or late."""

    kind = "answer"
    status: int | None = None
    body: str | None = None
    content_type: str | None = None
    seconds: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.status is not None:
            check_number(self, "status", 200, 599, whole=True)
        if self.body is not None:
            check_text(self, "body", empty=True)
        if self.content_type is not None:
            check_text(self, "content_type")
        check_number(self, "seconds", 0)
        if self.status is None and self.body is None and not self.seconds:
            raise FaultRefusedError("answer: give a status, a body or seconds; without any of them nothing happens")

    @property
    def instead(self) -> bool:
        """Whether the container is not asked at all."""
        return self.status is not None or self.body is not None


KINDS: dict[str, type[Fault]] = {
    known.kind: known
    for known in (
        ApiError, ApiDelay, DeliverTwice, Capacity, Kill, InstanceLost, Memory, Volume, Ping, Answer,
    )
}  # fmt: skip


def parse(given: object) -> Fault:
    """Make a fault of parsed JSON. Raises FaultRefusedError."""
    if not isinstance(given, Mapping):
        raise FaultRefusedError(f'a fault is an object, such as {{"kind": "capacity"}}; this is {given!r}')
    name = given.get("kind")
    kind = KINDS.get(name) if isinstance(name, str) else None
    if kind is None:
        raise FaultRefusedError(f"there is no fault of kind {name!r}; there are {', '.join(KINDS)}")
    known = [field.name for field in fields(kind)]
    values = {name: value for name, value in given.items() if name != "kind"}
    if unknown := sorted(values.keys() - set(known)):
        raise FaultRefusedError(f"{kind.kind} has no {', '.join(map(repr, unknown))}; it has {', '.join(known)}")
    try:
        return kind(**values)
    except TypeError as missing:  # every field is there by name, so what is left is one that must be given
        needed = ", ".join(name for name in ("target", "megabytes", "seconds") if f"'{name}'" in str(missing))
        raise FaultRefusedError(f"{kind.kind} needs {needed}") from None

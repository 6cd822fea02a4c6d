"""The faults that are armed, and those that have struck as often as they were to."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from local_cloud.faults.base import ENDPOINT, Fault, NamedFault
from local_cloud.faults.models import Ping

SomeFault = TypeVar("SomeFault", bound=Fault)
SomeNamedFault = TypeVar("SomeNamedFault", bound=NamedFault)


@dataclass(eq=False)
class Armed(Generic[SomeFault]):
    """A fault with its number and how often it has struck."""

    number: int
    fault: SomeFault
    hits: int = field(default=0)

    @property
    def left(self) -> int | None:
        """How often it will strike; None for ever."""
        return None if self.fault.times is None else self.fault.times - self.hits

    def as_json(self) -> dict[str, Any]:
        """As the front door tells it."""
        left = {} if self.left is None else {"left": self.left}
        return {"id": self.number, **self.fault.as_json(), "hits": self.hits, **left}


class FaultPlan:
    """What shall go wrong. Thread-safe; while nothing is armed, asking it costs a look at an empty tuple.

    Two ways to ask: ``take`` what strikes now; or see what ``may_strike`` later, and ``use`` it when it does.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._armed: tuple[Armed[Any], ...] = ()  # replaced as a whole, so that it can be read without the lock
        self._spent: list[Armed[Any]] = []

    def __bool__(self) -> bool:
        """Whether anything is armed."""
        return bool(self._armed)

    def arm(self, faults: Iterable[Fault]) -> list[Armed[Any]]:
        """Arm faults, behind those already armed."""
        with self._lock:
            added = [Armed(next(self._numbers), fault) for fault in faults]
            self._armed = (*self._armed, *added)
            return added

    def clear(self) -> int:
        """Disarm all and forget the spent ones; returns how many were armed."""
        with self._lock:
            number = len(self._armed)
            self._armed, self._spent = (), []
            return number

    def as_json(self) -> dict[str, Any]:
        """Armed and spent faults, the oldest first."""
        with self._lock:
            return {
                "armed": [armed.as_json() for armed in self._armed],
                "spent": [spent.as_json() for spent in self._spent],
            }

    def matching(self, kind: type[SomeFault], fits: Callable[[SomeFault], bool]) -> list[Armed[SomeFault]]:
        """The armed faults of a kind that fit, the oldest first; none of them counts as having struck."""
        return [armed for armed in self._armed if isinstance(armed.fault, kind) and fits(armed.fault)]

    def may_strike(
        self, kind: type[SomeNamedFault], target: str, name: str, **where: str
    ) -> list[Armed[SomeNamedFault]]:
        """The armed faults of a kind about a function, job or endpoint, the oldest first."""
        return self.matching(kind, lambda fault: fault.fits(target, name, **where)) if self._armed else []

    def use(self, armed: Armed[Any]) -> bool:
        """Let a fault strike once; False if it has been disarmed or used up meanwhile."""
        with self._lock:
            if armed not in self._armed:
                return False
            armed.hits += 1
            if armed.left == 0:
                self._armed = tuple(one for one in self._armed if one is not armed)
                self._spent.append(armed)
            return True

    def take_where(self, kind: type[SomeFault], fits: Callable[[SomeFault], bool]) -> SomeFault | None:
        """The oldest fault of a kind that fits, which strikes now."""
        return next((armed.fault for armed in self.matching(kind, fits) if self.use(armed)), None)

    def take(self, kind: type[SomeNamedFault], target: str, name: str, **where: str) -> SomeNamedFault | None:
        """The oldest fault of a kind about this function, job or endpoint, which strikes now."""
        return self.take_where(kind, lambda fault: fault.fits(target, name, **where)) if self._armed else None

    def take_ping(self, endpoint: str, during: str, **where: str) -> Ping | None:
        """The oldest fault of health checks of an endpoint at that time, which strikes now."""
        if not self._armed:
            return None
        return self.take_where(Ping, lambda fault: fault.during == during and fault.fits(ENDPOINT, endpoint, **where))

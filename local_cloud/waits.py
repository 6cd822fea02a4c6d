"""What waits for an instant of the cloud's time, and who moves the clock is told of it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from local_cloud.clock import Clock, to_iso

_logger = logging.getLogger(__name__)
_LOOK_SECONDS = 0.1

Look = Callable[[], str | None]


class _Wait:
    """One thread that waits; `reason` is why it waits no longer, though its time has not come."""

    def __init__(self, until: datetime, what: Mapping[str, Any], look: Look) -> None:
        self.until, self.what, self._look = until, what, look
        self.reason: str | None = None

    def look(self) -> str | None:
        """Look, unless there is a reason already; what goes wrong in looking is no reason."""
        if self.reason is None:
            try:
                self.reason = self._look()
            except Exception:
                _logger.exception("looking at what %s waits for failed", dict(self.what))
        return self.reason


class ClockWaits:
    """Waits of the cloud's services that last as long as the cloud's clock says, however it is moved."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._moved = threading.Condition()
        self._waiting: list[_Wait] = []
        clock.before_move(self.look)
        clock.on_move(self._wake)

    def now(self) -> datetime:
        """The cloud's time, in UTC."""
        return self._clock.now()

    def until(self, instant: datetime, what: Mapping[str, Any], look: Look) -> str | None:
        """Return None once the cloud's time is ``instant``, or before that the first reason that ``look`` gives.

        ``look`` is asked ten times a second, at the end, when an alarm changes its state, and each time before the
        clock is moved: so nothing that was there goes unseen, however far the clock leaps. ``what`` says who waits, for
        those who move the clock.
        """
        wait = _Wait(instant, what, look)
        with self._moved:
            self._waiting.append(wait)
        try:
            while wait.look() is None and self.now() < instant:
                left = (instant - self.now()).total_seconds()
                with self._moved:
                    self._moved.wait(max(0.0, min(left, _LOOK_SECONDS)))
            return wait.reason
        finally:
            with self._moved:
                self._waiting.remove(wait)

    def look(self) -> None:
        """Let everyone who waits look now."""
        with self._moved:
            waiting = list(self._waiting)
        for wait in waiting:
            wait.look()

    def as_json(self) -> dict[str, Any]:
        """Who waits for what, the next one first.

        ``until`` is rounded up to a second, so that a clock that is moved there is not too early; ``next`` is the first
        of these instants, None where nobody waits.
        """
        with self._moved:
            waiting = sorted((wait.until, index) for index, wait in enumerate(self._waiting))
            found = [{**self._waiting[index].what, "until": to_iso(_next_second(until))} for until, index in waiting]
        return {"now": to_iso(self.now()), "next": found[0]["until"] if found else None, "waiting": found}

    def _wake(self, _seconds: float) -> None:
        with self._moved:
            self._moved.notify_all()


def _next_second(instant: datetime) -> datetime:
    return instant + timedelta(seconds=1) - timedelta(microseconds=instant.microsecond or 1_000_000)

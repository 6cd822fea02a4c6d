"""The local cloud's clock: real time plus an offset that a caller may move forward, so that weeks pass in seconds."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path


class ClockMovedBackError(ValueError):
    """A caller asked for a time before the clock's present one."""


class Clock:
    """Tells the cloud's time: real time plus an offset that outlives a restart.

    The offset is kept in ``file`` (JSON, ``{"offset_seconds": float}``), or only in memory without one.
    ``real_time`` returns seconds since the epoch and is a parameter for the tests.
    """

    def __init__(self, file: Path | None = None, real_time: Callable[[], float] = time.time) -> None:
        self._file = file
        self._real_time = real_time
        self._lock = threading.Lock()
        self._offset = self._load()
        self._before: list[Callable[[], object]] = []
        self._followers: list[Callable[[float], None]] = []

    def before_move(self, last_look: Callable[[], object]) -> None:
        """Call `last_look` each time the clock is about to be moved forward: what is so now is not missed."""
        self._before.append(last_look)

    def on_move(self, follower: Callable[[float], None]) -> None:
        """Call `follower` with the seconds by which the clock has just been moved forward, each time it is."""
        self._followers.append(follower)

    def now(self) -> datetime:
        """Return the cloud's time, in UTC."""
        return datetime.fromtimestamp(self._real_time(), UTC) + timedelta(seconds=self._offset)

    @property
    def offset_seconds(self) -> float:
        """How far the cloud's clock is ahead of real time, in seconds."""
        return self._offset

    def move_to(self, instant: datetime) -> None:
        """Move the clock forward to ``instant`` (aware); it runs on from there. Raises ClockMovedBackError."""
        if instant >= self.now():
            for last_look in self._before:
                last_look()
        with self._lock:
            now = self.now()
            if instant < now:
                raise ClockMovedBackError(
                    f"the clock stands at {to_iso(now)} and cannot go back to {to_iso(instant)}: what happened since "
                    "cannot be undone; start a new local cloud to begin at an earlier time"
                )
            seconds = (instant - now).total_seconds()
            self._offset += seconds
            self._save()
        for follower in self._followers:
            follower(seconds)

    def set_before_first_use(self, instant: datetime) -> None:
        """Set the clock to any time, also an earlier one; for a cloud in which nothing has happened yet."""
        with self._lock:
            self._offset = instant.timestamp() - self._real_time()
            self._save()

    def _load(self) -> float:
        if self._file is None or not self._file.exists():
            return 0.0
        return float(json.loads(self._file.read_text())["offset_seconds"])

    def _save(self) -> None:
        if self._file is None:
            return
        unfinished = self._file.with_suffix(".tmp")
        unfinished.write_text(json.dumps({"offset_seconds": self._offset}))
        unfinished.replace(self._file)


def to_iso(instant: datetime) -> str:
    """Return an instant as EventBridge writes it: UTC, seconds, ``Z``."""
    return instant.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


def from_iso(text: str) -> datetime:
    """Return the instant of an ISO 8601 text; one without an offset is UTC. Raises ValueError."""
    instant = datetime.fromisoformat(text)
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)

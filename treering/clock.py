"""Time and chance, passed in: what waits, retries or dates something can be tested in no time at all."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Clock:
    """The instants, waits and random numbers that a piece of code uses."""

    now: Callable[[], datetime] = _utc_now  # with time zone
    monotonic: Callable[[], float] = time.monotonic  # seconds from an arbitrary start
    sleep: Callable[[float], None] = time.sleep  # seconds
    random: Callable[[], float] = random.random  # in [0, 1)


SYSTEM_CLOCK = Clock()


@dataclass(frozen=True)
class Deadline:
    """The instant by which a piece of work must have ended."""

    at: float  # on the clock's monotonic scale, seconds
    clock: Clock = field(default=SYSTEM_CLOCK)

    @classmethod
    def after(cls, seconds: float, clock: Clock = SYSTEM_CLOCK) -> "Deadline":
        """The deadline that lies `seconds` ahead."""
        return cls(clock.monotonic() + seconds, clock)

    def later(self, seconds: float) -> "Deadline":
        """The deadline that lies `seconds` after this one."""
        return Deadline(self.at + seconds, self.clock)

    def remaining(self) -> float:
        """Seconds left; zero or less once it has passed."""
        return self.at - self.clock.monotonic()

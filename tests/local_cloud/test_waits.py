"""What waits for the cloud's clock, whoever moves it."""

import threading
from datetime import UTC, datetime, timedelta

from local_cloud.clock import Clock
from local_cloud.waits import ClockWaits

BEGIN = datetime(2026, 11, 21, 8, 0, 0, 500_000, tzinfo=UTC)


def wait_in_background(waits: ClockWaits, until: datetime, look) -> tuple[threading.Thread, list[str | None]]:
    """A thread that waits, and what comes of it."""
    result: list[str | None] = []
    thread = threading.Thread(target=lambda: result.append(waits.until(until, {"who": "oak"}, look)), daemon=True)
    thread.start()
    while not waits.as_json()["waiting"]:
        pass
    return thread, result


def test_a_wait_ends_when_the_clock_is_moved_there() -> None:
    """It is listed until then, with a full second that is not too early."""
    clock = Clock(real_time=BEGIN.timestamp)
    waits = ClockWaits(clock)
    thread, result = wait_in_background(waits, BEGIN + timedelta(minutes=10), lambda: None)
    listed = waits.as_json()
    clock.move_to(BEGIN + timedelta(minutes=9))
    thread.join(0.3)
    before = list(result)
    clock.move_to(datetime.fromisoformat(listed["next"]))
    thread.join(5)

    assert listed["waiting"] == [{"who": "oak", "until": "2026-11-21T08:10:01Z"}]
    assert listed["next"] == "2026-11-21T08:10:01Z"
    assert before == []
    assert result == [None]
    assert waits.as_json()["waiting"] == []
    assert waits.as_json()["next"] is None


def test_a_reason_ends_a_wait_early() -> None:
    """The first one counts."""
    waits = ClockWaits(Clock(real_time=BEGIN.timestamp))
    reasons = iter([None, None, "alarm", "another"])

    assert waits.until(BEGIN + timedelta(hours=1), {}, lambda: next(reasons)) == "alarm"


def test_everyone_looks_before_the_clock_is_moved() -> None:
    """So a reason that is gone when the clock has leapt is not missed; looking that fails is no reason."""
    clock = Clock(real_time=BEGIN.timestamp)
    waits = ClockWaits(clock)
    tripped = threading.Event()
    slow = threading.Event()

    def look() -> str | None:
        if threading.current_thread() is threading.main_thread():
            return "alarm" if tripped.is_set() else None
        slow.wait(0.01)
        raise RuntimeError("cannot look")

    thread, result = wait_in_background(waits, BEGIN + timedelta(minutes=10), look)
    tripped.set()
    clock.on_move(lambda _seconds: tripped.clear())
    clock.move_to(BEGIN + timedelta(days=1))
    thread.join(5)

    assert result == ["alarm"]

"""Schedules fire by the cloud's clock."""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from ministack.services import eventbridge

from local_cloud.clock import Clock, ClockMovedBackError, from_iso, to_iso
from local_cloud.schedules import Scheduler, last_due, next_due

MONDAY = "cron(0 6 ? * MON *)"


def at(text: str) -> datetime:
    """An instant."""
    return from_iso(text)


@pytest.mark.parametrize(
    ("schedule", "after", "expected"),
    [
        (MONDAY, "2026-11-21T00:00:00Z", "2026-11-23T06:00:00Z"),
        (MONDAY, "2026-11-23T06:00:00Z", "2026-11-30T06:00:00Z"),
        ("cron(0 0 1 1 ? 2030)", "2026-11-21T00:00:00Z", "2030-01-01T00:00:00Z"),
        ("rate(7 days)", "2026-11-21T00:00:00Z", "2026-11-27T12:00:00Z"),
        ("rate(5 minutes)", "2026-11-20T12:00:00Z", "2026-11-20T12:05:00Z"),
    ],
)
def test_next_due(schedule: str, after: str, expected: str) -> None:
    """A cron expression is due by the calendar, a rate counts from the rule's creation."""
    assert next_due(schedule, created=at("2026-11-20T12:00:00Z"), after=at(after)) == at(expected)


@pytest.mark.parametrize(
    ("schedule", "until", "expected"),
    [
        (MONDAY, "2026-11-22T00:00:00Z", None),
        (MONDAY, "2026-11-23T06:00:00Z", "2026-11-23T06:00:00Z"),
        (MONDAY, "2027-11-23T00:00:00Z", "2027-11-22T06:00:00Z"),
        ("rate(1 minute)", "2027-11-21T00:00:30Z", "2027-11-21T00:00:00Z"),
        ("cron(0 0 1 1 ? 2020)", "2027-11-21T00:00:00Z", None),
    ],
)
def test_last_due(schedule: str, until: str, expected: str | None) -> None:
    """The latest due instant of an interval counts, however long the interval is."""
    begin = at("2026-11-21T00:00:00Z")
    found = last_due(schedule, created=begin, after=begin, until=at(until))

    assert found == (at(expected) if expected else None)


def test_what_is_no_schedule_is_refused() -> None:
    """With the two forms there are."""
    with pytest.raises(ValueError, match="write cron"):
        next_due("every monday", created=at("2026-11-21"), after=at("2026-11-21"))


class TestClock:
    """The clock."""

    def test_it_runs_on_from_where_it_was_moved(self) -> None:
        """By real time."""
        real = [1000.0]
        clock = Clock(real_time=lambda: real[0])
        clock.move_to(at("2030-01-01T00:00:00Z"))
        real[0] += 60

        assert to_iso(clock.now()) == "2030-01-01T00:01:00Z"

    def test_it_does_not_go_back(self) -> None:
        """Unless nothing has happened yet."""
        clock = Clock(real_time=lambda: 1_000_000_000.0)
        with pytest.raises(ClockMovedBackError, match="cannot go back to 2001-01-01"):
            clock.move_to(at("2001-01-01T00:00:00Z"))
        clock.set_before_first_use(at("2001-01-01T00:00:00Z"))

        assert to_iso(clock.now()) == "2001-01-01T00:00:00Z"

    def test_its_offset_outlives_a_restart(self, tmp_path: Path) -> None:
        """In a file of the state directory."""
        file = tmp_path / "clock.json"
        Clock(file, real_time=lambda: 0.0).move_to(at("1970-01-02T00:00:00Z"))

        assert json.loads(file.read_text()) == {"offset_seconds": 86400.0}
        assert to_iso(Clock(file, real_time=lambda: 3600.0).now()) == "1970-01-02T01:00:00Z"


class TestScheduler:
    """The scheduler, with a clock that stands still."""

    @pytest.fixture
    def clock(self) -> Clock:
        """Saturday."""
        return Clock(real_time=lambda: at("2026-11-21T00:00:00Z").timestamp())

    @pytest.fixture
    def delivered(self) -> list[dict[str, Any]]:
        """Events that were delivered."""
        return []

    @pytest.fixture
    def scheduler(self, clock: Clock, delivered: list[dict[str, Any]]) -> Iterator[Scheduler]:
        """A scheduler that has seen one rule for Mondays."""
        eventbridge._rules.clear()
        eventbridge._ensure_default_bus()
        eventbridge._put_rule({"Name": "weekly", "ScheduleExpression": MONDAY})
        scheduler = Scheduler(clock, lambda _account, _region, _rule, event: delivered.append(event))
        scheduler.look()
        yield scheduler
        eventbridge._rules.clear()

    def test_each_week_brings_one_event(
        self, scheduler: Scheduler, clock: Clock, delivered: list[dict[str, Any]]
    ) -> None:
        """With the scheduled instant as its time."""
        for _week in range(3):
            scheduler.move_clock(clock.now() + timedelta(days=7))

        assert [event["time"] for event in delivered] == [
            "2026-11-23T06:00:00Z",
            "2026-11-30T06:00:00Z",
            "2026-12-07T06:00:00Z",
        ]
        assert {event["source"] for event in delivered} == {"aws.events"}
        assert len({event["id"] for event in delivered}) == 3

    def test_a_long_jump_brings_the_last_event_only(
        self, scheduler: Scheduler, delivered: list[dict[str, Any]]
    ) -> None:
        """Instants that were jumped over are not made up for."""
        firings = scheduler.move_clock(at("2027-11-21T00:00:00Z"))

        assert [to_iso(firing.time) for firing in firings] == ["2027-11-15T06:00:00Z"]
        assert len(delivered) == 1

    def test_who_moves_the_clock_hears_of_the_firing(
        self, scheduler: Scheduler, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Also when the scheduler's own look falls between the moving and the looking."""
        move_to = clock.move_to
        looks: list[threading.Thread] = []

        def look_right_after(instant: datetime) -> None:
            move_to(instant)
            look = threading.Thread(target=scheduler.look)
            look.start()
            look.join(timeout=0.5)
            looks.append(look)

        monkeypatch.setattr(clock, "move_to", look_right_after)
        firings = scheduler.move_clock(at("2026-11-24T00:00:00Z"))
        looks[0].join()

        assert [to_iso(firing.time) for firing in firings] == ["2026-11-23T06:00:00Z"]

    def test_a_rule_counts_from_when_it_was_made(self, scheduler: Scheduler, clock: Clock) -> None:
        """Not from before."""
        scheduler.move_clock(at("2026-11-25T00:00:00Z"))
        eventbridge._put_rule({"Name": "daily", "ScheduleExpression": "rate(1 day)"})
        soon = scheduler.move_clock(clock.now() + timedelta(hours=23))
        later = scheduler.move_clock(clock.now() + timedelta(hours=1))

        assert soon == []
        assert [(firing.rule_name, to_iso(firing.time)) for firing in later] == [("daily", "2026-11-26T00:00:00Z")]

    def test_a_clock_that_is_set_fires_nothing(self, scheduler: Scheduler, delivered: list[dict[str, Any]]) -> None:
        """Also back in time; from there on the rules count."""
        scheduler.set_clock(at("2010-06-01T00:00:00Z"))
        before = list(delivered)
        scheduler.move_clock(datetime(2010, 6, 8, tzinfo=UTC))

        assert before == []
        assert [event["time"] for event in delivered] == ["2010-06-07T06:00:00Z"]

"""Fires EventBridge's scheduled rules by the local cloud's own clock.

It stands in for the emulator's scheduler, which follows the machine's clock and so cannot be moved. Rules, targets
and the reading of ``cron(…)`` and ``rate(…)`` are the emulator's. Schedules of rules are in UTC
(https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-rule-schedule.html).
"""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from ministack.services import eventbridge

from local_cloud import durable_files
from local_cloud.clock import Clock, to_iso

_logger = logging.getLogger(__name__)
_TICK_SECONDS = 0.5
_FIRST_WINDOW = timedelta(minutes=2)


class Deliver(Protocol):
    """Hands an event to every target of a rule; must not block."""

    def __call__(self, account: str, region: str, rule: Mapping[str, Any], event: dict[str, Any]) -> None:
        """Deliver one event of one rule."""


@dataclass(frozen=True)
class Firing:
    """One scheduled instant of one rule that has come."""

    rule_name: str
    rule_arn: str
    time: datetime

    def as_json(self) -> dict[str, str]:
        """Return the firing as the clock's HTTP answer carries it."""
        return {"rule": self.rule_name, "rule_arn": self.rule_arn, "time": to_iso(self.time)}


class Scheduler:
    """Watches the clock and fires each enabled scheduled rule at its last due instant since the previous look.

    A rule fires at most once per look: when the clock jumps over many due instants only the last one fires, so that a
    moved clock brings one event per rule, not a flood. EventBridge, too, never catches up on instants it missed: what
    was due while no cloud ran does not fire later. ``file`` keeps when each rule was created, from where ``rate(…)``
    counts, also after a restart.
    """

    def __init__(self, clock: Clock, deliver: Deliver, file: Path | None = None) -> None:
        self._file = file
        self._clock = clock
        self._deliver = deliver
        self._looked_at: dict[str, datetime] = {}
        self._created: dict[str, datetime] = durable_files.read(file) if file and file.is_file() else {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="schedules", daemon=True)

    def start(self) -> None:
        """Start looking at the clock twice a second."""
        self._thread.start()

    def close(self) -> None:
        """Stop firing rules."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)

    def move_clock(self, instant: datetime) -> list[Firing]:
        """Move the clock forward and fire what came due between its old and its new time."""
        with self._lock:  # else the scheduler's own look, coming in between, would fire what the caller asks about
            self._look()  # what is due up to the old time belongs to the old time
            self._clock.move_to(instant)
            return self._look()

    def set_clock(self, instant: datetime) -> None:
        """Set the clock to any time, firing nothing: schedules count from there."""
        with self._lock:
            self._clock.set_before_first_use(instant)
            self._looked_at = dict.fromkeys(self._looked_at, instant)
            self._created = dict.fromkeys(self._created, instant)
            self._save()

    def look(self) -> list[Firing]:
        """Fire every rule that came due since the previous look."""
        with self._lock:
            return self._look()

    def _look(self) -> list[Firing]:
        now = self._clock.now()
        firings = []
        rules = {rule["Arn"]: (account, region, rule) for account, region, rule in _scheduled_rules()}
        known = set(self._created)
        for arn in known - rules.keys():
            self._looked_at.pop(arn, None)
            del self._created[arn]
        for arn, (account, region, rule) in rules.items():
            since = self._looked_at.setdefault(arn, now)
            created = self._created.setdefault(arn, now)
            self._looked_at[arn] = now
            due = last_due(rule["ScheduleExpression"], created=created, after=since, until=now)
            if due is None or rule.get("State") != "ENABLED":
                continue
            firings.append(Firing(rule["Name"], arn, due))
            self._deliver(account, region, rule, scheduled_event(rule, account, region, due))
        if self._created.keys() != known:
            self._save()
        return firings

    def _save(self) -> None:
        if self._file is not None:
            durable_files.write(self._file, durable_files.to_json(self._created))

    def _run(self) -> None:
        while not self._stop.wait(_TICK_SECONDS):
            try:
                self.look()
            except Exception:  # the scheduler outlives one broken rule
                _logger.exception("looking at the schedules failed; trying again in %s s", _TICK_SECONDS)


def next_due(expression: str, *, created: datetime, after: datetime) -> datetime | None:
    """Return the first instant of a schedule later than ``after``; None if there is none within four years."""
    seconds = eventbridge._parse_rate_seconds(expression)
    if seconds is not None:
        # "The countdown begins when you create the rule"
        passed = max(0, int((after - created).total_seconds() // seconds))
        return created + timedelta(seconds=(passed + 1) * seconds)
    fields = eventbridge._parse_cron_fields(expression)
    if fields is None:
        raise ValueError(
            f"{expression!r} is no schedule: write cron(minutes hours day month weekday year) or rate(n unit)"
        )
    found: datetime | None = eventbridge._cron_next_fire(fields, after.astimezone(UTC))
    return found


def last_due(expression: str, *, created: datetime, after: datetime, until: datetime) -> datetime | None:
    """Return the latest instant of a schedule in the interval (after, until]; None if there is none."""
    window = _FIRST_WINDOW
    while True:  # look back from the end in ever wider windows: a year of a minutely rule costs as much as a minute
        begin = max(after, until - window)
        found = None
        instant = next_due(expression, created=created, after=begin)
        while instant is not None and instant <= until:
            found = instant
            instant = next_due(expression, created=created, after=instant)
        if found is not None or begin == after:
            return found
        window *= 2


def scheduled_event(rule: Mapping[str, Any], account: str, region: str, due: datetime) -> dict[str, Any]:
    """Return the event a scheduled rule sends; its ``time`` is the scheduled instant.

    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-run-lambda-schedule.html
    """
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": account,
        "time": to_iso(due),
        "region": region,
        "resources": [rule["Arn"]],
        "detail": {},
    }


def _scheduled_rules() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for (account, region, _name), rule in list(eventbridge._rules._data.items()):
        if rule.get("ScheduleExpression"):
            yield account, region, rule

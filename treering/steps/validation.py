"""Checks a download against the use case, and says in one message all that is wrong.

One pass, and another where a key may be there twice. Memory grows by 8 bytes a row, for the keys' hashes.

Rows are checked block by block: a column of a block at once where nothing is wrong, row by row where something is.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from treering.contracts import ColumnRecord
from treering.errors import InvalidDataError
from treering.steps.csv_records import BrokenCsvError, CsvRecords, Record
from treering.steps.number_range import LARGEST_NUMBER
from treering.steps.problems import Problems
from treering.steps.repeated_keys import MOST_REPEATED, KeyHashes
from treering.use_case import UseCase

_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")  # fits 64 bits
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_AT_MOST = f"({LARGEST_NUMBER:.1e} at most)"
_MOST_NAMES = 10
_BLOCK = 16 * 1024  # characters: as Python objects they still fit the processor's cache, which halves the time
_MOST_KNOWN = 5000  # values of a column that are remembered as good


@dataclass(frozen=True)
class TableSummary:
    """What the validation saw of a table that fits: number of rows, and its columns in the file's order."""

    rows: int
    columns: tuple[ColumnRecord, ...]


@dataclass
class _Column:
    """How one column is checked, and how many of its values were missing."""

    name: str
    type: str
    position: int
    accepts: Callable[[str], bool] | None  # none: any value
    otherwise: str  # the problem of a value that is not accepted
    required: bool
    known: set[str] = field(default_factory=set)  # values that need no second look
    missing: int = 0

    def takes(self, values: Sequence[str], missing_tokens: frozenset[str]) -> bool:
        """Whether nothing is wrong with these values, each by itself."""
        if self.accepts is None:
            return not self.required or missing_tokens.isdisjoint(values)
        if self.known.issuperset(values):
            return True
        for value in values:
            if value not in self.known:
                good = not self.required if value in missing_tokens else self.accepts(value)
                if not good:
                    return False
                if len(self.known) < _MOST_KNOWN:
                    self.known.add(value)
        return True


def validate(use_case: UseCase, files: dict[str, Path], download: Sequence[str] = ()) -> TableSummary:
    """Check that all files of the use case are in `files` (name → path) and that the labelled one is as it says.

    Where one is not, the message names the files that the `download` holds: it may be there by another name.
    Raises InvalidDataError with every kind of problem, how often it occurs and its first lines.
    """
    problems = Problems()
    for name in use_case.source.files:
        if name not in files:
            problems.add(f"the file {name} is not in the download")
        elif files[name].stat().st_size == 0:
            problems.add(f"the file {name} is empty")
    if download and not files.keys() >= set(use_case.source.files):
        problems.add(f"the download holds {_listed(download)}")
    labelled = use_case.source.labelled_file
    summary = TableSummary(0, ())
    if labelled in files and files[labelled].stat().st_size:
        summary = _Table(use_case, problems).read(files[labelled])
    if problems:
        listed = "\n".join(f"- {line}" for line in problems.lines())
        raise InvalidDataError(
            f"The data of {use_case.source.competition} do not fit the use case {use_case.name}:\n{listed}\n"
            f"Nothing was stored. Correct the data, or the expectations in treering/use_cases/{use_case.name}.toml."
        )
    return summary


class _Table:
    """The labelled file, read once or twice."""

    def __init__(self, use_case: UseCase, problems: Problems) -> None:
        self._use_case = use_case
        self._file = use_case.source.labelled_file
        self._problems = problems
        self._missing_tokens = frozenset(use_case.columns.missing_tokens)
        self._width = 0  # cells of the header
        self._columns: list[_Column] = []  # that are checked
        self._keys = KeyHashes()

    def read(self, path: Path) -> TableSummary:
        rows = size = 0
        block: list[Record] = []
        broken: BrokenCsvError | None = None
        with CsvRecords(path, lambda line: self._note("lines that are not UTF-8", line)) as records:
            try:
                for record in records:
                    if not self._width:
                        self._width = len(record.cells)
                        self._columns = self._checked(record.cells)
                        continue
                    rows += 1
                    size += len(record.text)
                    block.append(record)
                    if size >= _BLOCK:
                        self._check(block)
                        block, size = [], 0
            except BrokenCsvError as error:
                broken = error
        self._check(block)
        if broken:
            self._note(f"no CSV from here on, the rest was not read: {broken.reason}", broken.line)
        self._check_keys(path)
        if rows < self._use_case.columns.minimum_rows:
            self._note(f"{rows:,} rows, at least {self._use_case.columns.minimum_rows:,} are needed")
        seen = sorted(self._columns, key=lambda column: column.position)
        return TableSummary(rows, tuple(ColumnRecord(name=c.name, type=c.type, missing=c.missing) for c in seen))

    def _check(self, block: Sequence[Record]) -> None:
        if not self._check_columns([record.cells for record in block]):
            for record in block:
                if len(record.cells) == self._width:
                    self._check_row(record.line, record.cells)
                else:
                    kind = f"rows without the header's {self._width} cells"
                    self._note(kind, record.line, f"{len(record.cells)} cells")

    def _check_columns(self, rows: Sequence[Sequence[str]]) -> bool:
        """Check rows all at once. Whether nothing was wrong; otherwise they do not count as seen."""
        if any(len(cells) != self._width for cells in rows):
            return False
        values = list(zip(*rows, strict=True))
        if not values or not all(c.takes(values[c.position], self._missing_tokens) for c in self._columns):
            return False
        for column in self._columns:
            if column.type == "key":
                self._keys.add(values[column.position])
            elif not column.required:
                column.missing += sum(map(values[column.position].count, self._missing_tokens))
        return True

    def _check_row(self, line: int, cells: Sequence[str]) -> None:
        for column in self._columns:
            value = cells[column.position]
            if value in self._missing_tokens:
                column.missing += 1
                if column.required:
                    self._note(f"column {column.name}: no value", line)
            elif column.type == "key":
                self._keys.add((value,))
            elif column.accepts is not None and not column.accepts(value):
                self._note(f"column {column.name}: {column.otherwise}", line, value)

    def _check_keys(self, path: Path) -> None:
        """Note the keys that are there more than once, in another pass if there may be any."""
        repeated = self._keys.repeated()
        if not repeated:
            return
        column = next(column for column in self._columns if column.type == "key")
        first_lines: dict[str, int] = {}
        with CsvRecords(path) as records, suppress(BrokenCsvError):  # which was noted
            for line, cells, _ in records:
                if len(cells) == self._width and hash(cells[column.position]) in repeated:
                    key = cells[column.position]
                    first = first_lines.setdefault(key, line)
                    if first != line:
                        self._note(f"column {column.name}: the same key again", line, f"{key}, as in line {first}")
        if len(repeated) == MOST_REPEATED:
            self._note(f"column {column.name}: {MOST_REPEATED:,} keys or more are there again, not all were counted")

    def _checked(self, header: Sequence[str]) -> list[_Column]:
        """The columns to check. Notes those that are missing, unknown or there twice."""
        expected = self._expected()
        times = Counter(header)
        for what, names in (
            ("columns are missing", [name for name in expected if name not in times]),
            ("columns are unknown to the use case", [name for name in times if name not in expected]),
            ("columns are there more than once", [name for name, count in times.items() if count > 1]),
        ):
            if names:
                self._note(f"{what}: {_listed(names)}")
        return [self._column(name, kind, header.index(name)) for name, kind in expected.items() if name in times]

    def _expected(self) -> dict[str, str]:
        """Every column of the labelled file and its type."""
        columns, target = self._use_case.columns, self._use_case.target.column
        types = {columns.key: "key", target: "target"}
        for kind, names in (("integer", columns.integer), ("number", columns.number), ("category", columns.category)):
            types |= dict.fromkeys(names, kind)
        return types | {name: "ignored" for name in columns.ignored if name not in types}

    def _column(self, name: str, kind: str, position: int) -> _Column:
        accepts, otherwise = {
            "integer": (_is_integer, "not a whole number"),
            "number": (_is_number, f"not a finite number {_AT_MOST}"),
            "target": (_is_positive, f"not a positive number {_AT_MOST}, which its logarithm needs")
            if self._use_case.target.log_scale
            else (_is_number, f"not a finite number {_AT_MOST}"),
        }.get(kind, (None, ""))
        return _Column(name, kind, position, accepts, otherwise, required=kind in ("key", "target", "integer"))

    def _note(self, kind: str, line: int | None = None, value: str | None = None) -> None:
        self._problems.add(f"{self._file}: {kind}", line, value)


def _is_integer(value: str) -> bool:
    return _INTEGER.fullmatch(value) is not None


def _is_number(value: str) -> bool:
    return _NUMBER.fullmatch(value) is not None and abs(float(value)) <= LARGEST_NUMBER


def _is_positive(value: str) -> bool:
    return _is_number(value) and float(value) > 0


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return ", ".join(repr(name[:60]) for name in names[:_MOST_NAMES]) + more

"""Checks a download against the use case, in one pass, and says in one message all that is wrong.

Memory does not grow with the file, apart from the set of keys.
"""

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from treering.contracts import ColumnRecord
from treering.errors import InvalidDataError
from treering.steps.csv_records import BrokenCsvError, CsvRecords
from treering.steps.problems import Problems
from treering.use_case import UseCase

_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")  # fits 64 bits
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_MOST_NAMES = 10


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
    missing: int = 0


def validate(use_case: UseCase, files: dict[str, Path]) -> TableSummary:
    """Check that all files of the use case are in `files` (name → path) and that the labelled one is as it says.

    Raises InvalidDataError with every kind of problem, how often it occurs and its first lines.
    """
    problems = Problems()
    for name in use_case.source.files:
        if name not in files:
            problems.add(f"the file {name} is not in the download")
        elif files[name].stat().st_size == 0:
            problems.add(f"the file {name} is empty")
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
    """One pass over the labelled file."""

    def __init__(self, use_case: UseCase, problems: Problems) -> None:
        self._use_case = use_case
        self._file = use_case.source.labelled_file
        self._problems = problems
        self._missing_tokens = frozenset(use_case.columns.missing_tokens)
        self._lines_of_keys: dict[str, int] = {}

    def read(self, path: Path) -> TableSummary:
        rows = 0
        columns: list[_Column] = []
        with CsvRecords(path, lambda line: self._note("lines that are not UTF-8", line)) as records:
            try:
                header: list[str] | None = None
                for line, cells, _ in records:
                    if header is None:
                        header = cells
                        columns = self._columns(header)
                        continue
                    rows += 1
                    if len(cells) == len(header):
                        self._check_row(line, cells, columns)
                    else:
                        self._note(f"rows without the header's {len(header)} cells", line, f"{len(cells)} cells")
            except BrokenCsvError as error:
                self._note(f"no CSV from here on, the rest was not read: {error.reason}", error.line)
        if rows < self._use_case.columns.minimum_rows:
            self._note(f"{rows:,} rows, at least {self._use_case.columns.minimum_rows:,} are needed")
        seen = sorted(columns, key=lambda column: column.position)
        return TableSummary(rows, tuple(ColumnRecord(name=c.name, type=c.type, missing=c.missing) for c in seen))

    def _columns(self, header: Sequence[str]) -> list[_Column]:
        """The columns to check. Notes those that are missing, unknown or there twice."""
        expected = self._expected()
        for what, names in (
            ("columns are missing", [name for name in expected if name not in header]),
            ("columns are unknown to the use case", [name for name in dict.fromkeys(header) if name not in expected]),
            ("columns are there more than once", [n for n in dict.fromkeys(header) if header.count(n) > 1]),
        ):
            if names:
                self._note(f"{what}: {_listed(names)}")
        return [self._column(name, kind, header.index(name)) for name, kind in expected.items() if name in header]

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
            "number": (_is_number, "not a finite number"),
            "target": (_is_positive, "not a positive number, which its logarithm needs")
            if self._use_case.target.log_scale
            else (_is_number, "not a finite number"),
        }.get(kind, (None, ""))
        return _Column(name, kind, position, accepts, otherwise, required=kind in ("key", "target", "integer"))

    def _check_row(self, line: int, cells: Sequence[str], columns: Iterable[_Column]) -> None:
        for column in columns:
            value = cells[column.position]
            if value in self._missing_tokens:
                column.missing += 1
                if column.required:
                    self._note(f"column {column.name}: no value", line)
            elif column.type == "key":
                first = self._lines_of_keys.setdefault(value, line)
                if first != line:
                    self._note(f"column {column.name}: the same key again", line, f"{value}, as in line {first}")
            elif column.accepts is not None and not column.accepts(value):
                self._note(f"column {column.name}: {column.otherwise}", line, value)

    def _note(self, kind: str, line: int | None = None, value: str | None = None) -> None:
        self._problems.add(f"{self._file}: {kind}", line, value)


def _is_integer(value: str) -> bool:
    return _INTEGER.fullmatch(value) is not None


def _is_number(value: str) -> bool:
    return _NUMBER.fullmatch(value) is not None and math.isfinite(float(value))


def _is_positive(value: str) -> bool:
    return _is_number(value) and float(value) > 0


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return ", ".join(repr(name[:60]) for name in names[:_MOST_NAMES]) + more

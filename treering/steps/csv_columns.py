"""Whole CSV files as columns, in memory: for the splits, which validation has already read once."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from treering.errors import InvalidDataError
from treering.steps.encoded_column import ColumnEncoder

_CELLS = 2048  # that are taken up at a time: so many still fit the processor's cache


def read_columns(path: Path) -> dict[str, list[str]]:
    """Columns of a CSV file with a header, all values as text. Raises InvalidDataError with the file and the line."""
    with _opened(path) as file:
        return parse_columns(file, path.name)


def read_encoded(path: Path) -> dict[str, Sequence[str]]:
    """The same in little memory: columns in which cells occur again are encoded (see `EncodedColumn`)."""
    with _opened(path) as file:
        records = _records(file, path.name)
        header = next(records)
        encoders = [ColumnEncoder() for _ in header]
        while block := list(islice(records, max(1, _CELLS // len(header)))):
            for encoder, cells in zip(encoders, zip(*block, strict=True), strict=True):
                encoder.extend(cells)
    return {name: encoder.column() for name, encoder in zip(header, encoders, strict=True)}


def parse_columns(lines: Iterable[str], source: str) -> dict[str, list[str]]:
    """Columns of CSV text with a header; blank lines count as nothing. `source` names it in errors."""
    header, *records = _records(lines, source)
    if not records:
        return {name: [] for name in header}
    return {name: list(values) for name, values in zip(header, zip(*records, strict=True), strict=True)}


@contextmanager
def _opened(path: Path) -> Iterator[io.TextIOBase]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield file
    except FileNotFoundError as error:
        raise InvalidDataError(f"{path.name} is not in {path.parent}. Check the input of this step.") from error


def _records(lines: Iterable[str], source: str) -> Iterator[list[str]]:
    """Header and rows, each with as many cells as the header."""
    reader = csv.reader(lines, strict=True)
    header: list[str] | None = None
    try:
        for record in reader:
            if not record:
                continue
            if header is None:
                header = record
            elif len(record) != len(header):
                raise InvalidDataError(
                    f"{source}, line {reader.line_num}: {len(record)} values, but the header has {len(header)} columns."
                )
            yield record
    except (csv.Error, UnicodeDecodeError) as error:
        raise InvalidDataError(f"{source}, line {reader.line_num}: {error}. Is it a CSV file in UTF-8?") from error
    if header is None:
        raise InvalidDataError(f"{source} is empty.")
    if len(set(header)) != len(header):
        raise InvalidDataError(f"{source}: a column's name stands twice in the header.")


def write_columns(path: Path, columns: Mapping[str, Sequence[object]]) -> None:
    """Write columns of equal length as CSV; a float is written so that reading it gives the same float."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        _write(file, columns)


def format_columns(columns: Mapping[str, Sequence[object]]) -> str:
    """The same as text."""
    file = io.StringIO(newline="")
    _write(file, columns)
    return file.getvalue()


def _write(file: io.TextIOBase, columns: Mapping[str, Sequence[object]]) -> None:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))

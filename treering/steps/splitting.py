"""Divides a table into train, validation and test by a hash of each row's key.

A row's split follows from its key, the salt and the shares alone, so it stays where it is whatever rows come or go.
"""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from treering.errors import InvalidDataError
from treering.keys import SPLITS, Split
from treering.steps.csv_records import BrokenCsvError, CsvRecords
from treering.steps.hashing import sha256_of, unit_position
from treering.use_case import UseCase


@dataclass(frozen=True)
class SplitFile:
    """A split as a local file: number of rows, size in bytes, SHA-256 in hex."""

    path: Path
    rows: int
    bytes: int
    sha256: str


def split_of(key: str, salt: str, shares: Mapping[Split, float]) -> Split:
    """The split of a row: SHA-256 of salt and key, as a number in [0, 1), falls into one of the shares laid end to end
    in the order train, validation, test."""
    position = unit_position(f"{salt}\0{key}")
    end = 0.0
    for split in SPLITS[:-1]:
        end += shares[split]
        if position < end:
            return split
    return SPLITS[-1]


def write_splits(table: Path, use_case: UseCase, folder: Path) -> dict[Split, SplitFile]:
    """Write `<split>.csv` for each split into `folder`: the table's header, then its rows in their order, both copied
    character for character.

    `table` must have passed the validation. Raises InvalidDataError where no row falls into one of the splits.
    """
    rows: dict[Split, int] = dict.fromkeys(SPLITS, 0)
    paths: dict[Split, Path] = {split: folder / f"{split}.csv" for split in SPLITS}
    salt, shares = use_case.split.salt, use_case.split.shares
    with CsvRecords(table) as records, ExitStack() as files:
        outputs = {
            split: files.enter_context(path.open("w", encoding="utf-8", newline="")) for split, path in paths.items()
        }
        try:
            iterator = iter(records)
            header = next(iterator)
            position = header.cells.index(use_case.columns.key)
            for output in outputs.values():
                output.write(_ended(header.text))
            for row in iterator:
                split = split_of(row.cells[position], salt, shares)
                outputs[split].write(_ended(row.text))
                rows[split] += 1
        except (BrokenCsvError, StopIteration, ValueError, IndexError) as error:
            raise InvalidDataError(f"{table.name} cannot be split, it was not validated: {error}") from error
    empty = [split for split in SPLITS if not rows[split]]
    if empty:
        raise InvalidDataError(
            f"None of the {sum(rows.values()):,} rows of {table.name} falls into {' and '.join(empty)}. "
            "More rows are needed, or other shares in the use case."
        )
    return {split: SplitFile(path, rows[split], path.stat().st_size, sha256_of(path)) for split, path in paths.items()}


def _ended(text: str) -> str:
    """The record's text with a line break at its end, which a file's last record may lack."""
    return text if text.endswith(("\n", "\r")) else text + "\n"

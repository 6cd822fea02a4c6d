"""A prepared split as CSV: key, features in the preprocessing's order, target in its own unit."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from treering.errors import InvalidDataError
from treering.steps.csv_columns import read_encoded
from treering.steps.encoded_column import EncodedColumn
from treering.steps.preprocessing import Cell, FeatureValues, Preprocessing

_ROWS = 4096  # that are written at a time


def write_prepared(
    path: Path, preprocessing: Preprocessing, columns: Mapping[str, Sequence[Cell]], target: NDArray[np.float64]
) -> None:
    """Apply the preprocessing to raw columns and write the result; numbers can be read back to the last bit."""
    keys = columns[preprocessing.key]
    features = [_Text(values) for values in preprocessing.feature_values(columns)]
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([preprocessing.key, *preprocessing.feature_names, preprocessing.target])
        for start in range(0, len(target), _ROWS):
            rows = slice(start, start + _ROWS)
            cells = [feature.of_rows(rows) for feature in features]
            writer.writerows(zip(keys[rows], *cells, target[rows].tolist(), strict=True))


class _Text:
    """A feature's values as the CSV has them: those of an encoded column are written as text once."""

    def __init__(self, values: FeatureValues) -> None:
        self._values = values
        column = values.parts[0]
        self._codes = None if values.is_sum else column.codes
        self._distinct = np.array([] if self._codes is None else [repr(v) for v in column.distinct.tolist()], object)

    def of_rows(self, rows: slice) -> list[object]:
        values = self._values.of_rows(rows) if self._codes is None else self._distinct[self._codes[rows]]
        return list(values.tolist())


def read_prepared(path: Path, preprocessing: Preprocessing) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Features, shape (rows, features), and target, shape (rows,), that `write_prepared` wrote."""
    columns = read_encoded(path)
    expected = [preprocessing.key, *preprocessing.feature_names, preprocessing.target]
    if list(columns) != expected:
        raise InvalidDataError(
            f"{path.name} has not the columns of its preprocessing. Are both outputs of the same preprocess job?"
        )
    numbers = np.empty((len(expected) - 1, len(columns[preprocessing.key])), np.float64)
    try:
        for index, name in enumerate(expected[1:]):
            column = columns.pop(name)
            if isinstance(column, EncodedColumn):
                numbers[index] = np.array(column.distinct, np.float64)[column.codes]
            else:
                numbers[index] = np.array(column, np.float64)
    except ValueError as error:
        raise InvalidDataError(f"{path.name} is no prepared split: {error}. Run preprocess again.") from error
    if not numbers.shape[1]:
        raise InvalidDataError(f"{path.name} has no row. Run preprocess again.")
    return numbers[:-1].T, numbers[-1]

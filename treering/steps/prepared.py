"""A prepared split as CSV: key, features in the preprocessing's order, target in its own unit."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from treering.errors import InvalidDataError
from treering.steps.csv_columns import read_columns, write_columns
from treering.steps.preprocessing import Cell, Preprocessing


def write_prepared(
    path: Path, preprocessing: Preprocessing, columns: Mapping[str, Sequence[Cell]], target: NDArray[np.float64]
) -> None:
    """Apply the preprocessing to raw columns and write the result; numbers can be read back to the last bit."""
    matrix = preprocessing.transform(columns)
    features = dict(zip(preprocessing.feature_names, matrix.T.tolist(), strict=True))
    write_columns(
        path,
        {preprocessing.key: columns[preprocessing.key], **features, preprocessing.target: target.tolist()},
    )


def read_prepared(path: Path, preprocessing: Preprocessing) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Features, shape (rows, features), and target, shape (rows,), that `write_prepared` wrote."""
    columns = read_columns(path)
    expected = [preprocessing.key, *preprocessing.feature_names, preprocessing.target]
    if list(columns) != expected:
        raise InvalidDataError(
            f"{path.name} has not the columns of its preprocessing. Are both outputs of the same preprocess job?"
        )
    try:
        numbers = np.array([columns[name] for name in expected[1:]], np.float64)
    except ValueError as error:
        raise InvalidDataError(f"{path.name} is no prepared split: {error}. Run preprocess again.") from error
    if not numbers.shape[1]:
        raise InvalidDataError(f"{path.name} has no row. Run preprocess again.")
    return numbers[:-1].T, numbers[-1]

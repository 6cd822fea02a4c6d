"""Raw values to the numbers that the forest takes. Fitted once, stored as JSON beside the model, and applied by the one
method `Preprocessing.transform` in every step and in the endpoint, so that training and serving cannot differ.

Fitting is in `treering.steps.fitting`.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError, model_validator

from treering.contracts import Contract, RunId, Version
from treering.errors import InvalidDataError
from treering.steps.encoded_column import EncodedColumn
from treering.steps.number_range import LARGEST_NUMBER

Cell = str | int | float | bool | None
Finite = Annotated[float, Field(allow_inf_nan=False)]

ALL_ROWS = slice(None)
_LONGEST_VALUE = 60  # characters of a value quoted in an error


class NumberFeature(Contract):
    """A column as it is; a missing value becomes `fill`, the mean of the training split."""

    kind: Literal["number"] = "number"
    name: str
    fill: Finite

    @property
    def columns(self) -> tuple[str, ...]:
        """Raw columns it is made of."""
        return (self.name,)


class SumFeature(Contract):
    """The sum of number columns, a missing value counting as 0."""

    kind: Literal["sum"] = "sum"
    name: str
    columns: tuple[str, ...]


class CategoryFeature(Contract):
    """A category: each level's code, the code of a level never seen in training, and the level of a missing value."""

    kind: Literal["category"] = "category"
    name: str
    missing_level: str
    codes: dict[str, Finite]
    unseen: Finite

    @property
    def columns(self) -> tuple[str, ...]:
        """Raw columns it is made of."""
        return (self.name,)


Feature = Annotated[NumberFeature | SumFeature | CategoryFeature, Field(discriminator="kind")]


class Preprocessing(Contract):
    """A fitted preprocessing: features in the order of the forest's columns, most relevant first."""

    format: Literal["treering-preprocessing-1"] = "treering-preprocessing-1"
    use_case: str
    run_id: RunId
    dataset_version: Version
    key: str
    target: str
    unit: str
    log_scale: bool
    raw_columns: tuple[str, ...]  # all that a row may have, in the order of a CSV without header
    missing_tokens: tuple[str, ...]
    features: tuple[Feature, ...]

    @model_validator(mode="after")
    def _features_are_made_of_raw_columns(self) -> Self:
        """What is read from a file is run by treering_native, which trusts its places."""
        for kind, names in (("raw columns", self.raw_columns), ("features", self.feature_names)):
            if len(set(names)) != len(names):
                raise ValueError(f"{kind} must differ in their names")
        for feature in self.features:
            unknown = set(feature.columns).difference(self.raw_columns)
            if unknown or not feature.columns:
                raise ValueError(f"feature {feature.name} must be made of raw columns, got {sorted(unknown) or 'none'}")
        return self

    @classmethod
    def from_json(cls, text: str | bytes, source: str) -> Self:
        """Read a stored preprocessing. Raises InvalidDataError that names `source`, where the text comes from."""
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise InvalidDataError(
                f"{source} is no preprocessing of this version of Treering: {error}. Train again."
            ) from error

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the features, in the order of `transform`'s columns."""
        return tuple(feature.name for feature in self.features)

    @property
    def required_columns(self) -> tuple[str, ...]:
        """Raw columns that the features are made of, in the order of `raw_columns`."""
        used = {column for feature in self.features for column in feature.columns}
        return tuple(column for column in self.raw_columns if column in used)

    def transform(self, columns: Mapping[str, Sequence[Cell]]) -> NDArray[np.float64]:
        """Features of raw rows, shape (rows, features), no value missing.

        `columns` maps a raw column to its values, one per row: text as in a CSV, or JSON's numbers and null. Columns
        that no feature needs are not looked at. Raises InvalidDataError that names a missing column, or row (from 1),
        column and value of the first number that is none.
        """
        values = self.feature_values(columns)
        rows = len(columns[self.required_columns[0]]) if values else 0
        matrix = np.empty((len(values), rows), np.float64)
        for index, feature in enumerate(values):
            matrix[index] = feature.of_rows()
        return matrix.T

    def feature_values(self, columns: Mapping[str, Sequence[Cell]]) -> list["FeatureValues"]:
        """The features of raw rows, in order, for a caller who wants not all of them at once; raises as `transform`."""
        absent = [column for column in self.required_columns if column not in columns]
        if absent:
            raise InvalidDataError(f"columns are missing: {', '.join(absent)}")
        missing = frozenset(self.missing_tokens)
        numbers: dict[str, ColumnValues] = {}
        for feature in self.features:
            if feature.kind != "category":
                for column in feature.columns:
                    if column not in numbers:
                        numbers[column] = number_values(column, columns[column], missing)
        values: list[FeatureValues] = []
        for feature in self.features:
            if feature.kind == "number":
                values.append(FeatureValues((numbers[feature.name].filled(feature.fill),)))
            elif feature.kind == "sum":
                parts = (numbers[column].filled(0.0) for column in feature.columns)
                values.append(FeatureValues(tuple(parts), is_sum=True))
            else:
                code, unseen = feature.codes.get, feature.unseen
                levels, codes = coded_levels(feature.name, columns[feature.name], missing, feature.missing_level)
                numbers_of_levels = np.array([code(level, unseen) for level in levels], np.float64)
                values.append(FeatureValues((ColumnValues(numbers_of_levels, codes),)))
        return values


class ColumnValues(NamedTuple):
    """Numbers of a column, NaN where missing: one per row or, with `codes`, the distinct ones, which `codes` number."""

    distinct: NDArray[np.float64]
    codes: NDArray[np.unsignedinteger] | None

    def of_rows(self, rows: slice = ALL_ROWS) -> NDArray[np.float64]:
        """One number per row."""
        return self.distinct[rows] if self.codes is None else self.distinct[self.codes[rows]]

    def filled(self, fill: float) -> "ColumnValues":
        """The same with `fill` for what is missing."""
        return ColumnValues(np.where(np.isnan(self.distinct), fill, self.distinct), self.codes)


class FeatureValues(NamedTuple):
    """A feature's values: a column's, or the sum of several."""

    parts: tuple[ColumnValues, ...]
    is_sum: bool = False

    def of_rows(self, rows: slice = ALL_ROWS) -> NDArray[np.float64]:
        """One number per row, none missing."""
        if not self.is_sum:
            return self.parts[0].of_rows(rows)
        first, *others = (part.of_rows(rows) for part in self.parts)
        total = 0.0 + first  # one after the other, from 0, as treering_native adds
        for values in others:
            total += values
        # A number that the forest takes. treering_native's infinity lies on the same side of every limit in it.
        return np.clip(total, -LARGEST_NUMBER, LARGEST_NUMBER, out=total)


def number_values(column: str, cells: Sequence[Cell], missing: frozenset[str]) -> ColumnValues:
    """Numbers of a column. Raises what `parse_numbers` raises."""
    if not isinstance(cells, EncodedColumn):
        return ColumnValues(np.array(parse_numbers(column, cells, missing), np.float64), None)
    try:
        return ColumnValues(np.array(parse_numbers(column, cells.distinct, missing), np.float64), cells.codes)
    except InvalidDataError:
        parse_numbers(column, cells, missing)  # names the row
        raise


def coded_levels(
    column: str, cells: Sequence[Cell], missing: frozenset[str], missing_level: str
) -> tuple[list[str], NDArray[np.unsignedinteger] | None]:
    """Levels of a category: one per row or, with codes, those of the distinct cells. Raises as `parse_levels`."""
    if isinstance(cells, EncodedColumn):
        return parse_levels(column, cells.distinct, missing, missing_level), cells.codes  # text is always a level
    return parse_levels(column, cells, missing, missing_level), None


def parse_numbers(column: str, cells: Iterable[Cell], missing: frozenset[str]) -> list[float]:
    """Numbers of a column, NaN where missing. Raises InvalidDataError with row, column and value for anything else."""
    numbers = []
    for row, cell in enumerate(cells, 1):
        if cell is None or (isinstance(cell, str) and cell.strip() in missing):
            numbers.append(math.nan)
            continue
        try:
            number = float(cell)
        except (ValueError, TypeError, OverflowError):
            number = math.nan
        # float() also reads "1_000", "nan" and True, which no CSV or JSON means as a number.
        if not abs(number) <= LARGEST_NUMBER or isinstance(cell, bool) or (isinstance(cell, str) and "_" in cell):
            raise InvalidDataError(f"row {row}, column {column}: expected a number, got {shortened(cell)}")
        numbers.append(number)
    return numbers


def parse_levels(column: str, cells: Iterable[Cell], missing: frozenset[str], missing_level: str) -> list[str]:
    """Levels of a category. A whole number is its digits: codes such as 20 are levels too.

    Raises InvalidDataError with row, column and value for what is neither text nor number.
    """
    levels = []
    for row, cell in enumerate(cells, 1):
        if isinstance(cell, str):
            level = cell.strip()
        elif cell is None:
            level = missing_level
        elif isinstance(cell, int) and not isinstance(cell, bool):
            level = str(cell) if abs(cell) <= LARGEST_NUMBER else "unseen"
        elif isinstance(cell, float):
            level = str(int(cell)) if cell.is_integer() else str(cell)
        else:
            raise InvalidDataError(f"row {row}, column {column}: expected text or a number, got {shortened(cell)}")
        levels.append(missing_level if level in missing else level)
    return levels


def shortened(value: object) -> str:
    """A value as JSON writes it, cut to what fits in a message."""
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (ValueError, TypeError, RecursionError):
        return f"a value of type {type(value).__name__}"
    return text if len(text) <= _LONGEST_VALUE else text[:_LONGEST_VALUE] + "…"

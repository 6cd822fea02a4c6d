"""Fits the preprocessing on the training split: fills, codes, and which features are kept.

A category's level is coded by the mean of the learnt target in its training rows, drawn towards the mean of all rows as
if `category_smoothing` more rows of the average had been seen (Micci-Barreca 2001, "A preprocessing scheme for
high-cardinality categorical attributes"): (sum + m·mean) / (rows + m). A forest then splits levels as it splits
numbers, and a level never seen gets the mean of all rows, which is what a level of no rows would have.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from treering.contracts import FeatureRecord
from treering.errors import InvalidDataError
from treering.steps import relevance
from treering.steps.encoded_column import EncodedColumn
from treering.steps.preprocessing import (
    CategoryFeature,
    Cell,
    ColumnValues,
    Feature,
    NumberFeature,
    Preprocessing,
    SumFeature,
    coded_levels,
    number_values,
)
from treering.use_case import UseCase

NONE_LEVEL = "None"  # of a category in which a missing value says that there is none
MISSING_LEVEL = "missing"  # of a category in which a missing value is unknown


def read_target(columns: Mapping[str, Sequence[Cell]], use_case: UseCase) -> NDArray[np.float64]:
    """The target in its own unit, one per row. Raises InvalidDataError if one is missing or, for a log scale, <= 0."""
    column = use_case.target.column
    if column not in columns:
        raise InvalidDataError(f"The target column {column} is not in the data.")
    numbers = number_values(column, columns[column], frozenset(use_case.columns.missing_tokens)).of_rows()
    wrong = np.flatnonzero(~(numbers > 0) if use_case.target.log_scale else np.isnan(numbers))
    if wrong.size:
        raise InvalidDataError(
            f"The target {column} of row {wrong[0] + 1} is missing or not positive ({wrong.size} such rows). "
            "Check the data set's validation."
        )
    return numbers


def learnt(target: NDArray[np.float64], log_scale: bool) -> NDArray[np.float64]:
    """The target on the scale that the model learns: its natural logarithm, or itself."""
    return np.log(target) if log_scale else target


def fit(
    columns: Mapping[str, Sequence[Cell]], use_case: UseCase, *, run_id: str, dataset_version: str
) -> tuple[Preprocessing, tuple[FeatureRecord, ...], tuple[FeatureRecord, ...]]:
    """Fit on the raw columns of the training split.

    Gives the preprocessing, and a record of every feature kept and left out, most relevant first (equal ones by name).
    """
    target = learnt(read_target(columns, use_case), use_case.target.log_scale)
    absent = [column for column in use_case.columns.features if column not in columns]
    if absent:
        raise InvalidDataError(
            f"The training split lacks columns of the use case {use_case.name}: {', '.join(absent)}."
        )
    candidates, missing = _candidates(columns, target, use_case)
    everything = Preprocessing(
        use_case=use_case.name,
        run_id=run_id,
        dataset_version=dataset_version,
        key=use_case.columns.key,
        target=use_case.target.column,
        unit=use_case.target.unit,
        log_scale=use_case.target.log_scale,
        raw_columns=use_case.columns.features,
        missing_tokens=use_case.columns.missing_tokens,
        features=tuple(candidates),
    )
    records = {}
    for feature, values in zip(candidates, everything.feature_values(columns), strict=True):
        measure = relevance.of_category if feature.kind == "category" else relevance.of_number
        kind = use_case.columns.type_of(feature.name) if feature.kind == "number" else feature.kind
        records[feature.name] = FeatureRecord(
            name=feature.name,
            type=kind,
            relevance=round(measure(values.of_rows(), target), 12),  # so that the last bits never decide
            missing=missing[feature.name],
        )
    ordered = sorted(candidates, key=lambda feature: (-records[feature.name].relevance, feature.name))
    kept = [feature for feature in ordered[: use_case.features.keep] if records[feature.name].relevance > 0]
    if not kept:
        raise InvalidDataError(
            f"None of the {len(candidates)} features says anything about {use_case.target.column} in the "
            f"{len(target)} training rows. Check the data set and the use case."
        )
    dropped = [feature for feature in ordered if feature not in kept]
    return (
        everything.model_copy(update={"features": tuple(kept)}),
        tuple(records[feature.name] for feature in kept),
        tuple(records[feature.name] for feature in dropped),
    )


def _candidates(
    columns: Mapping[str, Sequence[Cell]], target: NDArray[np.float64], use_case: UseCase
) -> tuple[list[Feature], dict[str, int]]:
    """All features that the use case allows, and for each the number of training rows in which it is missing."""
    of = use_case.columns
    tokens = frozenset(of.missing_tokens)
    features: list[Feature] = []
    missing: dict[str, int] = {}
    numbers: dict[str, ColumnValues] = {}
    for name in of.features:
        if of.type_of(name) == "category":
            level = NONE_LEVEL if name in of.missing_means_none else MISSING_LEVEL
            levels, codes = coded_levels(name, columns[name], tokens, level)
            features.append(_category(name, levels, codes, level, target, use_case.features.category_smoothing))
            missing[name] = _missing_cells(columns[name], tokens)
        else:
            numbers[name] = number_values(name, columns[name], tokens)
            values = numbers[name].of_rows()
            present = values[~np.isnan(values)]
            features.append(NumberFeature(name=name, fill=math.fsum(present) / len(present) if len(present) else 0.0))
            missing[name] = len(target) - len(present)
    for name, parts in use_case.features.sums.items():
        features.append(SumFeature(name=name, columns=parts))
        somewhere = np.zeros(len(target), bool)
        for part in parts:
            somewhere |= np.isnan(numbers[part].of_rows())
        missing[name] = int(somewhere.sum())
    return features, missing


def _missing_cells(cells: Sequence[Cell], tokens: frozenset[str]) -> int:
    """Number of rows whose cell is missing."""
    each = cells.distinct if isinstance(cells, EncodedColumn) else cells
    missing = np.array([cell is None or str(cell).strip() in tokens for cell in each], bool)
    return int((missing[cells.codes] if isinstance(cells, EncodedColumn) else missing).sum())


def _category(
    name: str,
    levels: Sequence[str],
    codes: NDArray[np.unsignedinteger] | None,
    missing_level: str,
    target: NDArray[np.float64],
    smoothing: float,
) -> CategoryFeature:
    overall = float(target.mean())
    distinct = sorted(set(levels))  # an array of text would be as wide as the longest, and end texts at their last NULs
    numbers = {level: number for number, level in enumerate(distinct)}
    group = np.fromiter(map(numbers.__getitem__, levels), np.intp, len(levels))
    if codes is not None:
        group = group[codes]
    sums, rows = np.bincount(group, target), np.bincount(group)
    means = (sums + smoothing * overall) / (rows + smoothing)
    return CategoryFeature(
        name=name,
        missing_level=missing_level,
        codes={level: float(mean) for level, mean in zip(distinct, means, strict=True)},
        unseen=overall,
    )

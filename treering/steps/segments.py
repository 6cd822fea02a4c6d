"""Errors apart by segment, so that a model that is good on the whole and bad for some is seen."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from treering.contracts import SegmentErrors
from treering.steps.comparison import rmse
from treering.steps.preprocessing import Cell, parse_levels, parse_numbers
from treering.use_case import Segment, UseCase

OTHER = "other"


def segment_errors(
    use_case: UseCase,
    columns: Mapping[str, Sequence[Cell]],
    challenger: NDArray[np.float64],
    champion: NDArray[np.float64] | None,
) -> tuple[SegmentErrors, ...]:
    """Errors by the segments that the use case names, in its order; a segment's levels by name or by range.

    `columns` holds the raw test rows; `challenger`, `champion` one error per row on the scale that the model learns.
    Levels with fewer rows than the segment's minimum are put together as "other".
    """
    found = []
    for segment in use_case.evaluation.segments:
        of_rows = _levels(segment, columns[segment.column], use_case)
        rows = Counter(of_rows)
        shown = {name: OTHER if count < segment.minimum_rows else name for name, count in rows.items()}
        order = [name for name in _names(segment, rows) if shown[name] != OTHER]
        order += [OTHER] if OTHER in shown.values() else []
        numbers = {name: order.index(shown[name]) for name in shown}
        levels = np.array([numbers[level] for level in of_rows])
        for number, name in enumerate(order):
            inside = levels == number
            found.append(
                SegmentErrors(
                    column=segment.column,
                    level=name,
                    rows=int(inside.sum()),
                    challenger=rmse(challenger[inside]),
                    champion=None if champion is None else rmse(champion[inside]),
                )
            )
    return tuple(found)


def _levels(segment: Segment, cells: Sequence[Cell], use_case: UseCase) -> list[str]:
    tokens = frozenset(use_case.columns.missing_tokens)
    if not segment.edges:
        return [level[:40] for level in parse_levels(segment.column, cells, tokens, "missing")]
    numbers = np.array(parse_numbers(segment.column, cells, tokens))
    ranges = _ranges(segment)
    return [
        "missing" if np.isnan(number) else ranges[int(np.searchsorted(segment.edges, number, side="right"))]
        for number in numbers
    ]


def _ranges(segment: Segment) -> list[str]:
    edges = [f"{edge:,.0f}" if segment.thousands else f"{edge:g}" for edge in segment.edges]
    return [f"below {edges[0]}", *(f"{a} to {b}" for a, b in pairwise(edges)), f"{edges[-1]} up"]


def _names(segment: Segment, present: Collection[str]) -> list[str]:
    if not segment.edges:
        return sorted(present)
    return [name for name in [*_ranges(segment), "missing"] if name in present]

"""Errors by segment: levels of a category, ranges of a number, small ones together."""

import numpy as np

from treering import use_case
from treering.steps.segments import segment_errors

CASE = use_case.load("house_prices")


def case_with(**segment):
    """The use case with one segment."""
    evaluation = use_case.Evaluation(segments=(use_case.Segment(**segment),))
    return CASE.model_copy(update={"evaluation": evaluation})


def test_a_category_is_parted_by_level_and_small_levels_are_put_together():
    """In the order of the alphabet, the rest last."""
    column = CASE.columns.category[0]
    cells = ["b"] * 3 + ["a"] * 3 + ["c", "d"]
    found = segment_errors(case_with(column=column, minimum_rows=2), {column: cells}, np.arange(8.0), None)

    assert [(segment.level, segment.rows) for segment in found] == [("a", 3), ("b", 3), ("other", 2)]
    assert found[1].challenger == np.sqrt((0 + 1 + 4) / 3)
    assert found[0].champion is None


def test_a_level_that_ends_in_nul_is_another():
    """Every row is in the one segment that has its name."""
    column = CASE.columns.category[0]
    found = segment_errors(case_with(column=column, minimum_rows=1), {column: ["A\0", "A", "A\0"]}, np.ones(3), None)

    assert [(segment.level, segment.rows) for segment in found] == [("A", 1), ("A\0", 2)]


def test_a_level_named_as_the_rest_is_part_of_it():
    """Each row counts once."""
    column = CASE.columns.category[0]
    cells = ["other", "other", "z", "z", "a"]
    found = segment_errors(case_with(column=column, minimum_rows=2), {column: cells}, np.ones(5), None)

    assert [(segment.level, segment.rows) for segment in found] == [("z", 2), ("other", 3)]


def test_a_number_is_parted_by_its_edges():
    """A value on an edge belongs to the range above it; the ranges stand in order, with both models' errors."""
    column = CASE.target.column
    segment = case_with(column=column, edges=(1000, 2000), minimum_rows=1)
    cells = ["999", "1000", "1999.5", "2000", "9000"]
    found = segment_errors(segment, {column: cells}, np.array([1.0, 2, 2, 3, 3]), np.array([4.0, 5, 5, 6, 6]))

    assert [(s.level, s.rows, s.challenger, s.champion) for s in found] == [
        ("below 1,000", 1, 1, 4),
        ("1,000 to 2,000", 2, 2, 5),
        ("2,000 up", 2, 3, 6),
    ]


def test_missing_numbers_are_a_range_of_their_own():
    """They are not left out."""
    column = CASE.columns.number[0]
    segment = case_with(column=column, edges=(10,), minimum_rows=1)
    found = segment_errors(segment, {column: ["NA", "5", "20"]}, np.ones(3), None)

    assert [s.level for s in found] == ["below 10", "10 up", "missing"]


def test_no_segments_no_errors():
    """A use case need not name any."""
    case = CASE.model_copy(update={"evaluation": use_case.Evaluation()})

    assert segment_errors(case, {}, np.ones(1), None) == ()

"""Permutation importance: what the model leans on."""

import numpy as np

from treering.steps.importance import permutation_importance


def test_what_the_model_uses_is_important_and_the_rest_is_not():
    """In order; a feature that the model does not look at changes nothing."""
    matrix = np.random.default_rng(1).normal(size=(300, 3))
    truth = 3 * matrix[:, 0] + matrix[:, 2]
    found = permutation_importance(lambda rows: 3 * rows[:, 0] + rows[:, 2], matrix, truth, ("a", "b", "c"))

    assert [item.name for item in found] == ["a", "c", "b"]
    assert found[0].increase > 2 * found[1].increase > 0
    assert found[2].increase == 0


def test_the_given_rows_are_left_alone():
    """And the same rows give the same importance."""
    matrix = np.random.default_rng(1).normal(size=(50, 2))
    before = matrix.copy()
    first = permutation_importance(lambda rows: rows.sum(axis=1), matrix, matrix.sum(axis=1), ("a", "b"))
    second = permutation_importance(lambda rows: rows.sum(axis=1), matrix, matrix.sum(axis=1), ("a", "b"))

    assert (matrix == before).all()
    assert first == second

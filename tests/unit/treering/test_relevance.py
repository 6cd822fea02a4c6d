"""Relevance: how much a feature says about the target, by itself."""

import numpy as np
import pytest

from treering.steps import relevance


@pytest.fixture
def target():
    """A target without any pattern."""
    return np.random.default_rng(0).normal(size=2000)


def test_everything_and_nothing(target):
    """A feature that is the target says nearly all, one that never varies says nothing."""
    assert relevance.of_number(target, target) > 0.9
    assert relevance.of_number(np.full(2000, 7.0), target) == 0
    assert relevance.of_category((target > 0).astype(float), target) == pytest.approx(2 / np.pi, abs=0.05)


def test_feature_without_relation_has_about_zero_however_many_levels(target):
    """Many levels do not look relevant by chance, as they would with the plain correlation ratio."""
    chance = np.random.default_rng(1)

    for levels in (2, 30, 400):
        assert abs(relevance.of_category(chance.integers(0, levels, 2000).astype(float), target)) < 0.05


def test_relation_that_is_no_line_is_seen():
    """A number whose square is the target has no correlation, but is relevant."""
    values = np.linspace(-1, 1, 1001)

    assert abs(np.corrcoef(values, values**2)[0, 1]) < 1e-9
    assert relevance.of_number(values, values**2) > 0.8


def test_adjusted_share_of_variance():
    """Two levels with targets 0, 2 and 4, 6: SSW = 4, SST = 20, so 1 - (4 / 2) / (20 / 3)."""
    value = relevance.of_category(np.array([1.0, 1, 2, 2]), np.array([0.0, 2, 4, 6]))

    assert value == pytest.approx(1 - (4 / 2) / (20 / 3))


def test_level_per_row_says_nothing(target):
    """Where every row has its own level, chance and relation cannot be told apart."""
    assert relevance.of_category(np.arange(2000.0), target) == 0


def test_order_of_rows_does_not_matter(target):
    """The same rows in another order have the same relevance, but for rounding."""
    values = target + np.random.default_rng(3).normal(size=2000)
    order = np.random.default_rng(4).permutation(2000)

    assert relevance.of_number(values, target) == pytest.approx(relevance.of_number(values[order], target[order]))

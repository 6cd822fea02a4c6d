"""The paired bootstrap: an interval of the difference of two models' errors on the same rows."""

import numpy as np
import pytest

from treering.steps.comparison import paired_bootstrap, rmse


def errors(seed: int, rows: int, spread: float) -> np.ndarray:
    """Errors of made-up predictions."""
    return np.random.default_rng(seed).normal(0, spread, rows)


def test_a_better_model_has_an_interval_below_zero():
    """The estimate is the difference of the two RMSE, new minus old, and lies in its interval."""
    old, new = errors(1, 400, 0.2), errors(2, 400, 0.1)
    found = paired_bootstrap(new, old, confidence=0.95)

    assert found.estimate == pytest.approx(rmse(new) - rmse(old))
    assert found.low < found.estimate < found.high < 0


def test_the_same_model_differs_by_nothing():
    """Pairing: the rows drawn are the same for both, so equal errors give a difference of exactly 0."""
    same = errors(1, 100, 0.1)
    found = paired_bootstrap(same, same, confidence=0.9)

    assert (found.estimate, found.low, found.high) == (0, 0, 0)


def test_pairing_makes_the_interval_narrower_than_the_errors_own():
    """Two models that are wrong on the same rows are told apart by small differences."""
    shared = errors(1, 400, 0.2)
    new, old = shared + errors(2, 400, 0.005), shared * 1.05
    paired = paired_bootstrap(new, old, confidence=0.95)
    shuffled = paired_bootstrap(new, np.random.default_rng(3).permutation(old), confidence=0.95)

    assert paired.high - paired.low < (shuffled.high - shuffled.low) / 3


def test_the_same_errors_give_the_same_interval():
    """Reproducible: the resamples are seeded."""
    new, old = errors(1, 50, 0.1), errors(2, 50, 0.1)

    assert paired_bootstrap(new, old, confidence=0.9) == paired_bootstrap(new, old, confidence=0.9)


def test_the_interval_covers_the_true_difference_as_often_as_it_says():
    """Of 200 samples from the same two models, about 90 % of the 90 % intervals hold the true difference of 0."""
    covered = 0
    for seed in range(200):
        new, old = errors(2 * seed, 80, 0.1), errors(2 * seed + 1, 80, 0.1)
        found = paired_bootstrap(new, old, confidence=0.9, resamples=300)
        covered += found.low <= 0 <= found.high

    assert 166 <= covered <= 194

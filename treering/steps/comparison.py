"""Two models on the same rows: a paired bootstrap interval of the difference of their errors."""

import numpy as np
from numpy.typing import NDArray

from treering.contracts import ErrorInterval

RESAMPLES = 2000
_SEED = 20_240_101  # the same errors give the same interval


def rmse(errors: NDArray[np.float64]) -> float:
    """Root of the mean square of `errors`, one per row."""
    return float(np.sqrt(np.mean(errors**2)))


def paired_bootstrap(
    challenger: NDArray[np.float64], champion: NDArray[np.float64], *, confidence: float, resamples: int = RESAMPLES
) -> ErrorInterval:
    """RMSE of `challenger` minus RMSE of `champion` with its percentile interval.

    Both hold one error per row, of the same rows in the same order: rows are drawn with replacement, the same ones for
    both models (Efron and Tibshirani 1993, "An Introduction to the Bootstrap", chapter 13). What is hard to predict is
    hard for both, so the interval is much narrower than those of the two errors.
    """
    chance = np.random.default_rng(_SEED)
    rows = len(challenger)
    squares = np.stack([challenger**2, champion**2])
    differences = np.empty(resamples)
    for index in range(resamples):
        new, old = np.sqrt(squares[:, chance.integers(0, rows, rows)].mean(axis=1))
        differences[index] = new - old
    tail = (1 - confidence) / 2
    low, high = np.quantile(differences, [tail, 1 - tail])
    return ErrorInterval(
        estimate=rmse(challenger) - rmse(champion),
        low=float(low),
        high=float(high),
        confidence=confidence,
        resamples=resamples,
    )

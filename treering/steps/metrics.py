"""Errors of predictions. The formulas stand with the contract, `treering.contracts.RegressionMetrics`."""

import numpy as np
from numpy.typing import NDArray

from treering.contracts import RegressionMetrics


def regression_metrics(
    actual: NDArray[np.float64], predicted: NDArray[np.float64], *, log_scale: bool
) -> RegressionMetrics:
    """Errors of `predicted` against `actual`, both in the target's unit, one per row, at least one row.

    R² of a target that does not vary is 1 for perfect predictions, else 0 (as `sklearn.metrics.r2_score` has it).
    """
    error = actual - predicted
    squares = float((error**2).sum())
    spread = float(((actual - actual.mean()) ** 2).sum())
    mse = squares / len(actual)
    log_mse = float(np.mean((np.log(actual) - np.log(predicted)) ** 2)) if log_scale else None
    return RegressionMetrics(
        rows=len(actual),
        mse=mse if log_mse is None else log_mse,
        rmse=mse**0.5,
        mae=float(np.abs(error).mean()),
        r2=1 - squares / spread if spread else float(squares == 0),
        rmse_log=None if log_mse is None else log_mse**0.5,
    )

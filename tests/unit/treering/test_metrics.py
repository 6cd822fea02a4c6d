"""Errors of predictions."""

import numpy as np
import pytest
from sklearn.metrics import mean_absolute_error, mean_squared_error, mean_squared_log_error, r2_score

from treering.steps.metrics import regression_metrics


def test_formulas_agree_with_scikit_learn():
    """Each error is what scikit-learn's function of the name gives."""
    chance = np.random.default_rng(0)
    actual = np.exp(chance.normal(12, 0.4, 200))
    predicted = actual * np.exp(chance.normal(0, 0.1, 200))
    metrics = regression_metrics(actual, predicted, log_scale=True)

    assert metrics.rows == 200
    assert metrics.rmse == pytest.approx(mean_squared_error(actual, predicted) ** 0.5)
    assert metrics.mae == pytest.approx(mean_absolute_error(actual, predicted))
    assert metrics.r2 == pytest.approx(r2_score(actual, predicted))
    assert metrics.mse == pytest.approx(mean_squared_log_error(actual - 1, predicted - 1))
    assert metrics.rmse_log == pytest.approx(metrics.mse**0.5)


def test_without_a_log_scale_the_mse_is_in_the_unit():
    """A target that may be negative has no error of logarithms."""
    metrics = regression_metrics(np.array([-1.0, 1]), np.array([0.0, 1]), log_scale=False)

    assert (metrics.mse, metrics.rmse_log) == (0.5, None)


@pytest.mark.parametrize(("predicted", "r2"), [(5.0, 1.0), (6.0, 0.0)])
def test_target_that_does_not_vary(predicted, r2):
    """R² is a number there too."""
    assert regression_metrics(np.full(3, 5.0), np.full(3, predicted), log_scale=True).r2 == r2

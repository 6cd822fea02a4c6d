"""The quality gate: thresholds for every model, and the model in service where there is one."""

import pytest

from treering.contracts import ErrorInterval, GateThresholds, RegressionMetrics
from treering.steps.gate import judge

THRESHOLDS = GateThresholds(max_error=0.2, min_r2=0.6, max_worsening=0.01, confidence=0.95)


def errors(rmse_log: float = 0.12, r2: float = 0.9) -> RegressionMetrics:
    """Errors on the test split."""
    return RegressionMetrics(rows=396, mse=rmse_log**2, rmse=20_000, mae=14_000, r2=r2, rmse_log=rmse_log)


def interval(estimate: float, low: float, high: float) -> ErrorInterval:
    """Difference to the champion."""
    return ErrorInterval(estimate=estimate, low=low, high=high, confidence=0.95, resamples=2000)


def test_the_first_model_is_held_to_the_absolute_thresholds_only():
    """Nothing is in service to compare it with."""
    judgement = judge(THRESHOLDS, errors(), None, None)

    assert judgement.passed
    assert len(judgement.reasons) == 2
    assert "0.1200" in judgement.reasons[0]
    assert "at most 0.2" in judgement.reasons[0]


@pytest.mark.parametrize(
    ("metrics", "words"),
    [
        (errors(rmse_log=0.21), ["0.2100", "at most 0.2 is allowed"]),
        (errors(r2=0.5), ["R² is 0.500", "at least 0.6"]),
    ],
)
def test_a_bad_model_is_rejected_with_the_numbers(metrics, words):
    """Only what speaks against it is named."""
    judgement = judge(THRESHOLDS, metrics, None, None)

    assert not judgement.passed
    assert not judgement.above_floor
    assert len(judgement.reasons) == 1
    assert all(word in judgement.reasons[0] for word in words)


def test_a_model_that_beats_the_one_in_service_passes():
    """Lower error, and with the confidence asked for not worse by more than is allowed."""
    judgement = judge(THRESHOLDS, errors(), interval(-0.002, -0.006, 0.003), "20240101-060000-0a1b2c3d")

    assert judgement.passed
    assert any("20240101-060000-0a1b2c3d" in reason and "-0.0020" in reason for reason in judgement.reasons)


@pytest.mark.parametrize("estimate", [0.0, 0.0001])
def test_a_model_that_is_no_better_is_rejected(estimate):
    """Also one that is just as good: there is nothing to gain by a change."""
    judgement = judge(THRESHOLDS, errors(), interval(estimate, -0.001, 0.001), "20240101-060000-0a1b2c3d")

    assert not judgement.passed
    assert judgement.above_floor
    assert "it must be lower" in judgement.reasons[0]


def test_a_model_that_may_well_be_worse_is_rejected():
    """The estimate is lower, but the interval reaches further up than is allowed."""
    judgement = judge(THRESHOLDS, errors(), interval(-0.001, -0.03, 0.02), "20240101-060000-0a1b2c3d")

    assert not judgement.passed
    assert "worse by at most 0.0200" in judgement.reasons[0]
    assert "at most 0.01 is allowed" in judgement.reasons[0]


def test_all_that_speaks_against_a_model_is_said_at_once():
    """One look is enough."""
    judgement = judge(THRESHOLDS, errors(0.3, 0.1), interval(0.1, 0.05, 0.2), "20240101-060000-0a1b2c3d")

    assert not judgement.passed
    assert len(judgement.reasons) == 4

"""The quality gate: whether a model may go on to users, and why, in sentences with numbers."""

from dataclasses import dataclass

from treering.contracts import ErrorInterval, GateThresholds, RegressionMetrics


@dataclass(frozen=True)
class Judgement:
    """Whether the model passes, whether it reaches the absolute thresholds, and all that speaks against it.

    Of a model that passes, the reasons are all that it fulfils.
    """

    passed: bool
    above_floor: bool
    reasons: tuple[str, ...]


def judge(
    thresholds: GateThresholds, test: RegressionMetrics, difference: ErrorInterval | None, champion: str | None
) -> Judgement:
    """Hold a model against the thresholds.

    `difference` is that to the model in service, of run `champion`; none where there is no model to compare with: then
    only the absolute thresholds count.
    """
    scale = "RMSE of the logarithm" if test.rmse_log is not None else "RMSE"
    error = test.mse**0.5
    checks = [
        (
            error <= thresholds.max_error,
            f"The {scale} on {test.rows:,} test rows is {error:.4f}; at most {thresholds.max_error:g} is allowed.",
        ),
        (test.r2 >= thresholds.min_r2, f"R² is {test.r2:.3f}; at least {thresholds.min_r2:g} is asked for."),
    ]
    above_floor = all(fulfilled for fulfilled, _ in checks)
    if difference is not None:
        interval = f"{difference.confidence:.0%} interval {difference.low:+.4f} to {difference.high:+.4f}"
        checks += [
            (
                difference.estimate < 0,
                f"Compared with the model in service (run {champion}) on the same rows, its {scale} differs by "
                f"{difference.estimate:+.4f} ({interval}); it must be lower.",
            ),
            (
                difference.high <= thresholds.max_worsening,
                f"With that confidence it is worse by at most {max(difference.high, 0):.4f}; "
                f"at most {thresholds.max_worsening:g} is allowed.",
            ),
        ]
    passed = all(fulfilled for fulfilled, _ in checks)
    return Judgement(passed, above_floor, tuple(reason for fulfilled, reason in checks if fulfilled == passed))

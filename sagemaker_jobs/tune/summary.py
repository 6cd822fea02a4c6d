"""What the search tried, for a person."""

from treering.contracts import TrialRecord, TuningRecord
from treering.use_case import UseCase


def summary(case: UseCase, run_id: str, record: TuningRecord) -> str:
    """Markdown: why the chosen one won, and every trial, best first."""
    scale = "RMSE of the logarithm" if case.target.log_scale else "RMSE"
    lines = [
        f"# {case.title}: search of run {run_id}",
        "",
        record.why,
        "",
        f"Cross-validated in {record.folds} folds of the training split, {record.seconds:.0f} s in all.",
        "",
        f"| | regressor | {scale} | R² | seconds | settings |",
        "|---:|---|---:|---:|---:|---|",
        *(_row(number, trial) for number, trial in enumerate(record.trials, 1)),
    ]
    return "\n".join(lines) + "\n"


def _row(number: int, trial: TrialRecord) -> str:
    error = "given up" if trial.error is None else f"{trial.error:.4f}"
    r2 = "" if trial.r2 is None else f"{trial.r2:.3f}"
    settings = ", ".join(f"{name} {value:.4g}" for name, value in trial.settings.items())
    return f"| {number} | {trial.regressor} | {error} | {r2} | {trial.seconds:.1f} | {settings} |"

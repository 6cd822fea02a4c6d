"""What train and tune leave behind: the artefact, metrics.json, and lines that SageMaker reads metrics from."""

import logging

import numpy as np

from sagemaker_jobs.runner import Job
from sagemaker_jobs.settings import TrainSettings
from sagemaker_jobs.train.inputs import Inputs
from treering.contracts import RegressionMetrics, TrainResult, TuningRecord
from treering.steps import artefact
from treering.steps.forest import Forest
from treering.steps.metrics import regression_metrics

METRICS = "metrics.json"
log = logging.getLogger(__name__)


def write_results(
    job: Job,
    settings: TrainSettings,
    inputs: Inputs,
    forest: Forest,
    *,
    regressor: str,
    hyperparameters: dict[str, float],
    seconds: float,
    tuning: TuningRecord | None = None,
) -> TrainResult:
    """Measure the forest on the validation split, then write artefact and metrics.json."""
    preprocessing = inputs.preprocessing
    predicted = forest.predict(inputs.held_out)
    metrics = regression_metrics(
        inputs.actual, np.exp(predicted) if preprocessing.log_scale else predicted, log_scale=preprocessing.log_scale
    )
    for line in metric_lines(metrics):
        log.info("%s", line)
    result = TrainResult(
        run_id=settings.run_id,
        dataset_version=settings.dataset_version,
        validation=metrics,
        training_rows=len(inputs.target),
        features=preprocessing.feature_names,
        regressor=regressor,
        hyperparameters=hyperparameters,
        seconds=round(seconds, 3),
        tuning=tuning,
    )
    artefact.save(
        job.model,
        preprocessing,
        forest,
        run_id=settings.run_id,
        hyperparameters=hyperparameters,
        regressor=regressor,
    )
    job.training_data.mkdir(parents=True, exist_ok=True)
    unfinished = job.training_data / "unfinished"  # SageMaker keeps what a job has written that is killed
    unfinished.write_text(result.to_json(), "utf-8")
    unfinished.replace(job.training_data / METRICS)
    return result


def metric_lines(metrics: RegressionMetrics) -> list[str]:
    """Lines that the training job's MetricDefinitions capture: `validation:mse=([0-9.eE+-]+)` and so on."""
    named = {
        "mse": metrics.mse,
        "rmse": metrics.rmse,
        "mae": metrics.mae,
        "r2": metrics.r2,
        "rmse_log": metrics.rmse_log,
    }
    return [f"validation:{name}={value:.8g}" for name, value in named.items() if value is not None]


def errors_in_words(result: TrainResult, unit: str) -> str:
    """The errors on the validation split, as the end of a sentence."""
    metrics = result.validation
    log_error = "" if metrics.rmse_log is None else f"RMSE of the logarithm {metrics.rmse_log:.4f}, "
    return (
        f"on {metrics.rows:,} validation rows {log_error}RMSE {metrics.rmse:,.0f} {unit}, "
        f"MAE {metrics.mae:,.0f} {unit}, R² {metrics.r2:.3f}"
    )

"""Grows the forest on the prepared training split, and measures it on the validation split."""

import logging

import numpy as np

from sagemaker_jobs.runner import Job
from sagemaker_jobs.settings import model_settings, read_hyperparameters
from treering import use_case
from treering.contracts import RegressionMetrics, TrainResult
from treering.errors import InvalidDataError
from treering.steps import artefact
from treering.steps.fitting import learnt
from treering.steps.metrics import regression_metrics
from treering.steps.prepared import read_prepared
from treering.steps.preprocessing import Preprocessing
from treering.steps.training import train

METRICS = "metrics.json"
log = logging.getLogger(__name__)


def work(job: Job) -> str:
    """Channels train, validation, preprocessing. Writes the artefact and metrics.json."""
    settings, overrides = read_hyperparameters(job.hyperparameters())
    model = model_settings(use_case.load(settings.use_case), overrides)
    preprocessing = _read_preprocessing(job)
    if (preprocessing.run_id, preprocessing.dataset_version) != (settings.run_id, settings.dataset_version):
        raise InvalidDataError(
            f"The preprocessing is of run {preprocessing.run_id} and dataset version {preprocessing.dataset_version}, "
            f"but this is run {settings.run_id} on {settings.dataset_version}. Check the channel preprocessing."
        )
    matrix, target = read_prepared(job.channel("train") / "train.csv", preprocessing)
    held_out, actual = read_prepared(job.channel("validation") / "validation.csv", preprocessing)

    started = job.clock.monotonic()
    forest = train(matrix, learnt(target, preprocessing.log_scale), model)
    seconds = job.clock.monotonic() - started
    predicted = forest.predict(held_out)
    metrics = regression_metrics(
        actual, np.exp(predicted) if preprocessing.log_scale else predicted, log_scale=preprocessing.log_scale
    )
    for line in metric_lines(metrics):
        log.info("%s", line)
    result = TrainResult(
        run_id=settings.run_id,
        dataset_version=settings.dataset_version,
        validation=metrics,
        training_rows=len(target),
        features=preprocessing.feature_names,
        hyperparameters=model.model_dump(),
        seconds=round(seconds, 3),
    )
    artefact.save(job.model, preprocessing, forest, run_id=settings.run_id, hyperparameters=result.hyperparameters)
    job.training_data.mkdir(parents=True, exist_ok=True)
    (job.training_data / METRICS).write_text(result.to_json(), "utf-8")
    return _sentence(result, preprocessing.unit)


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


def _read_preprocessing(job: Job) -> Preprocessing:
    path = job.channel("preprocessing") / artefact.PREPROCESSING
    if not path.is_file():
        raise InvalidDataError(f"The channel preprocessing has no {path.name}. It is an output of preprocess.")
    return Preprocessing.from_json(path.read_bytes(), path.name)


def _sentence(result: TrainResult, unit: str) -> str:
    metrics = result.validation
    log_error = "" if metrics.rmse_log is None else f"RMSE of the logarithm {metrics.rmse_log:.4f}, "
    return (
        f"Grew {result.hyperparameters['n_estimators']:.0f} trees on {result.training_rows:,} rows and "
        f"{len(result.features)} features in {result.seconds:.1f} s; on {metrics.rows:,} validation rows {log_error}"
        f"RMSE {metrics.rmse:,.0f} {unit}, MAE {metrics.mae:,.0f} {unit}, R² {metrics.r2:.3f}."
    )

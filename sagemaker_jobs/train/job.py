"""Grows the forest on the prepared training split, and measures it on the validation split."""

from sagemaker_jobs.runner import Job
from sagemaker_jobs.settings import model_settings, read_hyperparameters
from sagemaker_jobs.train.inputs import read_inputs
from sagemaker_jobs.train.results import errors_in_words, write_results
from treering import use_case
from treering.steps.fitting import learnt
from treering.steps.training import train
from treering.steps.tuning import FOREST


def work(job: Job) -> str:
    """Channels train, validation, preprocessing. Writes the artefact and metrics.json."""
    settings, overrides = read_hyperparameters(job.hyperparameters())
    model = model_settings(use_case.load(settings.use_case), overrides)
    inputs = read_inputs(job, settings.run_id, settings.dataset_version)
    started = job.clock.monotonic()
    forest = train(inputs.matrix, learnt(inputs.target, inputs.preprocessing.log_scale), model)
    result = write_results(
        job,
        settings,
        inputs,
        forest,
        regressor=FOREST,
        hyperparameters=model.model_dump(),
        seconds=job.clock.monotonic() - started,
    )
    errors = errors_in_words(result, inputs.preprocessing.unit)
    return (
        f"Grew {result.hyperparameters['n_estimators']:.0f} trees on {result.training_rows:,} rows and "
        f"{len(result.features)} features in {result.seconds:.1f} s; {errors}."
    )

"""Searches for the best regressor on the prepared training split, and measures it on the validation split."""

from sagemaker_jobs.runner import Job
from sagemaker_jobs.settings import model_settings, read_tuning
from sagemaker_jobs.train.inputs import read_inputs
from sagemaker_jobs.train.results import errors_in_words, write_results
from sagemaker_jobs.tune.summary import summary
from treering import use_case
from treering.steps.fitting import learnt
from treering.steps.tuning import search


def work(job: Job) -> str:
    """Channels train, validation, preprocessing. Writes artefact, metrics.json (all that was tried), tuning.md."""
    settings, limits, overrides = read_tuning(job.hyperparameters())
    case = use_case.load(settings.use_case)
    inputs = read_inputs(job, settings.run_id, settings.dataset_version)
    tuned = search(
        inputs.matrix,
        learnt(inputs.target, inputs.preprocessing.log_scale),
        model_settings(case, overrides),
        job.clock,
        max_seconds=limits.max_seconds,
        max_trials=limits.max_trials,
    )
    result = write_results(
        job,
        settings,
        inputs,
        tuned.forest,
        regressor=tuned.record.chosen.regressor,
        hyperparameters=tuned.record.chosen.settings,
        seconds=tuned.record.seconds,
        tuning=tuned.record,
    )
    (job.training_data / "tuning.md").write_text(summary(case, result.run_id, tuned.record), "utf-8")
    return (
        f"Chose {result.regressor} after {len(tuned.record.trials)} trials in {result.seconds:.1f} s; "
        f"{errors_in_words(result, inputs.preprocessing.unit)}."
    )

"""Tune: the best of several regressors and their settings, in a bounded time."""

import numpy as np
import pytest
from sklearn.ensemble import ExtraTreesRegressor, GradientBoostingRegressor, RandomForestRegressor

from sagemaker_jobs import runner
from sagemaker_jobs.tune.job import work
from treering.contracts import TrainResult
from treering.errors import InvalidDataError
from treering.steps.artefact import Artefact
from treering.steps.tuning import FOREST, forest_of, search
from treering.use_case import load

SETTINGS = load("house_prices").model.model_copy(update={"n_estimators": 10})


@pytest.fixture(scope="module")
def tuned(make_run):
    """A run whose model was searched for, and what the job said."""
    run = make_run(until="preprocess")
    job = run.prepare_training(max_seconds="60", max_trials="4", n_estimators="10")
    return run, job, work(job)


def result_of(job):
    """What the job wrote."""
    return TrainResult.model_validate_json((job.training_data / "metrics.json").read_text())


def test_all_that_was_tried_is_listed_best_first(tuned):
    """With errors, and why one won; the use case's own settings are among them."""
    _, job, message = tuned
    record = result_of(job).tuning
    finished = [trial.error for trial in record.trials if trial.error is not None]

    assert len(record.trials) == 4
    assert finished == sorted(finished)
    assert record.chosen == record.trials[0]
    assert f"{record.chosen.error:.4f}" in record.why
    assert any(trial.regressor == FOREST and trial.settings["n_estimators"] == 10 for trial in record.trials)
    assert record.chosen.regressor in message
    assert record.why in (job.training_data / "tuning.md").read_text()


def test_the_artefact_holds_the_winner_and_answers_raw_rows(tuned):
    """It is served as every other model is."""
    run, job, _ = tuned
    artefact = Artefact.load(job.model)
    predicted = artefact.predict(run.splits["validation"])

    assert artefact.card.regressor == result_of(job).regressor == result_of(job).tuning.chosen.regressor
    assert predicted.shape == (60,)
    assert (predicted > 0).all()


def test_metrics_are_those_of_training(tuned):
    """The gate and the console read the same numbers, whoever grew the model."""
    _, job, _ = tuned
    validation = result_of(job).validation

    assert validation.rows == 60
    assert validation.rmse_log == pytest.approx(validation.mse**0.5)


@pytest.mark.parametrize(
    "model",
    [
        RandomForestRegressor(n_estimators=7, random_state=1),
        ExtraTreesRegressor(n_estimators=7, random_state=1),
        GradientBoostingRegressor(n_estimators=40, learning_rate=0.1, subsample=0.7, random_state=1),
    ],
    ids=lambda model: type(model).__name__,
)
def test_each_regressor_is_stored_as_it_predicts(model, tmp_path):
    """Flat arrays give scikit-learn's predictions, also after they were written and read again."""
    chance = np.random.default_rng(1)
    matrix = chance.normal(size=(300, 5))
    target = matrix[:, 0] * 2 + np.sin(matrix[:, 1]) + 12
    model.fit(matrix, target)
    forest = forest_of(model)
    forest.save(tmp_path / "forest.npz")
    rows = chance.normal(size=(200, 5)).astype(np.float32).astype(np.float64)

    assert np.allclose(forest.predict(rows), model.predict(rows), rtol=1e-12, atol=0)
    assert (type(forest).load(tmp_path / "forest.npz").predict(rows) == forest.predict(rows)).all()


class Ticking:
    """A clock on which each look costs a second."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        """The time."""
        self.seconds += 1
        return self.seconds


def data(rows: int = 60):
    """A little to learn from."""
    matrix = np.random.default_rng(2).normal(size=(rows, 3))
    return matrix, matrix[:, 0] + 5


def test_the_time_bounds_the_search():
    """The first trial is finished whatever happens; a later one that is over time is given up."""
    tuned = search(*data(), SETTINGS, Ticking(), max_seconds=5, max_trials=500)

    assert len(tuned.record.trials) < 500
    assert tuned.record.chosen.error is not None


def test_the_same_trials_give_the_same_choice():
    """Sampler, folds and regressors are seeded."""
    chosen = [search(*data(), SETTINGS, Ticking(), max_seconds=1e9, max_trials=5).record.chosen for _ in range(2)]

    assert chosen[0].model_copy(update={"seconds": 0.0}) == chosen[1].model_copy(update={"seconds": 0.0})


def test_too_few_rows_are_refused():
    """They could not be parted into folds."""
    with pytest.raises(InvalidDataError, match="5 folds"):
        search(*data(9), SETTINGS, Ticking(), max_seconds=1, max_trials=1)


def test_wrong_limits_are_named(make_run):
    """By their names."""
    run = make_run(until="preprocess")
    job = run.prepare_training(max_seconds="0", max_trials="many")

    assert runner.run(work, job) == 1
    reason = (job.root / "output/failure").read_text()
    assert "max_seconds" in reason
    assert "max_trials" in reason

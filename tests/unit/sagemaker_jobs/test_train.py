"""Train: prepared splits in, a forest that answers raw rows out."""

import dataclasses
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
import yaml

from sagemaker_jobs import runner
from sagemaker_jobs.serve.answers import answer
from sagemaker_jobs.train.job import work
from sagemaker_jobs.train.results import metric_lines
from treering import use_case
from treering.contracts import RegressionMetrics, TrainResult
from treering.errors import ConfigurationError, InvalidDataError
from treering.steps import training
from treering.steps.artefact import Artefact, save
from treering.steps.csv_columns import format_columns
from treering.steps.forest import Forest
from treering.steps.prepared import read_prepared

ROOT = Path(__file__).parents[3]
CASE = use_case.load("house_prices")


def test_metrics_carry_run_version_and_errors(run):
    """metrics.json is the contract of the step, measured on the validation split."""
    result = TrainResult.model_validate_json((run.train_job.training_data / "metrics.json").read_text())

    assert (result.run_id, result.dataset_version) == ("20240101-060000-0a1b2c3d", "0123456789abcdef")
    assert result.validation.rows == 60
    assert result.training_rows == 240
    assert result.validation.r2 > 0.7
    assert result.hyperparameters["n_estimators"] == 20


def test_metrics_are_there_as_a_whole_or_not_at_all(make_run, monkeypatch):
    """SageMaker keeps what a job has written that is killed: half a metrics.json must not be among it."""
    job = make_run().train_job
    metrics = job.training_data / "metrics.json"
    metrics.unlink()
    write = Path.write_text

    def killed(path, text, *arguments):
        ends = path.parent == metrics.parent
        write(path, text[: len(text) // 2] if ends else text, *arguments)
        if ends:
            raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_text", killed)
    with pytest.raises(KeyboardInterrupt):
        work(job)

    assert not metrics.exists()


def test_same_data_same_seed_same_model(run, make_run):
    """Training again gives a model whose predictions, and whose file, are the same to the byte."""
    again = make_run()
    rows = run.splits["test"]

    assert run.artefact().predict(rows).tobytes() == again.artefact().predict(rows).tobytes()
    assert (run.train_job.model / "forest.npz").read_bytes() == (again.train_job.model / "forest.npz").read_bytes()


def test_number_of_processors_does_not_change_the_forest(run, monkeypatch):
    """One job at a time or several: the same trees."""
    preprocessing = run.artefact().preprocessing
    matrix, target = read_prepared(run.preprocess_job.output / "train/train.csv", preprocessing)
    settings = CASE.model.model_copy(update={"n_estimators": 15})
    forests = []
    for processors in ("1", "2", "5"):
        monkeypatch.setenv("LOKY_MAX_CPU_COUNT", processors)
        forests.append(training.train(matrix, np.log(target), settings))

    assert all(np.array_equal(forests[0].right, other.right) for other in forests[1:])
    assert all(forests[0].number.tobytes() == other.number.tobytes() for other in forests[1:])


def test_endpoint_answers_as_scikit_learn_predicts(run, tmp_path):
    """The forest's predictions are scikit-learn's to the last bit. Behind them, numpy may round an exponential in
    another way than the C library does, so the answers differ by one unit in the last place at most."""
    preprocessing = run.artefact().preprocessing
    matrix, target = read_prepared(run.preprocess_job.output / "train/train.csv", preprocessing)
    held_out, _ = read_prepared(run.preprocess_job.output / "test/test.csv", preprocessing)
    grown = training.grow(matrix, np.log(target), CASE.model.model_copy(update={"n_estimators": 40}))

    forest = Forest.from_sklearn(grown)
    grown.n_jobs = 1  # several threads add the trees up in any order
    predicted = grown.predict(held_out)
    assert forest.predict(held_out).tolist() == predicted.tolist()

    save(tmp_path, preprocessing, forest, run_id=preprocessing.run_id, hyperparameters={})
    raw = format_columns({name: run.splits["test"][name] for name in preprocessing.raw_columns}).encode()
    answered = answer(Artefact.load(tmp_path), "POST", "/invocations", {"content-type": "text/csv"}, raw)
    np.testing.assert_array_max_ulp(np.array(json.loads(answered.body)["predictions"]), np.exp(predicted), maxulp=1)


def test_raw_rows_are_answered_as_prepared_ones(run):
    """No skew: the artefact on raw rows says what the forest says on the rows that preprocess prepared."""
    artefact = run.artefact()
    prepared, _ = read_prepared(run.preprocess_job.output / "test/test.csv", artefact.preprocessing)

    raw = artefact.predict(run.splits["test"])
    assert raw.tolist() == [math.exp(value) for value in artefact.forest.predict(prepared)]


def test_logarithm_of_no_number_is_refused(run, tmp_path):
    """A model whose prediction would be beyond every number is refused when it is loaded, not when it is asked."""
    artefact = run.artefact()
    leaf = artefact.forest.right == np.arange(len(artefact.forest.right))
    forest = dataclasses.replace(artefact.forest, number=np.where(leaf, 710.0, artefact.forest.number))
    save(tmp_path, artefact.preprocessing, forest, run_id=artefact.card.run_id, hyperparameters={})

    with pytest.raises(InvalidDataError, match="logarithm of 710"):
        Artefact.load(tmp_path)


def test_archive_is_the_same_artefact(run, tmp_path):
    """model.tar.gz, as SageMaker packs it, answers as the folder does."""
    archived = Artefact.load_archive(run.archive(tmp_path / "model.tar.gz"))

    assert archived.card == run.artefact().card
    assert archived.predict(run.splits["test"]).tobytes() == run.artefact().predict(run.splits["test"]).tobytes()


@pytest.mark.parametrize("state", ["Train Random Forest", "Tune"])
def test_every_metric_definition_captures_a_printed_line(state):
    """What the state machine defines as metrics is what the job prints, to the digit."""
    definition = yaml.safe_load((ROOT / "statemachine/weekly_training.asl.yaml").read_text())
    algorithm = definition["States"][state]["Parameters"]["AlgorithmSpecification"]
    metrics = RegressionMetrics(rows=3, mse=1.5e-7, rmse=26090.125, mae=1.25, r2=-0.5, rmse_log=0.125)
    printed = "\n".join(metric_lines(metrics))

    found = {d["Name"]: re.findall(d["Regex"], printed) for d in algorithm["MetricDefinitions"]}
    assert {name: [float(value) for value in values] for name, values in found.items()} == {
        "validation:mse": [1.5e-7],
        "validation:rmse": [26090.125],
        "validation:mae": [1.25],
        "validation:r2": [-0.5],
        "validation:rmse_log": [0.125],
    }


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"n_estimators": "none"}, "n_estimators"),
        ({"n_estimators": "-1"}, "n_estimators"),
        ({"max_features": "7"}, "max_features"),
        ({"depth": "3"}, "depth"),
        ({"run_id": "today"}, "run_id"),
    ],
)
def test_wrong_hyperparameters_are_named(run, make_run, given, named):
    """A hyperparameter that is unknown or has no possible value stops the job with its name."""
    fresh = make_run(until="preprocess")

    with pytest.raises(ConfigurationError, match=named):
        work(fresh.prepare_training(**given))


def test_preprocessing_of_another_run_is_refused(make_run):
    """A channel that holds another run's preprocessing stops the job."""
    fresh = make_run(until="preprocess")

    with pytest.raises(InvalidDataError, match="20240101-060000-0a1b2c3d"):
        work(fresh.prepare_training(run_id="20250101-060000-0a1b2c3d"))


def test_failure_reason_is_written(make_run):
    """A failed training job leaves its reason where SageMaker looks for it, and no model."""
    fresh = make_run(until="preprocess")
    job = fresh.prepare_training()
    (job.channel("validation") / "validation.csv").unlink()

    assert runner.run(work, job) == 1
    assert "validation.csv" in (job.root / "output/failure").read_text()
    assert not job.model.exists()


def test_model_card_says_what_it_is(run):
    """model.json names run, data, features and the versions that grew the forest."""
    card = json.loads((run.train_job.model / "model.json").read_text())

    assert card["run_id"] == "20240101-060000-0a1b2c3d"
    assert card["trees"] == 20
    assert card["features"]
    assert {"python", "numpy", "scikit-learn"} <= set(card["versions"])


@pytest.mark.parametrize("name", ["forest.npz", "preprocessing.json", "model.json"])
@pytest.mark.parametrize("damage", ["missing", "truncated", "changed"])
def test_damaged_artefact_is_refused(run, tmp_path, name, damage):
    """An artefact that is not whole is never loaded, and the error names the file."""
    for path in run.train_job.model.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    content = (tmp_path / name).read_bytes()
    if damage == "missing":
        (tmp_path / name).unlink()
    elif damage == "truncated":
        (tmp_path / name).write_bytes(content[: len(content) // 2])
    else:
        (tmp_path / name).write_bytes(content[:200] + bytes([content[200] ^ 1]) + content[201:])
    # A changed byte of model.json may be one that means nothing, unless it is in a hash or in a name.
    if (name, damage) == ("model.json", "changed"):
        (tmp_path / name).write_bytes(content.replace(b'"trees"', b'"Trees"'))

    with pytest.raises(InvalidDataError, match=name):
        Artefact.load(tmp_path)

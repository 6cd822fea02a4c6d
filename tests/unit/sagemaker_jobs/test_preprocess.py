"""Preprocess: raw splits in, prepared splits and the fitted preprocessing out."""

import csv
import json
from dataclasses import replace

import pytest

from sagemaker_jobs import runner
from sagemaker_jobs.preprocess.job import work
from treering import use_case
from treering.contracts import PreprocessResult
from treering.errors import ConfigurationError, InvalidDataError
from treering.steps.csv_columns import read_columns
from treering.steps.preprocessing import CategoryFeature, NumberFeature, Preprocessing

CASE = use_case.load("house_prices")


def fitted(run):
    """The preprocessing that a run stored."""
    return Preprocessing.from_json(
        (run.preprocess_job.output / "preprocessing/preprocessing.json").read_bytes(), "stored"
    )


def test_result_names_run_version_rows_and_every_feature_once(run):
    """The result carries run and version, and each feature of the use case is either kept or left out."""
    result = PreprocessResult.model_validate_json((run.preprocess_job.output / "result.json").read_text())
    names = [record.name for record in (*result.kept, *result.dropped)]

    assert (result.run_id, result.dataset_version) == ("20240101-060000-0a1b2c3d", "0123456789abcdef")
    assert result.rows == {"train": 240, "validation": 60, "test": 60}
    assert sorted(names) == sorted([*CASE.columns.features, *CASE.features.sums])
    assert len(result.kept) <= CASE.features.keep
    assert [r.relevance for r in result.kept] == sorted((r.relevance for r in result.kept), reverse=True)


def test_features_that_make_the_target_come_first(run):
    """The made-up target follows from two integers; the more important one is found to be the more relevant."""
    result = PreprocessResult.model_validate_json((run.preprocess_job.output / "result.json").read_text())
    order = [record.name for record in (*result.kept, *result.dropped)]

    assert order.index(CASE.columns.integer[0]) < 3
    assert order.index(CASE.columns.integer[0]) < order.index(CASE.columns.integer[1])


def test_missing_numbers_become_the_mean_of_the_training_split(run):
    """A missing number is filled with the mean of what is there in the training split."""
    number = next(f for f in fitted(run).features if isinstance(f, NumberFeature) and f.name in CASE.columns.number)
    present = [float(v) for v in run.splits["train"][number.name] if v not in CASE.columns.missing_tokens]
    missing_row = next(i for i, v in enumerate(run.splits["test"][number.name]) if v in CASE.columns.missing_tokens)
    prepared = read_columns(run.preprocess_job.output / "test/test.csv")

    assert number.fill == pytest.approx(sum(present) / len(present))
    assert float(prepared[number.name][missing_row]) == number.fill


def test_missing_categories_have_the_level_that_the_use_case_says(run):
    """Where NA means "there is none" the level is None, elsewhere it is a level of its own, and both have codes."""
    levels = {f.name: f for f in fitted(run).features if isinstance(f, CategoryFeature)}

    assert levels
    for name, feature in levels.items():
        assert feature.missing_level == ("None" if name in CASE.columns.missing_means_none else "missing")
        had_missing = any(v in CASE.columns.missing_tokens for v in run.splits["train"][name])
        assert (feature.missing_level in feature.codes) == had_missing


def test_nothing_is_fitted_on_validation_or_test(run, make_run, rows_of):
    """Other validation and test splits leave the fitted preprocessing as it is, to the byte."""
    other = make_run(until="preprocess", splits={"validation": rows_of(30, 77), "test": rows_of(50, 78)})
    stored = [r.preprocess_job.output / "preprocessing/preprocessing.json" for r in (run, other)]

    assert stored[0].read_bytes() == stored[1].read_bytes()


def test_running_twice_gives_the_same_bytes(run, fresh_run):
    """All that preprocess writes is the same for the same data, but for nothing."""
    work(fresh_run.preprocess_job)
    first, second = run.preprocess_job.output, fresh_run.preprocess_job.output
    files = sorted(path.relative_to(first) for path in first.rglob("*") if path.is_file())

    assert files
    assert all((first / name).read_bytes() == (second / name).read_bytes() for name in files)


def test_prepared_splits_have_key_features_and_target(run):
    """A prepared row is the key, the kept features in order, and the target in its own unit."""
    with (run.preprocess_job.output / "validation/validation.csv").open() as file:
        header, *rows = csv.reader(file)

    assert header == [CASE.columns.key, *fitted(run).feature_names, CASE.target.column]
    assert len(rows) == 60
    assert [row[0] for row in rows] == run.splits["validation"][CASE.columns.key]


def test_summary_tells_a_person(run):
    """The summary names rows, each kept feature with its fill, and the ones left out."""
    text = (run.preprocess_job.output / "summary.md").read_text()

    assert "| train | 240 |" in text
    assert all(f"| {feature.name} |" in text for feature in fitted(run).features)
    assert "features left out" in text


def test_another_versions_manifest_is_refused(fresh_run, dataset_writer):
    """A job that finds another dataset version than it was started for says so."""
    dataset_writer(fresh_run.preprocess_job.input("dataset"), fresh_run.splits, version="f" * 16)

    with pytest.raises(InvalidDataError, match="0123456789abcdef, but its input is version ffffffffffffffff"):
        work(fresh_run.preprocess_job)


def test_missing_manifest_means_incomplete(fresh_run):
    """Without a manifest there is no version, only pieces of one."""
    (fresh_run.preprocess_job.input("dataset") / "manifest.json").unlink()

    with pytest.raises(InvalidDataError, match="not complete"):
        work(fresh_run.preprocess_job)


def test_changed_split_is_refused(fresh_run):
    """A split that is not the one the manifest describes is not learnt from."""
    path = fresh_run.preprocess_job.input("dataset") / "train.csv"
    path.write_text(path.read_text().replace(",A,", ",B,", 1))

    with pytest.raises(InvalidDataError, match=r"train\.csv .* not the file that its manifest describes"):
        work(fresh_run.preprocess_job)


def test_data_beyond_the_instance_s_memory_are_refused_before_they_are_read(fresh_run):
    """The manifest says how many rows there are; the message says what they need, what there is, and what to change."""
    path = fresh_run.preprocess_job.input("dataset") / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["rows"]["train"] = 10**12
    path.write_text(json.dumps(manifest))
    (path.parent / "train.csv").unlink()

    with pytest.raises(
        ConfigurationError, match=r"1,000,000,000,000 rows of \d+ columns, which need .* this instance has"
    ):
        work(fresh_run.preprocess_job)


@pytest.mark.parametrize("value", ["", "NA", "0", "-5", "many"])
def test_wrong_target_is_refused(fresh_run, dataset_writer, value):
    """A target that is missing, not positive (it is learnt as a logarithm) or no number stops the job with its row."""
    fresh_run.splits["train"][CASE.target.column][4] = value
    dataset_writer(fresh_run.preprocess_job.input("dataset"), fresh_run.splits)

    with pytest.raises(InvalidDataError, match=r"row 5"):
        work(fresh_run.preprocess_job)


def test_all_missing_variables_are_named_at_once(fresh_run):
    """One look at the error is enough to set everything."""
    with pytest.raises(ConfigurationError) as error:
        work(replace(fresh_run.preprocess_job, environ={}))

    assert all(
        name in str(error.value) for name in ("TREERING_USE_CASE", "TREERING_RUN_ID", "TREERING_DATASET_VERSION")
    )


def test_unknown_use_case_is_named(fresh_run):
    """The exit message of a job with a wrong use case says which there are."""
    job = replace(
        fresh_run.preprocess_job, environ={**fresh_run.preprocess_job.environ, "TREERING_USE_CASE": "boat_prices"}
    )

    assert runner.run(work, job) == 1
    assert "boat_prices" in (job.root / "output/message").read_text()
    assert "house_prices" in (job.root / "output/failure").read_text()


def test_exit_message_is_one_sentence(fresh_run):
    """A finished job says how many rows and features, in less than a kilobyte."""
    job = fresh_run.preprocess_job

    assert runner.run(work, job) == 0
    message = (job.root / "output/message").read_text()
    assert "240 training" in message
    assert len(message.encode()) <= 1024
    assert not (job.root / "output/failure").exists()
    assert json.loads((job.output / "result.json").read_text())["run_id"]

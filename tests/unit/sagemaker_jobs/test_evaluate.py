"""Evaluate: the new model next to the one in service, and what the gate says."""

import json
import shutil
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

import pytest

from sagemaker_jobs import runner
from sagemaker_jobs.evaluate.job import work
from sagemaker_jobs.runner import Job
from tests.unit.sagemaker_jobs.conftest import RUN_ID, VERSION
from treering.contracts import EvaluateResult, Verdict
from treering.errors import InvalidDataError
from treering.steps.evaluation import Champion

MODEL = f"s3://bucket/runs/{RUN_ID}/train/x/output/model.tar.gz"
CHAMPION = Champion("config", "model", "s3://bucket/runs/old/train/x/output/model.tar.gz")


@dataclass
class FakeModels:
    """The model in service, as a file."""

    archive: Path | None = None

    def find(self, endpoint_name: str) -> Champion | None:
        """The champion, if there is one."""
        assert endpoint_name == "treering-dev"
        return CHAMPION if self.archive else None

    def fetch(self, champion: Champion, path: Path) -> None:
        """Its artefact."""
        assert champion == CHAMPION
        assert self.archive
        shutil.copy(self.archive, path)


@pytest.fixture
def job(run, tmp_path):
    """A job with the run's dataset and artefact."""
    job = Job(
        tmp_path,
        {
            "TREERING_USE_CASE": "house_prices",
            "TREERING_RUN_ID": RUN_ID,
            "TREERING_DATASET_VERSION": VERSION,
            "ENDPOINT_NAME": "treering-dev",
            "MODEL_DATA_URL": MODEL,
            "GATE_MAX_ERROR": "0.5",
            "GATE_MIN_R2": "0.1",
            "GATE_MAX_WORSENING": "0.01",
            "GATE_CONFIDENCE": "0.95",
        },
    )
    job.input("model").mkdir(parents=True)
    run.archive(job.input("model") / "model.tar.gz")
    job.input("dataset").symlink_to(run.preprocess_job.input("dataset"))
    return job


@pytest.fixture(scope="module")
def worse_archive(make_run, tmp_path_factory):
    """A model of one tree, grown on other rows."""
    run = make_run(until="preprocess")
    from sagemaker_jobs.train.job import work as train

    train(run.prepare_training(n_estimators="1", min_samples_leaf="60"))
    return run.archive(tmp_path_factory.mktemp("worse") / "model.tar.gz")


def results(job: Job) -> EvaluateResult:
    """What the job wrote."""
    return EvaluateResult.model_validate_json((job.output / "result.json").read_text())


def test_the_first_model_is_held_to_the_thresholds(job):
    """No model in service: no comparison."""
    message = work(job, FakeModels())
    result = results(job)

    assert result.verdict.passed
    assert result.verdict.first_model
    assert result.champion is None
    assert result.verdict.difference is None
    assert result.challenger.test.rows == 60
    assert message.startswith("The quality gate is passed.")


def test_a_better_model_beats_the_one_in_service(job, worse_archive):
    """Both predict the same rows; the difference has an interval."""
    work(job, FakeModels(worse_archive))
    result = results(job)

    assert result.verdict.passed
    assert not result.verdict.first_model
    assert result.champion is not None
    assert result.champion.test.rmse > result.challenger.test.rmse
    assert result.verdict.difference is not None
    assert result.verdict.difference.high < 0
    assert all(segment.champion is not None for segment in result.segments)


def test_the_same_model_again_is_rejected(job, run, tmp_path):
    """It is no better than itself."""
    archive = run.archive(tmp_path / "same.tar.gz")
    message = work(job, FakeModels(archive))
    result = results(job)

    assert not result.verdict.passed
    assert "it must be lower" in result.verdict.summary
    assert message.startswith("The quality gate is not passed, compared with run")


def test_the_verdict_is_small_and_stands_alone(job, worse_archive):
    """It travels through the state machine, whose states hold 256 KB."""
    work(job, FakeModels(worse_archive))
    text = (job.output / "verdict.json").read_text()

    assert Verdict.model_validate_json(text) == results(job).verdict
    assert len(text) < 8 * 1024


def test_a_champion_that_cannot_be_read_does_not_block_for_ever(job, tmp_path):
    """It is left out of the comparison, which the reasons say."""
    broken = tmp_path / "broken.tar.gz"
    broken.write_bytes(b"no archive")
    work(job, FakeModels(broken))
    result = results(job)

    assert result.verdict.passed
    assert not result.verdict.first_model
    assert result.champion_note is not None
    assert "could not be compared" in result.verdict.summary


def test_statistics_have_the_registry_s_form(job):
    """Model quality of a regression."""
    work(job, FakeModels())
    found = json.loads((job.output / "statistics.json").read_text())["regression_metrics"]

    assert {"mae", "mse", "rmse", "r2"} <= found.keys()
    assert found["rmse"]["value"] == results(job).challenger.test.rmse
    assert found["mse"]["value"] == pytest.approx(found["rmse"]["value"] ** 2)


class Page(HTMLParser):
    """What a page is made of."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.addresses: list[str] = []

    def handle_starttag(self, tag, attrs):
        """Count a tag; note what it would fetch."""
        self.tags.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href", "xlink:href") and value]

    def handle_data(self, data):
        """Collect the text."""
        self.text += data


def test_the_page_shows_the_plots_and_fetches_nothing(job, worse_archive):
    """Predicted against actual, residuals, error by segment, importance; all in one file."""
    work(job, FakeModels(worse_archive))
    page = Page()
    page.feed((job.output / "report.html").read_text())
    result = results(job)

    assert page.tags.count("svg") == 2 + len({segment.column for segment in result.segments}) + 1
    assert "script" not in page.tags
    assert [address for address in page.addresses if not address.startswith("#")] == []
    for words in ("Quality gate: passed", "new minus in service", f"{result.verdict.difference.estimate:+.4f}"):
        assert words in page.text


def test_the_page_is_the_same_again(job):
    """Nothing in it depends on the time or on chance."""
    work(job, FakeModels())
    first = (job.output / "report.html").read_bytes()
    work(job, FakeModels())

    assert (job.output / "report.html").read_bytes() == first


def test_another_run_s_artefact_is_refused(job, tmp_path):
    """The gate must judge the model that will be deployed."""
    other = Job(job.root, {**job.environ, "TREERING_RUN_ID": "20240101-060000-ffffffff"})
    with pytest.raises(InvalidDataError, match="Check the input model"):
        work(other, FakeModels())


def test_wrong_thresholds_are_named(job):
    """By the variable's name."""
    wrong = Job(job.root, {**job.environ, "GATE_CONFIDENCE": "95"})

    assert runner.run(lambda j: work(j, FakeModels()), wrong) == 1
    assert "GATE_CONFIDENCE" in (job.root / "output/failure").read_text()

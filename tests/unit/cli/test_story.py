"""The story of the weekly trainings, as the cloud tells it and as a person reads it."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cli import story
from cli.application import Application
from cli.commands import history
from cli.errors import CommandError
from tests.fakes.application import BUCKET, GROUP, ROLLOUT, WEEKLY, FakeCloud, application
from treering.contracts import DatasetManifest, FileRecord, IngestionRecord

RUN = "20261123-060000-0123abcd"
VERSION = "0123456789abcdef"
FIRST = datetime(2026, 11, 23, 6, tzinfo=UTC)
SPLITS = {"train": 700, "validation": 150, "test": 150}


class Weeks:
    """Puts weekly trainings into a cloud, a week after each other."""

    def __init__(self, found: Application) -> None:
        assert isinstance(found.cloud, FakeCloud)
        self.cloud = found.cloud
        self.count = 0
        self._dataset()

    def add(self, status: str, output: dict[str, Any] | None = None) -> str:
        """A week; the ARN of its execution."""
        due = FIRST + timedelta(weeks=self.count)
        self.count += 1
        given = {"dataset": self.reference(), "scheduled_at": due.isoformat()}
        output = None if output is None else {**given, "run": {"run_id": RUN}, **output}
        return self.cloud.states.add(WEEKLY, f"{VERSION}-{due:%Y%m%dT%H%M%SZ}", status, given, output)

    def ended(self, outcome: str, reasons: str = "", passed: bool = True, version: int | None = None) -> str:
        """A week whose execution succeeded."""
        known: dict[str, Any] = {"evaluation": {"verdict": verdict(passed)}, "outcome": {"name": outcome}}
        if reasons:
            known["outcome"]["reasons"] = reasons
        if version:
            known["registration"] = {"model_package_arn": f"{GROUP}/{version}"}
        return self.add("SUCCEEDED", known)

    def rolled_out(self, weekly: str, version: int, name: str = "r-0", status: str = "SUCCEEDED") -> str:
        """The rollout of a week, or one by hand where `weekly` is empty."""
        given = {"run_id": RUN, "model_package_arn": f"{GROUP}/{version}"}
        if weekly:
            given["AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID"] = weekly
        return self.cloud.states.add(ROLLOUT, name, status, given, {})

    @staticmethod
    def reference() -> dict[str, str]:
        """The dataset version as executions refer to it."""
        prefix = f"s3://{BUCKET}/datasets/flats/{VERSION}/"
        return {"name": "flats", "version": VERSION, "prefix_uri": prefix, "manifest_uri": f"{prefix}manifest.json"}

    def _dataset(self) -> None:
        record = FileRecord(key="k", bytes=1, sha256="0", rows=1)
        manifest = DatasetManifest(
            dataset="flats",
            version=VERSION,
            use_case="flats",
            source="https://example.com/flats",
            competition="flats",
            scheduled_at=FIRST,
            downloaded_at=FIRST,
            rows=SPLITS,
            columns=(),
            split_salt="",
            split_shares=dict.fromkeys(SPLITS, 1.0),
            raw=(),
            splits=dict.fromkeys(SPLITS, record),
        )
        self.cloud.s3.objects[f"datasets/flats/{VERSION}/manifest.json"] = manifest.to_json().encode()


def verdict(passed: bool) -> dict[str, Any]:
    """The gate's, of a model compared with one in service."""
    reasons = (
        ["The error is 0.1300; at most 0.2 is allowed."] if passed else ["It differs by +0.0100; it must be lower."]
    )
    estimate = -0.01 if passed else 0.01
    interval = {
        "estimate": estimate,
        "low": estimate - 0.01,
        "high": estimate + 0.001,
        "confidence": 0.95,
        "resamples": 9,
    }
    return {
        "run_id": RUN,
        "dataset_version": VERSION,
        "passed": passed,
        "reasons": reasons,
        "summary": reasons[0],
        "first_model": False,
        "error": 0.13,
        "champion_error": 0.14,
        "difference": interval,
    }


def fail(weeks: Weeks, arn: str, state: str, error: str, cause: str) -> None:
    """A state of the execution fails, and with it the execution."""
    events = weeks.cloud.states
    events.happen(arn, "TaskStateEntered", stateEntered={"name": state})
    events.happen(arn, "TaskScheduled", taskScheduled={"resource": "createProcessingJob.sync", "parameters": "{}"})
    events.happen(arn, "TaskFailed", taskFailed={"error": error, "cause": cause})
    events.happen(arn, "ExecutionFailed", executionFailed={"error": error, "cause": cause})


def succeed(weeks: Weeks, arn: str, state: str) -> None:
    """A state of the execution succeeds."""
    events = weeks.cloud.states
    events.happen(arn, "TaskStateEntered", stateEntered={"name": state})
    events.happen(arn, "TaskScheduled", taskScheduled={"resource": "createProcessingJob.sync", "parameters": "{}"})
    events.happen(arn, "TaskSucceeded", taskSucceeded={"output": "{}"})
    events.happen(arn, "TaskStateExited", stateExited={"name": state, "output": "{}"})


@pytest.fixture
def found(tmp_path: Path) -> Application:
    """An application in which nothing has happened."""
    (tmp_path / "cloud").mkdir()
    return application(tmp_path / "cloud")


def test_every_outcome_of_a_week_is_told_with_its_reason(found: Application) -> None:
    """Deployed, rejected, not approved and expired weeks, in their order, each with data, errors, version and why."""
    weeks = Weeks(found)
    weeks.rolled_out(weeks.ended("deployed", version=1), 1)
    weeks.ended("rejected", "It differs by +0.0100; it must be lower.", passed=False)
    weeks.ended("not_approved", "The model was rejected in the model registry. Too far off.", version=2)
    weeks.ended("approval_expired", "Nobody approved or rejected the model in time.", version=3)

    told = story.read(found).entries

    assert [entry.outcome for entry in told] == ["deployed", "rejected", "not_approved", "approval_expired"]
    assert [entry.version for entry in told] == [1, None, 2, 3]
    assert [entry.into_service for entry in told] == [1, None, None, None]
    assert [entry.new_data for entry in told] == [True, False, False, False]
    assert {(entry.rows, entry.error, entry.champion_error) for entry in told} == {(1000, 0.13, 0.14)}
    assert [entry.reason for entry in told] == [
        "Its error differs by -0.0100 from that of the model in service on the same rows "
        "(95% interval -0.0200 to -0.0090).",
        "It differs by +0.0100; it must be lower.",
        "The model was rejected in the model registry. Too far off.",
        "Nobody approved or rejected the model in time.",
    ]


def test_a_year_is_read_line_by_line(found: Application) -> None:
    """A comparison's numbers stand in its week's line and not again below; at the end, how long each version served."""
    weeks = Weeks(found)
    weeks.rolled_out(weeks.ended("deployed", version=1), 1, "r-1")
    weeks.ended("rejected", passed=False)
    weeks.ended("not_approved", "Too far off.", version=2)
    weeks.rolled_out(weeks.ended("deployed", version=3), 3, "r-3")

    lines = history.text(story.read(found)).splitlines()

    assert "difference (95% interval)" in lines[0]
    assert "+0.0100 (+0.0000 to +0.0110)" in lines[2]
    assert [line.split()[0] for line in lines[2:6]] == ["2026-11-30", "2026-12-07", "Too", "2026-12-14"]
    assert max(map(len, lines)) <= history.WIDTH
    assert lines[-2].split() == ["1", "2026-11-23", "3", "0.1300", "→", "0.1400"]
    assert lines[-1].split() == ["3", "2026-12-14", "0", "0.1300"]


def test_a_failed_week_names_state_error_and_cause(found: Application) -> None:
    """What went wrong is the job's own words, not its whole description."""
    weeks = Weeks(found)
    arn = weeks.add("FAILED")
    fail(
        weeks, arn, "Train Random Forest", "States.TaskFailed", json.dumps({"FailureReason": "AlgorithmError: no rows"})
    )

    [entry] = story.read(found).entries

    assert (entry.outcome, entry.failed_state, entry.failure) == ("failed", "Train Random Forest", "States.TaskFailed")
    assert entry.reason == "AlgorithmError: no rows"
    assert "Train Random Forest: States.TaskFailed: AlgorithmError: no rows" in history.text(story.read(found))


def test_a_rollout_that_failed_after_production_was_updated_went_into_service(found: Application) -> None:
    """The test of the endpoint in production failed: the version serves all the same, and the story says so."""
    weeks = Weeks(found)
    weekly = weeks.add("FAILED")
    fail(weeks, weekly, "Roll Out", "States.TaskFailed", "the rollout failed")
    rollout = weeks.rolled_out(weekly, 4, status="FAILED")
    succeed(weeks, rollout, "Deploy Endpoint")
    fail(weeks, rollout, "Test Endpoint", "States.TaskFailed", "slow")
    early = weeks.rolled_out("", 5, "rollout-5-20261124-060000", status="FAILED")
    fail(weeks, early, "Deploy Staging Endpoint", "States.TaskFailed", "no capacity")

    week, by_hand = story.read(found).entries

    assert (week.outcome, week.into_service) == ("failed", 4)
    assert (by_hand.kind, by_hand.outcome, by_hand.into_service) == ("rollout", "failed", None)
    assert by_hand.failed_state == "Deploy Staging Endpoint"


def test_rollouts_and_rollbacks_by_hand_stand_between_the_weeks(found: Application) -> None:
    """They come where they happened, and what was in service then is carried on."""
    weeks = Weeks(found)
    for version in (1, 2):
        weeks.rolled_out(weeks.ended("deployed", version=version), version, f"r-{version}")
    weeks.rolled_out("", 1, "rollback-1-20261201-060000")
    weeks.ended("rejected", "no better", passed=False)

    told = story.read(found)
    lines = history.text(told).splitlines()

    assert [entry.kind for entry in told.entries] == ["weekly", "weekly", "rollback", "weekly"]
    assert lines[3].split() == ["by", "hand", "rollback", "to", "1", "now", "version", "1"]
    assert lines[4].endswith("version 1")
    assert "3 weekly trainings: 2 deployed, 1 rejected" in lines
    assert "By hand: 1 rollback" in lines


def test_a_week_without_new_data_is_told_though_no_execution_was_started(found: Application) -> None:
    """Where unchanged data are not trained on again, the ingestion's record tells of the week, in its place."""
    weeks = Weeks(found)
    weeks.rolled_out(weeks.ended("deployed", version=1), 1)
    quiet = FIRST + timedelta(weeks=1)
    record = IngestionRecord(dataset="flats", version=VERSION, scheduled_at=quiet)
    weeks.cloud.s3.objects[f"ingestions/flats/{quiet:%Y%m%dT%H%M%SZ}.json"] = record.to_json().encode()
    trained = IngestionRecord(dataset="flats", version=VERSION, scheduled_at=FIRST)
    weeks.cloud.s3.objects[f"ingestions/flats/{FIRST:%Y%m%dT%H%M%SZ}.json"] = trained.to_json().encode()
    weeks.count = 2
    weeks.ended("rejected", "no better", passed=False)

    told = story.read(found).entries

    assert [entry.outcome for entry in told] == ["deployed", "no_new_data", "rejected"]
    assert told[1].scheduled_at == quiet
    assert told[1].execution_arn is None


def test_a_week_that_waits_for_a_person_says_so(found: Application) -> None:
    """An execution that is under way is told of as far as it has come."""
    weeks = Weeks(found)
    arn = weeks.add("RUNNING")
    payload = json.dumps({"Payload": {"model_package_arn": f"{GROUP}/1"}})
    weeks.cloud.states.happen(arn, "TaskStateEntered", stateEntered={"name": "Wait For Approval"})
    weeks.cloud.states.happen(
        arn, "TaskScheduled", taskScheduled={"resource": "invoke.waitForTaskToken", "parameters": payload}
    )
    weeks.add("RUNNING")

    assert [entry.outcome for entry in story.read(found).entries] == ["waits_for_approval", "running"]


def test_the_story_outlives_the_cloud_in_a_file(found: Application) -> None:
    """What is read back from the run's folder is what the cloud told; without a file there is none."""
    weeks = Weeks(found)
    weeks.rolled_out(weeks.ended("deployed", version=1), 1)

    assert story.kept(found.cloud.folder) is None
    story.keep(found)

    assert story.kept(found.cloud.folder) == story.read(found)


def test_a_file_that_is_no_story_is_refused(found: Application) -> None:
    """The file is named, and what to do."""
    (found.cloud.folder / story.FILE).write_text("{}")

    with pytest.raises(CommandError) as refused:
        story.kept(found.cloud.folder)

    assert story.FILE in str(refused.value)


def test_history_reads_the_file_of_the_last_run_whose_cloud_is_gone(
    found: Application, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """After `treering run`, `treering history` needs no cloud."""
    weeks = Weeks(found)
    weeks.rolled_out(weeks.ended("deployed", version=1), 1)
    story.keep(found)
    (found.cloud.folder / "choice.json").write_text(json.dumps({"source": "ames", "stack_name": "flats"}))

    told = history.read(tmp_path, None)

    assert told == story.read(found)
    assert "now version 1" in history.text(told)
    assert capsys.readouterr().out == ""


def test_where_nothing_was_trained_the_story_says_what_to_do(found: Application) -> None:
    """An empty cloud."""
    assert "treering run" in history.text(story.read(found))

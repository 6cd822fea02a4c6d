"""One event gives one dataset version and one execution, whatever happens on the way and however often it comes.

The adapters are the real ones, on an emulation of S3 and Step Functions; a crash is an exception that nobody catches,
before or after the effect of any request.
"""

import errno
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from moto import mock_aws

from treering import keys
from treering.aws.s3 import Bucket
from treering.aws.step_functions import StateMachine
from treering.clock import Clock, Deadline
from treering.contracts import DatasetManifest, ExecutionInput, IngestResult, ScheduledEvent
from treering.errors import ConfigurationError, DownloadError, InvalidDataError, TransientError
from treering.kaggle import Download
from treering.steps.hashing import dataset_version
from treering.steps.ingestion import Ingestion

MONDAY = datetime(2026, 11, 23, 6, tzinfo=UTC)
DEFINITION = '{"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 600, "End": true}}}'
SESSION = boto3.Session("x", "x", region_name="us-east-1")  # one for all: it reads the services' models once
CALLS = 12  # that one event makes; a test below checks it


class CrashError(BaseException):
    """The function's end in mid-flight."""


def event(weeks: int = 0) -> ScheduledEvent:
    """The event of a Monday."""
    return ScheduledEvent(id=f"event-{weeks}", time=MONDAY + timedelta(weeks=weeks))


@dataclass
class Source:
    """Gives the zip it is told to give, and counts."""

    archive: bytes
    downloads: int = 0

    def download(self, competition: str, target: Path, maximum_bytes: int, deadline: Deadline) -> Download:
        """Write the zip."""
        self.downloads += 1
        target.write_bytes(self.archive)
        return Download(f"https://source/{competition}", len(self.archive), hashlib.sha256(self.archive).hexdigest())


@dataclass
class World:
    """A bucket, a state machine, a source, and an ingestion that can be made to crash at any request."""

    flats: Any
    zipped: Callable[..., bytes]
    folder: Path
    source: Source = field(init=False)
    calls: int = 0
    crash_at: int | None = None
    crash_after_effect: bool = False
    busy_at: int | None = None

    def __post_init__(self) -> None:
        """An empty bucket, a state machine without executions."""
        self.give(60)
        self.s3 = SESSION.client("s3")
        self.s3.create_bucket(Bucket="data")
        self.sfn = SESSION.client("stepfunctions")
        role = "arn:aws:iam::123456789012:role/states"
        machine = self.sfn.create_state_machine(name="weekly", definition=DEFINITION, roleArn=role)
        self.machine_arn = machine["stateMachineArn"]
        clients = (
            SESSION.client("s3"),
            SESSION.client("stepfunctions"),
        )
        for client in clients:
            client.meta.events.register("before-call", self._before)
            client.meta.events.register("after-call", self._after)
        self.ingestion = Ingestion(
            use_case=self.flats.use_case,
            competition="rents-of-flats",
            source=self.source,
            bucket=Bucket("data", clients[0]),
            executions=StateMachine(self.machine_arn, clients[1]),
            workspace=self.folder / "workspace",
            retrain_on_unchanged_data=True,
            clock=Clock(now=lambda: MONDAY),
        )

    def give(self, rows: int) -> None:
        """From now on, the source has this many rows."""
        archive = self.zipped(self.flats.files(rows))
        if hasattr(self, "source"):
            self.source.archive = archive
        else:
            self.source = Source(archive)

    def run(self, what: ScheduledEvent, retrain: bool = True) -> IngestResult:
        """Handle an event to the end."""
        ingestion = replace(self.ingestion, retrain_on_unchanged_data=retrain)
        return ingestion.run(what, Deadline.after(60))

    def crash(self, what: ScheduledEvent, at: int, after_effect: bool) -> bool:
        """Handle an event up to its request number `at`, from 0; whether it got that far."""
        self.calls, self.crash_at, self.crash_after_effect = 0, at, after_effect
        try:
            self.run(what)
        except CrashError:
            return True
        finally:
            self.crash_at = None
        return False

    def _before(self, **_: object) -> None:
        if self.calls == self.crash_at and not self.crash_after_effect:
            raise CrashError
        if self.calls == self.busy_at:
            answer = {"Error": {"Code": "SlowDown", "Message": ""}, "ResponseMetadata": {"HTTPStatusCode": 503}}
            raise ClientError(answer, "Any")  # type: ignore[arg-type]  # as botocore raises once its own retries end
        self.calls += 1

    def _after(self, **_: object) -> None:
        if self.calls - 1 == self.crash_at and self.crash_after_effect:
            raise CrashError

    def objects(self) -> dict[str, bytes]:
        """Everything in the bucket."""
        listed = self.s3.list_objects_v2(Bucket="data").get("Contents", [])
        return {o["Key"]: self.s3.get_object(Bucket="data", Key=o["Key"])["Body"].read() for o in listed}

    def executions(self) -> dict[str, dict[str, Any]]:
        """Input of every execution, by name."""
        listed = self.sfn.list_executions(stateMachineArn=self.machine_arn)["executions"]
        return {
            e["name"]: json.loads(self.sfn.describe_execution(executionArn=e["executionArn"])["input"]) for e in listed
        }

    def versions(self) -> list[str]:
        """Versions that a reader sees."""
        return [key.split("/")[2] for key in self.objects() if key.endswith("/manifest.json")]


@pytest.fixture
def world(flats: Any, zipped: Callable[..., bytes], tmp_path: Path) -> Iterator[World]:
    """A new world."""
    with mock_aws():
        yield World(flats, zipped, tmp_path)


def check_complete(objects: Mapping[str, bytes]) -> None:
    """Every manifest in the bucket tells the truth about every object of its version."""
    for key, content in objects.items():
        if not key.endswith("/manifest.json"):
            continue
        manifest = DatasetManifest.model_validate_json(content)
        for record in (*manifest.raw, *manifest.splits.values()):
            assert hashlib.sha256(objects[record.key]).hexdigest() == record.sha256
            assert len(objects[record.key]) == record.bytes


def test_a_first_event_gives_a_version_and_an_execution(world: World) -> None:
    """Raw files as they came, splits, manifest, record; the execution's input points to them."""
    result = world.run(event())
    version = result.dataset.version
    objects = world.objects()
    manifest = DatasetManifest.model_validate_json(objects[f"datasets/flats/{version}/manifest.json"])

    assert sorted(objects) == [
        *(f"datasets/flats/{version}/{name}" for name in ("manifest.json", "test.csv", "train.csv", "validation.csv")),
        "ingestions/flats/20261123T060000Z.json",
        f"raw/flats/{version}/flats.csv",
        f"raw/flats/{version}/readme.txt",
    ]
    assert objects[f"raw/flats/{version}/flats.csv"] == world.flats.files(60)["flats.csv"]
    check_complete(objects)
    assert sum(manifest.rows.values()) == 60
    assert (manifest.scheduled_at, manifest.competition) == (MONDAY, "rents-of-flats")
    assert [column.name for column in manifest.columns] == ["id", "rooms", "area", "district", "rent"]
    assert world.executions() == {
        f"{version}-20261123T060000Z": {
            "dataset": {
                "name": "flats",
                "version": version,
                "prefix_uri": f"s3://data/datasets/flats/{version}/",
                "manifest_uri": f"s3://data/datasets/flats/{version}/manifest.json",
            },
            "scheduled_at": "2026-11-23T06:00:00Z",
        }
    }
    assert (result.new_version, result.execution_started) == (True, True)
    assert result.execution_arn is not None
    assert result.execution_arn.endswith(f":execution:weekly:{version}-20261123T060000Z")


def test_the_same_event_again_changes_nothing_and_downloads_nothing(world: World) -> None:
    """The answer is the same, but for the execution, which is started already."""
    first = world.run(event())
    before = world.objects()
    world.give(70)
    again = world.run(event())

    assert world.objects() == before
    assert world.source.downloads == 1
    assert len(world.executions()) == 1
    assert again == first.model_copy(update={"execution_started": False, "message": again.message})
    assert "had started its training before" in again.message


def test_the_number_of_requests_is_known(world: World) -> None:
    """The tests below crash at each of them."""
    world.run(event())

    assert world.calls == CALLS


@pytest.mark.parametrize("after_effect", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", range(CALLS))
def test_a_retry_after_a_crash_at_any_request_gives_the_same(world: World, at: int, after_effect: bool) -> None:
    """Whatever was done or not: the bucket and the execution are as without the crash; nothing half is seen between."""
    assert world.crash(event(), at, after_effect)
    check_complete(world.objects())
    result = world.run(event())
    version = result.dataset.version

    assert len(world.objects()) == 7
    check_complete(world.objects())
    assert world.versions() == [version]
    assert list(world.executions()) == [f"{version}-20261123T060000Z"]
    assert result.new_version


@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example([(8, False, 60)], 70)  # the record names data that are gone before their manifest was written
@given(
    st.lists(st.tuples(st.integers(0, CALLS - 1), st.booleans(), st.sampled_from([60, 60, 70])), max_size=4),
    st.sampled_from([60, 70]),
)
def test_crashes_and_changing_data_give_one_version_and_one_execution(
    flats: Any,
    zipped: Callable[..., bytes],
    tmp_path: Path,
    crashes: list[tuple[int, bool, int]],
    rows: int,
) -> None:
    """Even if the source has other data at every try, and after the last: one version, trained on once."""
    with mock_aws():
        world = World(flats, zipped, tmp_path)
        for at, after_effect, rows_then in crashes:
            world.give(rows_then)
            world.crash(event(), at, after_effect)
            check_complete(world.objects())
        world.give(rows)
        result = world.run(event())
        world.give(80)
        world.run(event())

        assert world.versions() == [result.dataset.version]
        assert list(world.executions()) == [f"{result.dataset.version}-20261123T060000Z"]
        check_complete(world.objects())


def test_new_data_give_a_new_version(world: World) -> None:
    """The old one stays."""
    first = world.run(event())
    world.give(70)
    second = world.run(event(1))

    assert second.new_version
    assert sorted(world.versions()) == sorted([first.dataset.version, second.dataset.version])
    assert len(world.executions()) == 2


def test_unchanged_data_can_be_trained_on_again(world: World) -> None:
    """No new version, a second execution with its own time; the same event again starts nothing more."""
    version = world.run(event()).dataset.version
    before = {key: content for key, content in world.objects().items() if not key.startswith("ingestions/")}
    results = [world.run(event(1)) for _ in range(2)]
    after = {key: content for key, content in world.objects().items() if not key.startswith("ingestions/")}

    assert before == after
    assert [(r.new_version, r.execution_started) for r in results] == [(False, True), (False, False)]
    assert sorted(world.executions()) == [f"{version}-20261123T060000Z", f"{version}-20261130T060000Z"]


def test_unchanged_data_can_be_left_alone(world: World) -> None:
    """No new version, no execution, and the message says why."""
    world.run(event())
    results = [world.run(event(1), retrain=False) for _ in range(2)]

    for result in results:
        assert (result.new_version, result.execution_started, result.execution_arn) == (False, False, None)
        assert "not trained on again, as RETRAIN_ON_UNCHANGED_DATA is false" in result.message
    assert len(world.executions()) == 1


def test_the_setting_does_not_concern_a_retry_of_the_event_that_made_the_version(world: World) -> None:
    """It crashed between manifest and execution; the retry starts it, though the data are there and retrain is off."""
    world.crash(event(), CALLS - 1, after_effect=False)
    assert world.versions()
    result = world.run(event(), retrain=False)

    assert (result.new_version, result.execution_started) == (True, True)
    assert len(world.executions()) == 1


def test_a_version_that_was_given_up_before_its_training_is_trained_on_next_week(world: World) -> None:
    """All retries of the first event failed to start the execution; unchanged data make up for it, once."""
    world.crash(event(), CALLS - 1, after_effect=False)
    results = [world.run(event(week), retrain=False) for week in (1, 1, 2)]

    assert [result.execution_started for result in results] == [True, False, False]
    assert "stored on 2026-11-23 but never trained on until now" in results[0].message
    assert list(world.executions()) == [f"{results[0].dataset.version}-20261123T060000Z"]


def test_an_old_execution_that_aws_has_forgotten_is_not_started_again(world: World) -> None:
    """Names are free again 90 days after an execution's end; unchanged data of 91 days ago stay as they are."""
    world.crash(event(), CALLS - 1, after_effect=False)  # as if forgotten
    result = world.run(event(13), retrain=False)

    assert not result.execution_started
    assert world.executions() == {}


def test_what_decides_the_version(flats: Any) -> None:
    """Bytes of every file, salt, shares, key: another version. Settings of the model, target, types: the same."""
    use_case = flats.use_case
    files = {"flats.csv": "a" * 64, "readme.txt": "b" * 64}
    version = dataset_version(use_case, files)

    def changed(**parts: Any) -> str:
        return dataset_version(use_case.model_copy(update=parts), files)

    assert dataset_version(use_case, dict(reversed(files.items()))) == version
    assert changed(model=use_case.model.model_copy(update={"n_estimators": 1})) == version
    assert changed(title="Another") == version
    assert changed(columns=use_case.columns.model_copy(update={"minimum_rows": 1})) == version
    others = {
        dataset_version(use_case, {**files, "flats.csv": "c" * 64}),
        dataset_version(use_case, {**files, "readme.txt": "c" * 64}),
        changed(split=use_case.split.model_copy(update={"salt": "other"})),
        changed(split=use_case.split.model_copy(update={"shares": {"train": 0.5, "validation": 0.25, "test": 0.25}})),
        changed(columns=use_case.columns.model_copy(update={"key": "rooms"})),
        version,
    }
    assert len(others) == 6


def test_a_zip_packed_otherwise_is_the_same_version(world: World) -> None:
    """Order, method and dates of the archive do not matter, nor do files that are not the use case's."""
    version = world.run(event()).dataset.version
    files = world.flats.files(60)
    world.source.archive = world.zipped({"more.txt": b"x", **dict(reversed(files.items()))}, 0)

    assert world.run(event(1)).dataset.version == version


def test_an_event_in_another_time_zone_is_the_same_event(world: World) -> None:
    """Instants count, to the second, not how they are written."""
    world.run(event())
    same = ScheduledEvent.model_validate({"id": "x", "time": "2026-11-23T08:00:00.250+02:00"})

    assert not world.run(same).execution_started
    assert len(world.executions()) == 1


@pytest.mark.parametrize("problem", ["data", "zip", "member missing"])
def test_bad_data_leave_nothing_behind(world: World, problem: str) -> None:
    """An error that says so, an empty bucket, no execution, an empty workspace."""
    files = world.flats.files(60)
    world.source.archive = {
        "data": world.zipped({**files, "flats.csv": files["flats.csv"].replace(b"400", b"-4")}),
        "zip": b"no zip",
        "member missing": world.zipped({"flats.csv": files["flats.csv"]}),
    }[problem]

    with pytest.raises(DownloadError if problem == "zip" else InvalidDataError):
        world.run(event())
    assert world.objects() == {}
    assert world.executions() == {}
    assert list(world.folder.iterdir()) == []


def test_what_the_download_holds_is_named_where_a_file_is_not_there(world: World) -> None:
    """In a folder, in capitals, packed otherwise: whoever reads the message sees why the file was not found."""
    files = world.flats.files(60)
    world.source.archive = world.zipped({"data/": b"", "data/flats.csv": files["flats.csv"], "README.TXT": b"text"})

    with pytest.raises(InvalidDataError) as caught:
        world.run(event())
    assert str(caught.value).splitlines()[1:-1] == [
        "- the file flats.csv is not in the download",
        "- the file readme.txt is not in the download",
        "- the download holds 'data/flats.csv', 'README.TXT'",
    ]


def test_what_an_earlier_try_left_in_the_workspace_is_removed(world: World) -> None:
    """A killed function cannot clean up; the next one in the same environment does, and after itself too."""
    (world.folder / "workspace" / "raw").mkdir(parents=True)
    (world.folder / "workspace" / "raw" / "flats.csv").write_bytes(b"half a file")
    (world.folder / "workspace" / "download.zip").write_bytes(b"half a zip")
    world.run(event())

    assert list(world.folder.iterdir()) == []
    check_complete(world.objects())


def test_a_full_disk_is_named(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what to raise, and room is made."""

    def full(*_: object) -> Download:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(world.source, "download", full)

    with pytest.raises(ConfigurationError, match=r"is full\. Raise the function's ephemeral storage"):
        world.run(event())
    assert list(world.folder.iterdir()) == []


def test_splits_that_would_not_fit_are_refused_before_the_validation(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message says by how much /tmp is too small; nothing is stored."""
    usage = shutil.disk_usage(world.folder)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=100))

    with pytest.raises(ConfigurationError, match=r"has 100 left .* \(IngestStorageMegabytes\) by 1 MB or more"):
        world.run(event())
    assert world.objects() == {}


@pytest.mark.parametrize("at", range(CALLS))
def test_a_busy_service_is_transient_and_the_retry_succeeds(world: World, at: int) -> None:
    """AWS answers 503 to any request: an error that says to try again, and trying again helps."""
    world.busy_at = at
    with pytest.raises(TransientError, match="AWS answered SlowDown"):
        world.run(event())
    world.busy_at, world.calls = None, 0
    world.run(event())

    assert len(world.versions()) == len(world.executions()) == 1


def test_a_manifest_that_somebody_edited_is_named(world: World) -> None:
    """With its URI."""
    version = world.run(event()).dataset.version
    world.s3.put_object(Bucket="data", Key=keys.manifest_key("flats", version), Body=b"{}")

    with pytest.raises(ConfigurationError, match=f"s3://data/datasets/flats/{version}/manifest.json is no manifest"):
        world.run(event(1))


def test_the_executions_input_is_the_same_to_the_byte(world: World) -> None:
    """Step Functions compares inputs as text: it depends on version and time alone."""
    result = world.run(event())
    listed = world.sfn.list_executions(stateMachineArn=world.machine_arn)["executions"]
    text = world.sfn.describe_execution(executionArn=listed[0]["executionArn"])["input"]

    assert text == ExecutionInput(dataset=result.dataset, scheduled_at=MONDAY).model_dump_json()

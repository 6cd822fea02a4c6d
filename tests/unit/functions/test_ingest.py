"""The ingest function, from the scheduled event to the execution: with a data source that speaks Kaggle's API and the
real data, on an emulation of AWS."""

import io
import json
import logging
import multiprocessing
import multiprocessing.synchronize
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from moto import mock_aws

from functions.ingest import settings
from functions.ingest.app import handler, logger
from local_cloud.kaggle import Fault, FeedDescription, KaggleServer, RdatasetsFeed
from treering import use_case
from treering.contracts import DatasetManifest, IngestResult
from treering.errors import ConfigurationError, CredentialsError, InvalidEventError, TransientError

ROOT = Path(__file__).parents[3]
HOUSES = use_case.load("house_prices")
EVENT = json.loads((ROOT / "events" / "ingest_scheduled.json").read_text())
NEXT_WEEK = json.loads((ROOT / "events" / "ingest_next_week.json").read_text())
CONTEXT = SimpleNamespace(
    function_name="treering-dev-ingest",
    memory_limit_in_mb=1024,
    invoked_function_arn="arn:aws:lambda:eu-central-1:123456789012:function:treering-dev-ingest",
    aws_request_id="request",
    get_remaining_time_in_millis=lambda: 900_000,
)


@pytest.fixture(scope="module")
def houses() -> RdatasetsFeed:
    """The Ames data as the competition's files."""
    feed = HOUSES.feed
    assert feed is not None
    return RdatasetsFeed(
        FeedDescription.from_mapping(
            {
                **feed.model_dump(),
                "key": HOUSES.columns.key,
                "target": HOUSES.target.column,
                "labelled_file": HOUSES.source.labelled_file,
            }
        )
    )


@pytest.fixture
def kaggle(houses: RdatasetsFeed) -> Iterator[KaggleServer]:
    """A data source with all sales."""
    with KaggleServer(HOUSES.source.competition, houses, lambda: datetime(2012, 1, 1, tzinfo=UTC)) as server:
        yield server


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An account of nobody."""
    for name, value in {"ACCESS_KEY_ID": "x", "SECRET_ACCESS_KEY": "x", "REGION": "us-east-1"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    with mock_aws():
        yield


@pytest.fixture
def function(
    aws: None, kaggle: KaggleServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., IngestResult]:
    """Invokes the function, deployed next to a bucket, a secret and a state machine."""
    region = {"region_name": "us-east-1"}
    boto3.client("s3", **region).create_bucket(Bucket="data")
    secret = boto3.client("secretsmanager", **region).create_secret(
        Name="kaggle", SecretString=json.dumps({"username": kaggle.username, "key": kaggle.key})
    )
    machine = boto3.client("stepfunctions", **region).create_state_machine(
        name="weekly",
        definition='{"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 600, "End": true}}}',
        roleArn="arn:aws:iam::123456789012:role/states",
    )
    environment = {
        "DATA_BUCKET": "data",
        "KAGGLE_SECRET_ARN": secret["ARN"],
        "DATA_SOURCE_BASE_URL": kaggle.base_url,
        "COMPETITION": "",
        "USE_CASE": "house_prices",
        "STATE_MACHINE_ARN": machine["stateMachineArn"],
        "RETRAIN_ON_UNCHANGED_DATA": "true",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    settings.environment.cache_clear()
    settings._clients.cache_clear()

    def invoke(event: Any = EVENT, **changes: str | None) -> IngestResult:
        for name, value in changes.items():
            if value is None:
                monkeypatch.delenv(name)
            else:
                monkeypatch.setenv(name, value)
        if changes:
            settings.environment.cache_clear()
        return IngestResult.model_validate(handler(event, CONTEXT))

    return invoke


def test_the_weekly_event_makes_a_version_of_the_real_data(function: Callable[..., IngestResult]) -> None:
    """Over 2,000 houses in three splits, of all columns; one execution."""
    result = function()
    s3 = boto3.client("s3", region_name="us-east-1")
    key = result.dataset.manifest_uri.removeprefix("s3://data/")
    manifest = DatasetManifest.model_validate_json(s3.get_object(Bucket="data", Key=key)["Body"].read())

    assert (result.new_version, result.execution_started) == (True, True)
    assert sum(manifest.rows.values()) > 2000
    assert manifest.rows["train"] / sum(manifest.rows.values()) == pytest.approx(0.7, abs=0.03)
    assert len(manifest.columns) == 81
    assert sorted(Path(record.key).name for record in manifest.raw) == sorted(HOUSES.source.files)


def test_the_event_delivered_twice_and_next_weeks_event(function: Callable[..., IngestResult]) -> None:
    """Twice the same: one execution. A week later, the same data: no new version, another execution."""
    results = [function(), function(), function(NEXT_WEEK)]

    assert [(r.new_version, r.execution_started) for r in results] == [(True, True), (True, False), (False, True)]
    assert len({r.dataset.version for r in results}) == 1


def test_unchanged_data_are_left_alone_if_so_set(function: Callable[..., IngestResult]) -> None:
    """RETRAIN_ON_UNCHANGED_DATA is false."""
    function()
    result = function(NEXT_WEEK, RETRAIN_ON_UNCHANGED_DATA="false")

    assert (result.new_version, result.execution_arn) == (False, None)


def test_metrics_and_message_are_written(
    function: Callable[..., IngestResult], capsys: pytest.CaptureFixture[str]
) -> None:
    """One line of embedded metric format, one log line with version and execution."""
    log = io.StringIO()
    log_handler = logging.StreamHandler(log)
    log_handler.setFormatter(logger.registered_formatter)
    logger.addHandler(log_handler)
    result = function()
    logger._logger.removeHandler(log_handler)
    lines = [json.loads(line) for line in (log.getvalue() + capsys.readouterr().out).splitlines()]
    metrics = next(line for line in lines if "NewDatasetVersions" in line)
    message = next(line for line in lines if line.get("message") == result.message)

    assert (metrics["NewDatasetVersions"], metrics["ExecutionsStarted"]) == ([1.0], [1.0])
    assert metrics["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "Treering"
    assert message["dataset_version"] == result.dataset.version
    assert message["execution_arn"] == result.execution_arn


def test_it_needs_no_semaphore_and_writes_into_its_temporary_folder_only(
    function: Callable[..., IngestResult], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Lambda has no /dev/shm, so that every lock, queue or pool of multiprocessing fails; all else is read-only."""
    written = watch_writes(monkeypatch)
    monkeypatch.setattr("_multiprocessing.SemLock", NoSemaphore)
    with pytest.raises(OSError, match="Function not implemented"):
        multiprocessing.Lock()
    function()

    assert written
    assert [path for path in written if not path.startswith(str(tmp_path))] == []
    assert list(tmp_path.iterdir()) == []


def test_every_missing_or_wrong_variable_is_named_at_once(function: Callable[..., IngestResult]) -> None:
    """In one message, at the first invocation."""
    with pytest.raises(ConfigurationError) as caught:
        function(DATA_BUCKET=None, USE_CASE=None, RETRAIN_ON_UNCHANGED_DATA="maybe", DATA_SOURCE_BASE_URL="ftp://x")
    message = str(caught.value)

    assert "missing: DATA_BUCKET, USE_CASE." in message
    assert "DATA_SOURCE_BASE_URL (" in message
    assert "RETRAIN_ON_UNCHANGED_DATA (" in message


def test_an_empty_secret_is_said_with_the_command(function: Callable[..., IngestResult]) -> None:
    """As it is right after the first deployment."""
    client = boto3.client("secretsmanager", region_name="us-east-1")
    arn = os.environ["KAGGLE_SECRET_ARN"]
    client.put_secret_value(SecretId=arn, SecretString='{"username": "", "key": "", "api_token": ""}')

    with pytest.raises(CredentialsError, match=f"aws secretsmanager put-secret-value --secret-id {arn}"):
        function()


def test_another_competition_can_be_named(function: Callable[..., IngestResult]) -> None:
    """COMPETITION overrides the use case's; the data source knows no such competition."""
    with pytest.raises(Exception, match="Kaggle has no competition another-one"):
        function(COMPETITION="another-one")


def test_an_unknown_use_case_is_named(function: Callable[..., IngestResult]) -> None:
    """With those that there are."""
    with pytest.raises(ConfigurationError, match=r"no use case 'flats'\. Known: house_prices"):
        function(USE_CASE="flats")


@pytest.mark.parametrize("event", [{}, {"id": "x", "time": "monday"}, {"id": "x", "time": "2026-11-23T06:00:00"}])
def test_an_event_that_is_no_schedules_is_refused(function: Callable[..., IngestResult], event: Any) -> None:
    """The time, with its zone, is what makes an event the same event."""
    with pytest.raises(InvalidEventError, match=r"This is no ScheduledEvent: .*time: "):
        function(event)


def test_the_download_ends_before_the_function_does(
    function: Callable[..., IngestResult], kaggle: KaggleServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a minute left, which the steps after the download need, none is begun."""
    monkeypatch.setattr(CONTEXT, "get_remaining_time_in_millis", lambda: 59_000)

    with pytest.raises(TransientError, match="No time is left"):
        function()
    assert kaggle.requests == []


def test_a_download_that_breaks_goes_on(function: Callable[..., IngestResult], kaggle: KaggleServer) -> None:
    """The function has what it needs to resume: nobody notices."""
    kaggle.faults.add(Fault("truncate", after_bytes=5000))

    assert function().new_version


def test_it_imports_no_data_libraries() -> None:
    """Its cold start is short."""
    program = "import sys, functions.ingest.app; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)

    assert not {"numpy", "pandas", "sklearn"} & set(modules.stdout.split())


class NoSemaphore:
    """What multiprocessing finds in Lambda."""

    SEM_VALUE_MAX = 1

    def __init__(self, *_: object) -> None:
        raise OSError(38, "Function not implemented")


_watchers: list[list[str]] = []


def _note_write(name: str, arguments: tuple[Any, ...]) -> None:
    if not _watchers or name not in ("open", "os.mkdir", "os.rename", "os.symlink"):
        return
    path, flags = arguments[0], arguments[2] if name == "open" else os.O_WRONLY
    if isinstance(path, str | os.PathLike) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
        _watchers[-1].append(os.fspath(path))


sys.addaudithook(_note_write)  # for good: hooks cannot be removed, so it looks away unless somebody watches


def watch_writes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Paths that are opened for writing or made from now on, until the test's end."""
    written: list[str] = []
    monkeypatch.setattr(sys.modules[__name__], "_watchers", [written])
    return written

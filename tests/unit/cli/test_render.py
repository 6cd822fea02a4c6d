"""Reports as a person reads them."""

from datetime import UTC, datetime

from cli import render
from cli.replay import Replay, Week
from cli.report import Artefact, FailureReport, RunReport, StateReport
from treering.contracts import (
    DatasetManifest,
    DeployEndpointResult,
    ExamplePrediction,
    FeatureRecord,
    Latency,
    PreprocessResult,
    RegressionMetrics,
    TestEndpointResult,
    TrainResult,
)

RUN = "20261123-060000-0123abcd"
VERSION = "0123456789abcdef"
OF = {"run_id": RUN, "dataset_version": VERSION}
DUE = datetime(2026, 11, 23, 6, tzinfo=UTC)


def features(count: int) -> tuple[FeatureRecord, ...]:
    """Features named f0, f1, …"""
    return tuple(FeatureRecord(name=f"f{i}", type="number", relevance=1.0, missing=0) for i in range(count))


def metrics(rmse_log: float | None) -> RegressionMetrics:
    """Errors on 300 rows."""
    return RegressionMetrics(rows=300, mse=0.0144, rmse=21000.5, mae=14000.25, r2=0.91, rmse_log=rmse_log)


def report(**changes: object) -> RunReport:
    """A run that succeeded."""
    rows = {"train": 1400, "validation": 300, "test": 300}
    content = {
        "outcome": "succeeded",
        "execution_arn": "arn:aws:states:us-east-1:000000000000:execution:machine:name",
        "scheduled_at": DUE,
        "run_id": RUN,
        "dataset_version": VERSION,
        "new_version": True,
        "dataset": DatasetManifest.model_construct(dataset="flats", rows=rows),
        "preprocess": PreprocessResult(
            **OF, rows=rows, relevance_measure="a measure", kept=features(40), dropped=features(20)
        ),
        "train": TrainResult(
            **OF, validation=metrics(0.1312), training_rows=1400, features=(), hyperparameters={}, seconds=1.0
        ),
        "deploy_endpoint": DeployEndpointResult.model_construct(
            **OF, endpoint_name="flats-dev", endpoint_config_name="flats-dev-1", action="created"
        ),
        "test_endpoint": TestEndpointResult(
            **OF,
            endpoint_name="flats-dev",
            endpoint_config_name="flats-dev-1",
            test=metrics(None),
            largest_relative_difference=1e-15,
            latency=Latency(requests=200, p50_ms=3.14, p99_ms=9.87),
            load=None,
            examples=tuple(ExamplePrediction(key=f"k{i}", predicted=110.0, actual=100.0) for i in range(9)),
        ),
        "unit": "EUR",
        "states": [StateReport(name="Preprocess", status="succeeded", seconds=1.25, retries=0, says="")],
        "execution_seconds": 9.5,
        "command_seconds": 12.0,
        "artefacts": [Artefact(what="model", uri="s3://b/model.tar.gz", path="/state/b/model.tar.gz")],
        "bucket_path": "/state/b",
    }
    return RunReport.model_construct(**{**content, **changes})


def test_a_report_says_everything_once() -> None:
    """Version, rows, features, errors, examples, latency, seconds and artefacts are all there."""
    text = render.run(report())

    for words in (
        f"Weekly run {RUN} succeeded in 12.0 s",
        f"flats version {VERSION} (new)",
        "2,000 rows: 1,400 train, 300 validation, 300 test",
        "40 of 60 kept, by a measure",
        "RMSE, EUR",
        "0.1312",
        "p50 3.1 ms, p99 9.9 ms over 200 requests",
        "+10.0%",
        "Preprocess 1.2; the execution 9.5",
        "s3://b/model.tar.gz",
    ):
        assert words in text
    assert text.count("+10.0%") == render.EXAMPLES


def test_what_a_run_did_not_reach_is_left_out() -> None:
    """A run that failed early has a report as far as it came."""
    nothing = dict.fromkeys(("dataset", "preprocess", "train", "deploy_endpoint", "test_endpoint", "bucket_path"))

    text = render.run(report(outcome="failed", artefacts=[], states=[], **nothing))

    assert f"{RUN} failed" in text
    assert "Errors" not in text
    assert "Endpoint" not in text


def test_a_failure_names_state_error_cause_log_and_advice() -> None:
    """An endless cause is cut, and says how long it is."""
    failure = FailureReport(state="Preprocess", error="Wrong", cause="x" * 5000, log=["last line"], hint="do this")

    text = render.failure(failure)

    assert text.startswith("Preprocess failed: Wrong")
    assert "x" * render.CAUSE_LENGTH + "… (5,000 characters)" in text
    assert "    last line" in text
    assert "What to try: do this" in text


def week(version: str | None, *, new: bool) -> Week:
    """A week of a replay."""
    return Week(
        scheduled_at=DUE,
        dataset_version=version,
        new_version=new,
        rows=2000 if version else None,
        validation_rmse_log=0.13 if version else None,
        test_rmse_log=0.12 if version else None,
        seconds=7.0 if version else None,
        execution_arn="arn" if version else None,
        endpoint_config_name="c" if version else None,
        says="",
    )


def test_a_replay_says_what_the_weeks_come_to() -> None:
    """Versions, executions and endpoints are counted, and weeks without new data are named."""
    text = render.replay(
        Replay(
            outcome="succeeded",
            weeks=[week(VERSION, new=True), week(None, new=False)],
            dataset_versions=[VERSION],
            executions=["arn"],
            endpoint_name="e",
            endpoints=["e"],
            unchanged=[DUE],
        )
    )

    assert "1 dataset version, 1 execution, 1 endpoint (e)" in text
    assert "No new data in the weeks of 2026-11-23" in text
    assert "no execution" in text

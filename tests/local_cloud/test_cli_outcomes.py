"""What may become of a week's model besides going into service: nothing is good enough, or nobody decides in time."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.local_cloud.test_cli_run import treering

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def given(*parameters: str) -> list[str]:
    """Parameters of the template, as options."""
    return [argument for pair in parameters for argument in ("--parameter", pair)]


SEARCH = given("TuneModel=true", "TuneMaxTrials=2", "TuneMaxSeconds=60", "GateMaxError=0.01", "TrafficWaitSeconds=0")
ASK = given("TuneModel=false", "GateMaxError=0.2", "ApprovalRequired=true", "ApprovalDeadlineSeconds=60")
KEEP = given("KeepStagingEndpoint=true", "LoadTestSeconds=1")


@dataclass(frozen=True)
class Year:
    """A cloud with a week of a search that finds nothing good, a week in which nobody decides, and a late decision."""

    state: Path
    searched: dict[str, Any]
    models: list[dict[str, Any]]  # in the registry after the search
    alarms: list[str]  # in ALARM then, by their names in the template
    expired: dict[str, Any]
    decided: dict[str, Any]
    rolled_out: dict[str, Any]
    told: list[dict[str, Any]] = field(default_factory=list)


def said(*arguments: str, state: Path, code: int = 0) -> Any:
    """What a command answers a script."""
    done = treering(*arguments, "--json", state=state)
    assert done.returncode == code, done.stdout + done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory, thin_source: Path) -> Iterator[Year]:
    """All of it, one after the other, in one cloud."""
    state = tmp_path_factory.mktemp("outcomes")
    try:
        up = said("up", "--source", str(thin_source), *SEARCH, state=state)
        keys = up["environment"]
        session = boto3.Session(
            keys["AWS_ACCESS_KEY_ID"], keys["AWS_SECRET_ACCESS_KEY"], region_name=keys["AWS_DEFAULT_REGION"]
        )
        searched, models = said("run", state=state), said("models", state=state)
        cloudwatch = session.client("cloudwatch", endpoint_url=keys["AWS_ENDPOINT_URL"])
        red = [one["AlarmName"] for one in cloudwatch.describe_alarms(StateValue="ALARM")["MetricAlarms"]]
        said("up", *ASK, *KEEP, state=state)
        yield Year(
            state=state,
            searched=searched,
            models=models,
            alarms=[name.split("-")[1] for name in red],
            expired=said("run", state=state),
            decided=said("approve", "1", state=state),
            rolled_out=said("rollout", "1", state=state),
            told=said("history", state=state)["entries"],
        )
    finally:
        treering("down", state=state)


def test_a_search_without_a_good_model_registers_nothing_and_an_alarm_says_so(year: Year) -> None:
    """The report lists all that was tried; the best is below the floor, so the week ends as rejected, with numbers."""
    trials = year.searched["train"]["tuning"]["trials"]
    verdict = year.searched["evaluate"]["verdict"]

    assert {trial["regressor"] for trial in trials} == {"random_forest", "extra_trees"}
    assert all(0 < trial["error"] < 1 and trial["settings"] for trial in trials)
    assert (year.searched["outcome"], year.searched["model_outcome"]) == ("succeeded", "rejected")
    assert (verdict["passed"], verdict["above_floor"]) == (False, False)
    assert "at most 0.01 is allowed" in verdict["summary"]
    assert year.models == []
    assert year.alarms == ["ModelBelowFloorAlarm"]


def test_a_model_on_which_nobody_decides_in_time_stays_out(year: Year) -> None:
    """The execution succeeds with an outcome of its own; a late approval is no decision on it, but a rollout works."""
    assert (year.expired["outcome"], year.expired["model_outcome"]) == ("succeeded", "approval_expired")
    assert year.expired["deploy_endpoint"] is None
    assert year.decided["execution_arn"] is None
    assert "treering rollout 1" in year.decided["then"]
    assert (year.rolled_out["outcome"], year.rolled_out["before"], year.rolled_out["in_service"]) == (
        "deployed",
        None,
        1,
    )
    assert [(entry["outcome"], entry["into_service"]) for entry in year.told] == [
        ("rejected", None),
        ("approval_expired", None),
        ("deployed", 1),
    ]


def test_staging_is_put_under_load_and_kept_where_asked_for(year: Year) -> None:
    """The load has its figures; what the two endpoints cost is listed until somebody removes them."""
    load = year.rolled_out["test_staging"]["load"]
    left = treering("teardown", "--check", "--json", state=year.state)
    endpoints = [one for one in json.loads(left.stdout)["leftovers"] if one["kind"] == "endpoint"]

    assert load["requests"] > load["concurrency"] == 4
    assert load["errors"] == 0
    assert 0 < load["p50_ms"] <= load["p99_ms"]
    assert load["requests_per_second"] == pytest.approx(load["requests"] / load["seconds"], rel=0.01)
    assert left.returncode == 1
    assert len(endpoints) == 2
    assert {one["name"].partition(" ")[0] for one in endpoints} == {"treering-dev", "treering-dev-staging"}
    assert all(one["month"] > 10 and "delete-endpoint" in one["remove"] for one in endpoints)

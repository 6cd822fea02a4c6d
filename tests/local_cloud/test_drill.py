"""The drills as a user types them: a bad, a slow, a crashing and a stuck model."""

import json
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.local_cloud.test_cli_run import left, start
from treering.names import RUN_ID

PATIENCE = 500
DRILLS = ("stuck-model", "slow-model", "crashing-model", "bad-model")  # the longest first

pytestmark = [pytest.mark.slow, pytest.mark.longest, pytest.mark.timeout(900)]


@dataclass(frozen=True)
class Drilled:
    """A drill that was carried through: its exit code, its JSON report, and what was on stderr."""

    code: int
    report: dict[str, Any]
    err: str
    state: Path

    def seen(self, what: str) -> str:
        """What was seen of one expectation."""
        [found] = [check["seen"] for check in self.report["checks"] if check["what"] == what]
        return str(found)


@pytest.fixture(scope="module")
def drills(tmp_path_factory: pytest.TempPathFactory, thin_source: Path) -> Iterator[dict[str, Future[Drilled]]]:
    """All drills, three at a time: each has a cloud of its own, and waits more than it works."""

    def carry_through(name: str) -> Drilled:
        state = tmp_path_factory.mktemp(name)
        process = start("drill", name, "--json", "--source", str(thin_source), state=state)
        out, err = process.communicate(timeout=PATIENCE)
        return Drilled(process.returncode, json.loads(out) if out else {}, err, state)

    with ThreadPoolExecutor(3) as pool:
        yield {name: pool.submit(carry_through, name) for name in DRILLS}


@pytest.fixture
def drilled(request: pytest.FixtureRequest, drills: dict[str, Future[Drilled]]) -> Drilled:
    """The drill of that name."""
    return drills[request.param].result()


@pytest.mark.parametrize("drilled", DRILLS, indirect=True)
def test_all_is_as_expected(drilled: Drilled) -> None:
    """Exit code 0, every expectation met, and nothing is left running."""
    assert drilled.code == 0, drilled.err
    assert drilled.report["outcome"] == "as expected"
    assert all(check["ok"] for check in drilled.report["checks"])
    assert not left(set(), drilled.state)


@pytest.mark.parametrize("drilled", ["bad-model"], indirect=True)
def test_a_bad_model_is_rejected_with_numbers(drilled: Drilled) -> None:
    """People read why, the registry has no new version, and the endpoint answers as before."""
    assert drilled.seen("bad data: execution") == "succeeded, outcome rejected"
    assert "at most 0.2 is allowed" in drilled.seen("bad data: quality gate")
    assert drilled.seen("bad data: people are told").startswith("1: ")
    assert drilled.seen("bad data: model registry") == "1 version"
    assert "(version 1)" in drilled.seen("bad data: endpoint")


ROLLED_BACK = [("slow-model", "slow model"), ("crashing-model", "crashing model")]


@pytest.mark.parametrize(("drilled", "phase"), ROLLED_BACK, indirect=["drilled"])
def test_a_bad_rollout_is_rolled_back_and_then_works(drilled: Drilled, phase: str) -> None:
    """The old model stays in service, people are told once, and the same version again goes into service."""
    assert drilled.seen(f"{phase}: endpoint's statuses") == "UPDATING, ROLLING_BACK, IN_SERVICE"
    assert drilled.seen(f"{phase}: people are told").startswith("1: ")
    assert "(version 1)" in drilled.seen(f"{phase}: endpoint")
    assert "(version 2)" in drilled.seen("again: endpoint")
    assert drilled.seen("again: people are told").startswith("1: ")
    first, second, again = drilled.report["executions"]
    assert first != second
    assert again.rpartition(":")[2].startswith("rollout-2-")


@pytest.mark.parametrize("drilled", ["slow-model"], indirect=True)
def test_the_cause_names_the_alarm_that_did_it(drilled: Drilled) -> None:
    """In the failed execution and in what people read; the alarm itself went off while the update baked."""
    assert "ALARM: treering-EndpointLatencyAlarm" in drilled.seen("slow model: execution")
    assert "EndpointLatencyAlarm" in drilled.seen("slow model: alarm")
    assert "goes on by a minute" in drilled.err


@pytest.mark.parametrize("drilled", ["crashing-model"], indirect=True)
def test_a_crash_is_seen_by_the_errors_or_by_the_health_check(drilled: Drilled) -> None:
    """By the alarm; on a machine so busy that the container dies before it was ever healthy, by the health check."""
    cause = drilled.seen("crashing model: execution")

    assert "ALARM: treering-EndpointErrorsAlarm" in cause or "did not pass the ping health check" in cause


@pytest.mark.parametrize("drilled", ["stuck-model"], indirect=True)
def test_a_stuck_update_ends_by_its_deadline(drilled: Drilled) -> None:
    """The cause says that it was still under way; the endpoint serves the old model until it can be tried again."""
    cause = drilled.seen("stuck model: execution")

    assert "was still Updating at the deadline" in cause
    assert "DeployTimeoutSeconds" in cause
    assert "(version 1)" in drilled.seen("stuck model: endpoint")
    assert "(version 2)" in drilled.seen("again: endpoint")


@pytest.mark.parametrize("drilled", ["slow-model"], indirect=True)
def test_each_step_is_printed_as_it_happens(drilled: Drilled) -> None:
    """The two weeks, the fault, the waits that the clock is moved through, the second try."""
    lines = drilled.err.splitlines()
    order = [
        "Train Random Forest (week 1)",
        "Fault armed",
        "Train Random Forest (week 2)",
        "  Deploy Endpoint (week 2)",
    ]
    order += ["Alarms are quiet again", "Deploy Endpoint (again)", "Rollout Succeeded (again)"]
    at = [next(number for number, line in enumerate(lines) if line.startswith(text)) for text in order]

    assert at == sorted(at)
    assert RUN_ID.search(drilled.err)

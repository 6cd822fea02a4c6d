"""The endpoint does not come up, comes up late, dies, answers wrong or slowly, or is gone."""

import contextlib
import os
import signal
import time

from tests.faults.bench import DEPLOY_SECONDS
from tests.faults.processes import servers
from tests.faults.scenario import Scenario
from tests.faults.scenarios.runs import (
    DEPLOY,
    DEPLOY_STAGING,
    ENDPOINT,
    TEST,
    Failed,
    Fault,
    Survived,
    fail,
)
from tests.faults.stage import Stage

_GROUP = "endpoint"
_FAILED = "States.TaskFailed"
_STAGING = "treering-dev-staging"


def _kill_servers(stage: Stage) -> None:
    for pid in servers(stage.bench.running.file.pid):
        with contextlib.suppress(ProcessLookupError):  # when one of its processes ends, the others do
            os.kill(pid, signal.SIGKILL)


def _killed(stage: Stage) -> None:
    """The model server is killed while it serves; SageMaker starts it again. The next model's dies, too."""
    before = stage.clear(whole=True)
    bench = stage.bench
    _kill_servers(stage)
    began = time.monotonic()
    bench.until(lambda: any(r.error for r in bench.traffic.since(began)), 10, "request that failed")
    bench.until(lambda: bench.traffic.since(began)[-1].prediction == before.price, 30, "answer of the old model")
    stage.require(*stage.checker.problems(before, endpoint_may_fail=True))
    arn = stage.begin()
    stage.entered(arn, TEST)
    _kill_servers(stage)
    if bench.ended(arn).status == "SUCCEEDED":
        stage.run_succeeded(before, arn, endpoint_may_fail=True)
        return
    # The second try follows the first at once here, and may meet the same: on AWS, up to a minute passes.
    stage.run_fails(before, arn, "Roll Out", _FAILED, "EndpointError", endpoint="new", endpoint_may_fail=True)
    stage.wait_for_quiet()
    stage.rolls_out_again(before, arn, endpoint_may_fail=True)


def _deleted(stage: Stage) -> None:
    """Somebody deletes the endpoint between two weeks, to save money; the one created again is slow."""
    before = stage.clear(whole=True)
    stage.delete_endpoint()
    stage.bench.arm({"kind": "answer", "name": ENDPOINT, "seconds": 0.1, "times": None})
    stage.run_succeeds(before, endpoint_may_fail=True)
    stage.struck()
    median = stage.last_report().latency.p50_ms
    stage.require(*(() if median >= 100 else (f"the report says {median} ms",)))


def _failed(stage: Stage) -> None:
    """The endpoint's first creation fails, so that it is Failed; the next rollout deletes and creates it."""
    before = stage.clear(whole=True)
    stage.delete_endpoint()
    stage.bench.arm({"kind": "capacity", "target": "endpoint", "name": ENDPOINT})
    arn = stage.begin()
    stage.run_fails(before, arn, "Roll Out", _FAILED, "InsufficientInstanceCapacity", endpoint="failed")
    stage.struck()
    stage.rolls_out_again(before, arn, endpoint_may_fail=True)


def _ping(name: str, seconds: float, status: object = 503) -> Fault:
    return {"kind": "ping", "name": name, "status": status, "times": None, "give_up_seconds": seconds}


STAGING_LATE = Survived(
    "staging-healthy-too-late",
    "the container becomes healthy after the deadline of the deployment",
    DEPLOY_STAGING,
    "the second try waits for it and deploys",
    [{"kind": "ping", "name": _STAGING, "status": 503, "times": round(DEPLOY_SECONDS * 11)}],
    group=_GROUP,
)
SCENARIOS = (
    *fail(
        _GROUP,
        Failed(
            "staging-never-healthy",
            "the new model's container never passes the health check",
            DEPLOY_STAGING,
            "fails in staging; nobody else has seen it",
            [_ping(_STAGING, 1)],
            _FAILED,
            ["did not pass the ping health check"],
        ),
        Failed(
            "staging-no-capacity",
            "no capacity for the staging endpoint",
            DEPLOY_STAGING,
            "fails and says why",
            [{"kind": "capacity", "target": "endpoint", "name": _STAGING, "times": 2}],
            _FAILED,
            ["InsufficientInstanceCapacity"],
        ),
        Failed(
            "endpoint-never-starts",
            "the new model's container ends at its start",
            DEPLOY,
            "rolled back; fails and says what serves",
            [{"kind": "kill", "target": "endpoint", "name": ENDPOINT, "when": "start"}],
            _FAILED,
            ["was rolled back"],
        ),
        Failed(
            "endpoint-never-healthy",
            "the new model's container never passes the health check",
            DEPLOY,
            "rolled back; fails and says what serves",
            [_ping(ENDPOINT, 2)],
            _FAILED,
            ["was rolled back", "did not pass the ping health check"],
        ),
        Failed(
            "endpoint-health-check-stalls",
            "the new model's container does not answer the health check in time",
            DEPLOY,
            "rolled back; fails and says what serves",
            [_ping(ENDPOINT, 3, "stall")],
            _FAILED,
            ["was rolled back"],
        ),
        Failed(
            "endpoint-no-capacity",
            "no capacity for the new model's instance",
            DEPLOY,
            "rolled back; fails and says why",
            [{"kind": "capacity", "target": "endpoint", "name": ENDPOINT}],
            _FAILED,
            ["InsufficientInstanceCapacity"],
        ),
    ),
    Scenario(
        "endpoint-dies-after-healthy",
        _GROUP,
        "the new model's container dies soon after it became healthy",
        TEST,
        "SageMaker starts it again; the test, if it met that, is tried again, and then the rollout",
        _killed,
    ),
    Scenario(
        "endpoint-killed",
        _GROUP,
        "kill -9 of the endpoint's container",
        "endpoint",
        "SageMaker starts it again, same predictions; the next week succeeds",
        _killed,
    ),
    Scenario(
        "endpoint-answers-slowly",
        _GROUP,
        "the endpoint takes a tenth of a second longer",
        TEST,
        "succeeds, the report says so",
        _deleted,
    ),
    Scenario(
        "endpoint-deleted",
        _GROUP,
        "the endpoint was deleted between two weeks",
        DEPLOY,
        "created again",
        _deleted,
    ),
    Scenario(
        "endpoint-failed",
        _GROUP,
        "there is no endpoint, and its creation fails",
        DEPLOY,
        "fails and says why, the endpoint is Failed; rolled out again, it is deleted, created and serves",
        _failed,
    ),
)

"""The endpoint does not come up, comes up late, dies, answers wrong or slowly, or is gone."""

import os
import signal
import time

from tests.faults.bench import DEPLOY_SECONDS
from tests.faults.processes import servers
from tests.faults.scenario import Scenario
from tests.faults.scenarios.runs import DEPLOY, TEST, fails, survives
from tests.faults.stage import Stage

_GROUP = "endpoint"
_FAILED = "States.TaskFailed"
_NAME = "treering-*"


def _killed(stage: Stage) -> None:
    """The model server is killed while it serves; SageMaker starts it again."""
    before = stage.clear(whole=True)
    bench = stage.bench
    for pid in servers(bench.running.file.pid):
        os.kill(pid, signal.SIGKILL)
    began = time.monotonic()
    bench.until(lambda: any(r.error for r in bench.traffic.since(began)), 10, "request that failed")
    bench.until(lambda: bench.traffic.since(began)[-1].prediction == before.price, 30, "answer of the old model")
    stage.require(*stage.checker.problems(before, endpoint_may_fail=True))
    stage.run_succeeds(before, endpoint_may_fail=True)


def _deleted(stage: Stage) -> None:
    """Somebody deletes the endpoint between two weeks, to save money."""
    before = stage.clear(whole=True)
    stage.delete_endpoint()
    stage.run_succeeds(before, endpoint_may_fail=True)


def _failed(stage: Stage) -> None:
    """The endpoint's first creation fails, so that it is Failed; the next run deletes and creates it."""
    before = stage.clear(whole=True)
    stage.delete_endpoint()
    stage.bench.arm({"kind": "capacity", "target": "endpoint", "name": _NAME, "times": 2})
    failed = stage.run_fails(before, DEPLOY, _FAILED, "InsufficientInstanceCapacity", endpoint="failed")
    stage.struck()
    stage.runs_again(before, failed, endpoint_may_fail=True)


def _slow_to_answer(stage: Stage) -> None:
    before = stage.clear(whole=True)
    stage.bench.arm({"kind": "answer", "name": _NAME, "seconds": 0.1, "times": None})
    stage.run_succeeds(before)
    stage.struck()
    median = stage.last_report().latency.p50_ms
    stage.require(*(() if median >= 100 else (f"the report says {median} ms",)))


def _wrong(stage: Stage) -> str:
    """An answer with a prediction for every row of the test split, but of no model."""
    return "123456\n" * stage.test_rows()


def _answers_wrong(stage: Stage) -> None:
    before = stage.clear(whole=True)
    body = _wrong(stage)
    arn = stage.bench.started(stage.bench.fire())
    with stage.bench.traffic.paused():  # it would be answered the same, and rightly complain
        stage.entered(arn, TEST)
        stage.bench.arm({"kind": "answer", "name": _NAME, "body": body, "content_type": "text/csv", "times": None})
        stage.bench.ended(arn)
        stage.struck()
    failed = stage.run_fails_in(before, arn, TEST, _FAILED, "predictions for 1 rows", endpoint="new")
    stage.runs_again(before, failed)


SCENARIOS = (
    fails(
        "endpoint-never-starts",
        _GROUP,
        "the new model's container ends at its start",
        DEPLOY,
        "rolled back; fails and says what serves",
        [{"kind": "kill", "target": "endpoint", "name": _NAME, "when": "start", "times": 2}],
        _FAILED,
        "was rolled back",
    ),
    fails(
        "endpoint-never-healthy",
        _GROUP,
        "the new model's container never passes the health check",
        DEPLOY,
        "rolled back; fails and says what serves",
        [{"kind": "ping", "name": _NAME, "status": 503, "times": None, "give_up_seconds": 2}],
        _FAILED,
        "was rolled back",
        "did not pass the ping health check",
    ),
    fails(
        "endpoint-health-check-stalls",
        _GROUP,
        "the new model's container does not answer the health check in time",
        DEPLOY,
        "rolled back; fails and says what serves",
        [{"kind": "ping", "name": _NAME, "status": "stall", "times": None, "give_up_seconds": 3}],
        _FAILED,
        "was rolled back",
    ),
    fails(
        "endpoint-no-capacity",
        _GROUP,
        "no capacity for the new model's instance",
        DEPLOY,
        "rolled back; fails and says why",
        [{"kind": "capacity", "target": "endpoint", "name": _NAME, "times": 2}],
        _FAILED,
        "InsufficientInstanceCapacity",
    ),
    survives(
        "endpoint-healthy-too-late",
        _GROUP,
        "the new model's container becomes healthy after the deadline of the deployment",
        DEPLOY,
        "the second try waits for it and deploys",
        [{"kind": "ping", "name": _NAME, "status": 503, "times": round(DEPLOY_SECONDS * 11)}],
        tries=[DEPLOY],
    ),
    survives(
        "endpoint-dies-after-healthy",
        _GROUP,
        "the new model's container dies soon after it became healthy",
        TEST,
        "SageMaker starts it again; the test, if it met that, is tried again",
        [{"kind": "kill", "target": "endpoint", "name": _NAME, "when": {"after_seconds": 2.0}}],
        endpoint_may_fail=True,
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
        "endpoint-answers-wrong",
        _GROUP,
        "the endpoint answers what the model does not say",
        TEST,
        "fails; people are told once that the model in service is another; run again, it succeeds",
        _answers_wrong,
    ),
    Scenario(
        "endpoint-answers-slowly",
        _GROUP,
        "the endpoint takes a tenth of a second longer",
        TEST,
        "succeeds, the report says so",
        _slow_to_answer,
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
        "fails and says why, the endpoint is Failed; run again, it is deleted, created and serves",
        _failed,
    ),
)

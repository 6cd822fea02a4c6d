"""`kill -9` of the local cloud itself, in every state of a week: started again, it keeps what it had promised."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from local_cloud.kaggle import Fault
from tests.faults.scenario import Scenario
from tests.faults.scenarios.runs import JOBS
from tests.faults.stage import Stage

_GROUP = "local cloud"
_BACK_SECONDS = 60.0
_BUSY = {"kind": "api_delay", "seconds": 3}  # keeps a short state busy until the cloud is killed


def _idle(stage: Stage) -> None:
    before = stage.clear(whole=True)
    _kill(stage)
    stage.require(*stage.checker.problems(before, endpoint_may_fail=True))
    stage.run_succeeds(before, endpoint_may_fail=True)


def _ingesting(stage: Stage) -> None:
    """An event that Lambda has taken is dealt with, whatever becomes of the cloud."""
    before = stage.clear(whole=True)
    stage.bench.source.plan(Fault("stall", seconds=3, after_bytes=2000))
    when = stage.bench.fire()
    stage.bench.until(lambda: len(stage.bench.source.server.requests) > 1, 20, "download")
    _kill(stage)
    stage.run_succeeds(before, when, endpoint_may_fail=True)


def _in_state(state: str, busy: Mapping[str, Any] | None) -> Callable[[Stage], None]:
    def play(stage: Stage) -> None:
        before = stage.clear(whole=True)
        if busy:
            stage.bench.arm(busy)
        when = stage.bench.fire()
        arn = stage.bench.started(when)
        stage.entered(arn, state)
        time.sleep(0.5)  # so that its job is at work
        _kill(stage)
        stage.run_succeeds(before, when, endpoint_may_fail=True)

    return play


def _kill(stage: Stage) -> None:
    stage.bench.kill()
    stage.bench.restart()
    stage.bench.until(lambda: stage.bench.endpoint().get("EndpointStatus") == "InService", _BACK_SECONDS, "endpoint")


_STATES: Mapping[str, Mapping[str, Any] | None] = {
    "Create Run ID": {**_BUSY, "service": "lambda", "action": "Invoke"},
    **dict.fromkeys(JOBS),
    "Notify Success": {**_BUSY, "service": "sns", "action": "Publish"},
}

SCENARIOS = (
    Scenario(
        "cloud-killed-idle",
        _GROUP,
        "kill -9 of the local cloud between two weeks",
        "local cloud",
        "started again: the endpoint serves the same model, the next week succeeds",
        _idle,
    ),
    Scenario(
        "cloud-killed-ingesting",
        _GROUP,
        "kill -9 of the local cloud during the download",
        "Ingest",
        "started again: the event is dealt with, the week succeeds",
        _ingesting,
    ),
    *(
        Scenario(
            f"cloud-killed-in-{state.lower().replace(' ', '-')}",
            _GROUP,
            "kill -9 of the local cloud",
            state,
            "started again: the execution goes on and succeeds, people are told once",
            _in_state(state, busy),
        )
        for state, busy in _STATES.items()
    ),
)

"""`kill -9` of the local cloud itself, in every state of a week: started again, it keeps what it had promised."""

import time
from collections.abc import Mapping
from datetime import datetime
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from local_cloud import durable_files
from local_cloud.kaggle import Fault
from tests.faults.scenario import Scenario
from tests.faults.scenarios.runs import DEPLOY, JOBS, NOTIFY, RUN_ID, TRIED_TWICE
from tests.faults.stage import Stage

_GROUP = "local cloud"
_BACK_SECONDS = 60.0
_WEEKS = 3


def _between_and_ingesting(stage: Stage) -> None:
    """Killed between two weeks, and again in the next; an event that Lambda has taken is dealt with all the same."""
    before = stage.clear(whole=True)
    with stage.about("cloud-killed-idle"):
        _kill(stage)
        stage.require(*stage.checker.problems(before, endpoint_may_fail=True))
    stage.bench.source.plan(Fault("stall", seconds=3, after_bytes=2000))
    stage.bench.source.server.competition.log.clear()
    when = stage.bench.fire()
    stage.bench.until(lambda: len(stage.bench.source.server.requests) > 1, 20, "download")
    _kill(stage)
    stage.run_succeeds(before, when, endpoint_may_fail=True)


def _in_each_state(stage: Stage) -> None:
    """One week, in each of whose states the cloud is killed; another for states that were over too soon."""
    left = list(_STATES)
    for _ in range(_WEEKS):
        before = stage.clear(whole=True)
        arn = ""
        for state in tuple(left):
            if state in _SHORT:
                stage.bench.arm({"kind": "api_delay", "seconds": 3, **_SHORT[state]})
            arn = arn or stage.begin()
            with stage.about(f"cloud-killed-in-{state}"):
                stage.entered(arn, state)
                time.sleep(0.1)  # so that its job is at work
                if state in left and not stage.has_left(arn, state):
                    struck = _kill(stage)
                    left = [state for state in left if state != struck]
        stage.run_succeeded(before, arn, endpoint_may_fail=True)
        if not left:
            return
    stage.require(f"in {_WEEKS} weeks, {' and '.join(left)} were over too soon for the cloud to be killed in them")


def _deploying(stage: Stage) -> None:
    """An update is not tried again; whichever model serves then, it is a whole one."""
    before = stage.clear(whole=True)
    arn = stage.begin()
    stage.entered(arn, DEPLOY)
    stage.bench.until(lambda: any(fnmatch(name, JOBS[DEPLOY]) for name, _ in stage.bench.jobs_under_way()), 30, "job")
    time.sleep(0.5)
    _kill(stage)
    stage.run_fails(before, arn, "Roll Out", "States.TaskFailed", endpoint="either", endpoint_may_fail=True)
    stage.rolls_out_again(before, arn, endpoint_may_fail=True)


def _kill(stage: Stage) -> str:
    """Kill and restart; the state that was entered last: not the one meant, if that was over at this moment."""
    stage.bench.kill()
    entered = _last_entered(stage.bench.folder)
    stage.bench.restart()
    stage.bench.until(lambda: stage.bench.endpoint().get("EndpointStatus") == "InService", _BACK_SECONDS, "endpoint")
    return entered


def _last_entered(folder: Path) -> str:
    """The same by what a cloud that is dead has written, of the weekly training and the rollout that it has started."""
    lines = (line for path in folder.glob("step_functions/*.executions/*.jsonl") for line in durable_files.lines(path))
    events = [line["event"] for line in lines if "stateEnteredEventDetails" in line.get("event", ())]
    last = max(events, key=lambda event: datetime.fromisoformat(event["timestamp"]))
    return str(last["stateEnteredEventDetails"]["name"])


_SHORT: Mapping[str, Mapping[str, Any]] = {  # states that last too short to be met, but for a slow call
    RUN_ID: {"service": "lambda", "action": "Invoke"},
    NOTIFY: {"service": "sns", "action": "Publish"},
}
_STATES = (RUN_ID, *TRIED_TWICE, NOTIFY)

SCENARIOS = (
    Scenario(
        "cloud-killed-idle",
        _GROUP,
        "kill -9 of the local cloud between two weeks",
        "local cloud",
        "started again: the endpoint serves the same model, the next week succeeds",
        _between_and_ingesting,
    ),
    Scenario(
        "cloud-killed-ingesting",
        _GROUP,
        "kill -9 of the local cloud during the download",
        "Ingest",
        "started again: the event is dealt with, the week succeeds",
        _between_and_ingesting,
    ),
    *(
        Scenario(
            f"cloud-killed-in-{state.lower().replace(' ', '-')}",
            _GROUP,
            "kill -9 of the local cloud",
            state,
            "started again: the execution goes on and succeeds, people are told once",
            _in_each_state,
        )
        for state in _STATES
    ),
    Scenario(
        "cloud-killed-in-deploy-endpoint",
        _GROUP,
        "kill -9 of the local cloud",
        DEPLOY,
        "started again: the job was cut off, which fails it; people are told once; rolled out again, it succeeds",
        _deploying,
    ),
)

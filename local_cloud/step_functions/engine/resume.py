"""Going on with an execution whose process was killed, from the history that its journal kept.

The execution enters the state that it was in once more, with that state's own input and the variables of then. What the
state had recorded is not done again: a task's failed attempts count as they did, a job that had been submitted is
waited for, a token is still waited for, time limits count from the first start. A call that got no answer failed, as it
does on AWS when the service that was called is gone; the state's Retry and Catch see it. Of Parallel and Map states
only the whole is known: they begin anew, and their branches find the jobs of the first time.
"""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from botocore.exceptions import ConnectionClosedError
from moto.stepfunctions.parser.asl.component.common.error_name.custom_error_name import CustomErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import FailureEvent, FailureEventException
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service import StateTaskService
from moto.stepfunctions.parser.asl.component.state.wait.wait_function.timestamp import Timestamp
from moto.stepfunctions.parser.asl.eval.callback.callback import CallbackOutcomeFailure, CallbackOutcomeSuccess

from local_cloud.step_functions.engine import runtime
from local_cloud.step_functions.engine.names import iso_milliseconds
from local_cloud.step_functions.records import Execution, HistoryEvent, Interruption

_FAILED = ("Failed", "TimedOut")
_AWAITED = ("sync", "sync:2")
_ENTERED_AS_A_WHOLE = ("ParallelStateEntered", "MapStateEntered")


@dataclass
class Attempt:
    """One attempt of a Task, as far as it is recorded."""

    scheduled: HistoryEvent | None = None
    submitted: HistoryEvent | None = None
    outcome: HistoryEvent | None = None

    @property
    def failed(self) -> bool:
        """Whether its failure is recorded."""
        return self.outcome is not None and self.outcome["type"].endswith(_FAILED)


@dataclass(frozen=True)
class Position:
    """Where an execution goes on: the state and its input; no state where only the end was missing."""

    state: str | None
    input: Any
    replay: Replay | None = None


def position(execution: Execution, interruption: Interruption, states: Collection[str], start_at: str) -> Position:
    """Find where an interrupted execution was. `states` are those of the top level: names are unique in all levels."""
    for index in range(len(execution.history) - 1, -1, -1):
        event = execution.history[index]
        details = event.get("stateEnteredEventDetails") or event.get("stateExitedEventDetails") or {}
        if details.get("name") not in states:
            continue
        if "stateExitedEventDetails" in event:
            return Position(interruption.next_state, json.loads(details["output"]))
        replay = Replay(details["name"], execution.history[index:], interruption)
        return Position(details["name"], json.loads(details["input"]), replay)
    return Position(start_at, json.loads(execution.input))


class Replay:
    """What is recorded of the state that an execution was in; used up as the engine passes it again."""

    def __init__(self, state: str, events: Sequence[HistoryEvent], interruption: Interruption) -> None:
        self.state = state
        self.entered: datetime = events[0]["timestamp"]
        self.token, self._answer = interruption.token, interruption.answer
        self._kind = events[0]["type"]
        self._attempts = deque(_attempts(events[1:]) if self._kind == "TaskStateEntered" else ())
        self._failed_at: datetime | None = None
        self._waits = self._kind == "WaitStateEntered"  # until the wait has been asked for
        self._jobs = {name for event in events if event["type"] == "TaskScheduled" for name in _job_names(event)}
        #: Types of the events that the engine will give again and that are in the history already.
        self._recorded = deque([self._kind])
        self._recorded.extend(one.outcome["type"] for one in self._attempts if one.outcome and one.failed)
        if self._attempts and self._attempts[-1].submitted and not self._attempts[-1].outcome:
            self._recorded.append("TaskSubmitted")
        #: What follows comes after this event.
        self.last_id: int = events[-1 if self._attempts else 0]["id"]
        #: Set when the engine has passed what is recorded; a token that is waited for can be answered then.
        self.passed = threading.Event()
        self._over = not (self._attempts or self._waits or self._kind in _ENTERED_AS_A_WHOLE)
        if self._over:
            self.passed.set()

    def attempt(self, state: Any, env: Any) -> Attempt | None:
        """The next recorded attempt of a state; None where it is to be run."""
        if self._over or state.name != self.state:
            return None
        env.states.context_object.context_object_data["State"]["EnteredTime"] = iso_milliseconds(self.entered)
        self._failed_at = None
        if not self._attempts:
            self.end()
            return None
        attempt = self._attempts.popleft()
        if attempt.outcome is not None and not self._attempts:
            self._failed_at = attempt.outcome["timestamp"]
            self.passed.set()
        return attempt

    def end(self) -> None:
        """Say that from here on the execution does what it never did before."""
        self._over = True
        self.passed.set()

    def is_recorded(self, kind: str) -> bool:
        """Whether the engine gives an event now that is in the history already."""
        if self._recorded and self._recorded[0] == kind:
            self._recorded.popleft()
            return True
        if kind.endswith("StateEntered") and self._kind not in _ENTERED_AS_A_WHOLE:
            self.end()  # another state has been entered
        return False

    def left_of_delay(self, seconds: float) -> float:
        """How much of the delay before another attempt is left, seconds; all of it for an attempt of now."""
        if self._over:
            return seconds
        if self._attempts:
            return 0.0
        return seconds if self._failed_at is None else seconds - _since(self._failed_at)

    def left_of_wait(self, function: Any, seconds: float) -> float:
        """How much is left, seconds, of the wait of the Wait state that the execution was in."""
        if not self._waits:
            return seconds
        self._waits = False
        self.end()
        return seconds if isinstance(function, Timestamp) else seconds - _since(self.entered)

    def owns_job(self, name: str, created: Any) -> bool:
        """Whether a job was made by the state that the execution was in, before the cloud was killed."""
        return name in self._jobs and isinstance(created, datetime) and created >= self.entered

    def reuse_token(self, env: Any) -> None:
        """Let the state wait for the token that it gave away."""
        if self.token is None:
            return
        context, token = env.states.context_object, self.token

        def update_task_token() -> str:
            del context.update_task_token  # the next state makes one of its own again
            context.context_object_data["Task"] = {"Token": token}
            return token

        context.update_task_token = update_task_token

    def answer(self) -> Any:
        """What was answered to the token before the cloud was killed; None for nothing."""
        given, self._answer = self._answer, None
        if given is None:
            return None
        token = given["token"]
        if "output" in given:
            return CallbackOutcomeSuccess(callback_id=token, output=given["output"])
        return CallbackOutcomeFailure(callback_id=token, error=given["error"], cause=given["cause"])


def replay_of(env: Any) -> Replay | None:
    """The replay that an environment's execution is in."""
    replay: Replay | None = getattr(env.event_manager, "replay", None)
    return replay


def recorded_failure(env: Any, attempt: Attempt) -> FailureEventException:
    """The failure of a recorded attempt, as the engine raised it then."""
    assert attempt.outcome is not None  # noqa: S101  (failed attempts have one)
    details = {key: value for key, value in attempt.outcome.items() if key.endswith("EventDetails")}
    error = next((value.get("error", "") for value in details.values()), "")
    return FailureEventException(
        FailureEvent(
            env=env, error_name=CustomErrorName(error), event_type=attempt.outcome["type"], event_details=details
        )
    )


def recorded_result(attempt: Attempt) -> Any:
    """What a recorded attempt answered."""
    assert attempt.outcome is not None  # noqa: S101
    return json.loads(next(value["output"] for key, value in attempt.outcome.items() if key.endswith("EventDetails")))


def seconds_left(attempt: Attempt, seconds: float) -> float:
    """How much of a time limit is left to an attempt that goes on."""
    return seconds if attempt.scheduled is None else seconds - _since(attempt.scheduled["timestamp"])


def go_on(task: Any, attempt: Attempt, env: Any) -> None:
    """Go on with an attempt that was under way: wait for what it had submitted; any other call has lost its answer."""
    replay = replay_of(env)
    assert replay is not None  # noqa: S101  (it gave the attempt)
    if attempt.scheduled is None or not (attempt.submitted or _names_what_it_awaits(task, attempt.scheduled)):
        replay.end()
        raise ConnectionClosedError(endpoint_url=runtime.active().dependencies.endpoint_url)
    task.resource.eval(env=env)
    part = env.stack.pop()
    parameters = json.loads(attempt.scheduled["taskScheduledEventDetails"]["parameters"])
    task._normalise_parameters(parameters)
    credentials = task._eval_state_credentials(env=env)
    if attempt.submitted:
        env.stack.append(json.loads(attempt.submitted["taskSubmittedEventDetails"]["output"]))
    else:
        task._eval_service_task(env, part, parameters, credentials)
    if (answered := replay.answer()) is not None:
        env.callback_pool_manager.get(answered.callback_id).notify(answered)
    replay.end()
    task._after_eval_execution(env, part, parameters, credentials)


def _names_what_it_awaits(task: Any, scheduled: HistoryEvent) -> bool:
    """Whether a task can ask once more for the job or the execution that it may have started: by its name."""
    if not isinstance(task, StateTaskService) or task.resource.condition not in _AWAITED:
        return False
    named = "name" in map(str.lower, json.loads(scheduled["taskScheduledEventDetails"]["parameters"]))
    return task.resource.service_name == "sagemaker" or (task.resource.service_name == "states" and named)


def _attempts(events: Sequence[HistoryEvent]) -> list[Attempt]:
    attempts: list[Attempt] = []
    for event in events:
        kind = event["type"]
        if kind.endswith("Scheduled"):
            attempts.append(Attempt(scheduled=event))
        elif kind == "TaskSubmitted":
            attempts[-1].submitted = event
        elif kind.endswith((*_FAILED, "Succeeded")):
            if not attempts or attempts[-1].outcome is not None:
                attempts.append(Attempt())  # it failed before it was scheduled
            attempts[-1].outcome = event
    return attempts


def _job_names(event: HistoryEvent) -> list[str]:
    parameters = json.loads(event["taskScheduledEventDetails"]["parameters"])
    return [value for key, value in parameters.items() if key.endswith("JobName") and isinstance(value, str)]


def _since(instant: datetime) -> float:
    return (runtime.now() - instant).total_seconds()

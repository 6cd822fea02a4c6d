"""One execution, run by the engine."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from moto.stepfunctions.parser.asl.eval.callback.callback import (
    CallbackNotifyConsumerError,
    CallbackOutcomeFailure,
    CallbackOutcomeSuccess,
)
from moto.stepfunctions.parser.asl.eval.environment import Environment
from moto.stepfunctions.parser.asl.eval.evaluation_details import AWSExecutionDetails
from moto.stepfunctions.parser.asl.eval.event.event_manager import EventHistoryContext
from moto.stepfunctions.parser.asl.eval.program_state import ProgramEnded, ProgramError, ProgramStopped, ProgramTimedOut
from moto.stepfunctions.parser.asl.eval.states import ContextObjectData
from moto.stepfunctions.parser.utils import TMP_THREADS

from local_cloud.step_functions import json_text
from local_cloud.step_functions.engine import loading
from local_cloud.step_functions.engine.history import History
from local_cloud.step_functions.engine.names import iso_milliseconds
from local_cloud.step_functions.engine.resume import Position, position
from local_cloud.step_functions.records import Execution, HistoryEvent, Interruption, Outcome

#: How long a run may take to write its last event once its time is over, seconds.
_LAST_EVENT_SECONDS = 5.0
#: How long tasks that were left behind may take to stop their jobs, seconds.
_JOIN_SECONDS = 5.0


@dataclass(frozen=True)
class Observers:
    """Who hears of a run: each event in order, and its end."""

    #: with what resuming needs beside the event: see `Journal.event`
    event: Callable[[HistoryEvent, Mapping[str, Any]], None]
    end: Callable[[Outcome], None]
    now: Callable[[], datetime]


class EngineRun:
    """Runs an execution on threads of its own."""

    def __init__(self, execution: Execution, account_id: str, region: str, observers: Observers) -> None:
        self._execution = execution
        self._observers = observers
        self._history = History(observers.now, self._observe, lambda error: self._env.set_error(error))
        machine = execution.state_machine
        definition = json.loads(machine.definition)
        self._states = frozenset(definition["States"])  # of the top level
        self.passed = threading.Event()  # what an earlier process had recorded is behind it
        self._env: Any = Environment(
            aws_execution_details=AWSExecutionDetails(account=account_id, region=region, role_arn=machine.role_arn),
            execution_type=machine.type,
            context=ContextObjectData(
                Execution={
                    "Id": execution.arn,
                    "Input": json.loads(execution.input),
                    "Name": execution.name,
                    "RoleArn": machine.role_arn,
                    "StartTime": iso_milliseconds(execution.start_date),
                    "RedriveCount": 0,
                },
                StateMachine={"Id": machine.arn, "Name": machine.name},
            ),
            event_history_context=EventHistoryContext.of_program_start(),
            cloud_watch_logging_session=None,
            activity_store={},
        )
        self._env.event_manager = self._history
        # From here on the program runs for the engine, so that a stop that comes before its first state counts.
        self._env.next_state_name = definition["StartAt"]
        self._position = Position(definition["StartAt"], json.loads(execution.input))
        self._resumed = execution.interruption is not None
        self._last_state = False  # whether no other state may be entered
        self._between_states = False
        if execution.interruption is None:
            self.passed.set()
        else:
            self._resume(execution, execution.interruption)

    def _resume(self, execution: Execution, interruption: Interruption) -> None:
        """Take up an execution whose process was killed."""
        self._position = position(execution, interruption, self._states, self._env.next_state_name)
        replay = self._position.replay
        self._history.resume(execution.history, replay)
        context = self._env.event_history_context
        context.source_event_id = context.last_published_event_id = len(execution.history)
        self._env.variable_store._inner_scope.update(interruption.variables)
        if replay is None:
            self._between_states = self._position.state is not None
            self.passed.set()
        else:
            replay.reuse_token(self._env)
            self.passed = replay.passed

    def start(self) -> None:
        """Start running."""
        threading.Thread(target=self._work, name=f"states-{self._execution.name}", daemon=True).start()

    def stop(self, error: str | None, cause: str | None) -> None:
        """Tell the run to end as aborted; its tasks stop the jobs that they wait for."""
        self._env.set_stop(stop_date=self._observers.now(), error=error, cause=cause)
        for endpoint in list(self._env.callback_pool_manager._pool.values()):
            endpoint.interrupt_all()

    def end_at_next_state(self) -> None:
        """Let the run end as aborted when it leaves the state that it is in."""
        self._last_state = True
        if self._between_states:
            self.stop(None, None)

    def waits_for(self, token: str) -> bool:
        """Whether the token is this run's."""
        return self._env.callback_pool_manager.get(token) is not None

    def tokens(self) -> frozenset[str]:
        """The tokens of all tasks that wait, or have waited."""
        return frozenset(self._env.callback_pool_manager._pool)

    def events(self) -> list[HistoryEvent]:
        """Copy the history so far."""
        return self._history.get_event_history()

    def succeed_task(self, token: str, output: str) -> bool:
        """Report a waiting task's success; False where the token is not this run's."""
        return self._notify(token, CallbackOutcomeSuccess(callback_id=token, output=output))

    def fail_task(self, token: str, error: str | None, cause: str | None) -> bool:
        """Report a waiting task's failure; False where the token is not this run's."""
        return self._notify(token, CallbackOutcomeFailure(callback_id=token, error=error, cause=cause))

    def heartbeat(self, token: str) -> bool:
        """Report a waiting task's heartbeat; False where the token is not this run's."""
        pool = self._env.callback_pool_manager
        if pool.get(token) is None:
            return False
        pool.heartbeat(callback_id=token)
        return True

    def _notify(self, token: str, outcome: Any) -> bool:
        try:
            return bool(self._env.callback_pool_manager.notify(callback_id=token, outcome=outcome))
        except CallbackNotifyConsumerError as error:
            raise TimeoutError(f"the task of token {token} no longer waits") from error

    def _work(self) -> None:
        try:
            self._run_program()
            outcome = self._outcome()
        except Exception as error:  # whatever the engine raises, the execution must end
            stopped = isinstance(self._env.program_state(), ProgramStopped)
            failed = Outcome("FAILED", error="States.Runtime", cause=f"{type(error).__name__}: {error}")
            outcome = self._outcome() if stopped else failed
        if not self._history.ended.is_set():
            self._add_last_event(outcome)
        self.passed.set()
        TMP_THREADS[:] = [thread for thread in TMP_THREADS if thread.is_alive()]
        self._observers.end(outcome)

    def _run_program(self) -> None:
        machine = self._execution.state_machine
        if not self._history.get_event_history():
            self._history.add_event(
                context=self._env.event_history_context,
                event_type="ExecutionStarted",
                event_details={
                    "executionStartedEventDetails": {
                        "input": self._execution.input,
                        "inputDetails": {"truncated": False},
                        "roleArn": machine.role_arn,
                    }
                },
                update_source_event_id=False,
            )
        program = loading.program(machine.definition)
        if self._resumed:
            self._go_to_position(program)
        if self._env.is_running():
            program.eval(self._env)
            if isinstance(self._env.program_state(), ProgramTimedOut):  # else its thread has ended, and writes no more
                self._history.ended.wait(_LAST_EVENT_SECONDS)

    def _go_to_position(self, program: Any) -> None:
        """Let the program begin where the execution was; its time limit counts from the execution's start."""
        self._env.states.reset(input_value=self._position.input)
        if self._position.state is None:
            self._env.set_ended()
            return
        program.start_at.start_at_name = self._position.state
        if program.timeout_seconds is not None:
            past = (self._observers.now() - self._execution.start_date).total_seconds()
            program.timeout_seconds.timeout_seconds -= past
            if program.timeout_seconds.timeout_seconds <= 0:
                self._env.set_timed_out()

    def _observe(self, event: HistoryEvent) -> None:
        """Pass an event on with what is needed to go on from there: variables, next state, token."""
        self._observers.event(event, self._beside(event))
        left = event.get("stateExitedEventDetails")
        self._between_states = left is not None and left["name"] in self._states
        if self._last_state and left is not None:
            self.stop(None, None)  # changes nothing where that state was the end

    def _beside(self, event: HistoryEvent) -> dict[str, Any]:
        entered, left = event.get("stateEnteredEventDetails"), event.get("stateExitedEventDetails")
        if entered and entered["name"] in self._states:
            task = self._env.states.context_object.context_object_data.get("Task")
            return {"token": task["Token"] if task else None}
        if left and left["name"] in self._states:
            variables = {"variables": dict(self._env.variable_store._inner_scope)}
            return {"next_state": self._env.next_state_name, **(variables if "assignedVariables" in left else {})}
        return {}

    def _outcome(self) -> Outcome:
        state = self._env.program_state()
        if isinstance(state, ProgramEnded):
            return Outcome("SUCCEEDED", output=json_text.write(self._env.states.get_input()))
        if isinstance(state, ProgramError):
            details = self._history.full or state.error or {}
            return Outcome("FAILED", error=details.get("error"), cause=details.get("cause"))
        if isinstance(state, ProgramStopped):
            return Outcome("ABORTED", error=state.error, cause=state.cause)
        if isinstance(state, ProgramTimedOut):
            return Outcome("TIMED_OUT")
        raise RuntimeError(f"the engine ended in an unknown state, {type(state).__name__}")

    def _add_last_event(self, outcome: Outcome) -> None:
        kind = {"SUCCEEDED": "Succeeded", "FAILED": "Failed", "ABORTED": "Aborted", "TIMED_OUT": "TimedOut"}
        given = {"error": outcome.error, "cause": outcome.cause}
        details: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
        if outcome.status == "SUCCEEDED":
            details = {"output": outcome.output, "outputDetails": {"truncated": False}}
        suffix = kind[outcome.status]
        if outcome.status == "ABORTED":
            self._env.event_history_context.source_event_id = 0
        self._history.add_event(
            context=self._env.event_history_context,
            event_type=f"Execution{suffix}",
            event_details={f"execution{suffix}EventDetails": details},
        )


def join_tasks() -> None:
    """Wait until the threads of tasks that were left behind have stopped their jobs, for some seconds at most."""
    deadline = time.monotonic() + _JOIN_SECONDS
    for thread in list(TMP_THREADS):
        thread.join(max(0.0, deadline - time.monotonic()))

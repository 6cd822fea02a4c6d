"""The executions: starting, stopping and finding them, and the tasks that wait for a token."""

from __future__ import annotations

import re
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from local_cloud.step_functions import json_text
from local_cloud.step_functions.dependencies import Dependencies
from local_cloud.step_functions.engine.clients import RoleClients
from local_cloud.step_functions.engine.loading import load
from local_cloud.step_functions.errors import ApiError
from local_cloud.step_functions.journal import Journal
from local_cloud.step_functions.log_delivery import LogDelivery
from local_cloud.step_functions.machines import check_name, deleting
from local_cloud.step_functions.records import Execution, HistoryEvent, Outcome, StateMachine
from local_cloud.step_functions.status_events import emit_status

#: Step Functions' quota for the input of an execution, bytes of UTF-8.
MAXIMUM_INPUT_BYTES = 262_144
_ARN = re.compile(r"arn:aws[a-z-]*:states:[a-z0-9-]+:\d{12}:(\w+):.")
#: How long StopExecution waits for the run to write its last event, seconds.
_STOP_SECONDS = 10.0
#: How long an interrupted execution may take until its token can be answered again, seconds.
_RESUME_SECONDS = 3.0


class Executions:
    """The executions of the account."""

    def __init__(
        self,
        dependencies: Dependencies,
        clients: RoleClients,
        journal: Journal,
        remove_machine: Callable[[str], None],
    ) -> None:
        self._dependencies = dependencies
        self._journal = journal
        self._delivery = LogDelivery(dependencies, clients)
        self._lock = threading.RLock()
        self._remove_machine = remove_machine
        self._deleting: set[str] = set()  # state machines that go when their executions have ended
        self._closed_tokens: set[str] = set()  # of the tasks of executions that have ended
        self._executions = {execution.arn: execution for execution in journal.executions()}

    def resume(self, being_deleted: Iterable[str]) -> None:
        """Go on with the executions that ran when the local cloud was killed; returns when their tokens count again.

        Those of state machines that are being deleted end at their next state.
        """
        with self._lock:
            self._deleting.update(being_deleted)
            found = list(self._executions.values())
        for execution in found:
            if execution.status != "RUNNING" and not execution.told:
                self._tell_end(execution)
        runs = [self._resume(execution) for execution in found if execution.interruption is not None]
        deadline = time.monotonic() + _RESUME_SECONDS
        for run in runs:
            if run is not None:
                run.passed.wait(max(0.0, deadline - time.monotonic()))
        for machine_arn in list(self._deleting):
            self._remove_if_idle(machine_arn)

    def _resume(self, execution: Execution) -> Any:
        engine = load()
        try:
            execution.run = self._run_of(engine, execution)
        except Exception as error:  # whatever is wrong with it, it must not stay RUNNING for ever
            cause = (
                f"The local cloud was killed while this execution ran, and it cannot go on: {type(error).__name__}: "
                f"{error}. Start it again under another name."
            )
            event: HistoryEvent = {
                "timestamp": self._dependencies.now(),
                "type": "ExecutionFailed",
                "id": len(execution.history) + 1,
                "previousEventId": len(execution.history),
                "executionFailedEventDetails": {"error": "States.Runtime", "cause": cause},
            }
            execution.history.append(event)
            self._journal.event(execution, event, {})
            self._end(execution, Outcome("FAILED", error="States.Runtime", cause=cause))
            return None
        self._dependencies.log(f"{execution.arn} goes on after event {len(execution.history)}")
        execution.interruption = None
        if execution.state_machine_arn in self._deleting:
            execution.run.end_at_next_state()
        execution.run.start()
        return execution.run

    def start(
        self, machine: StateMachine, input_json: str, name: str | None = None, trace_header: str | None = None
    ) -> Execution:
        """Start one; a running one of the same name and input is answered instead, any other of the name refused."""
        name = name or str(uuid.uuid4())
        check_name(name)
        _check_input(input_json)
        arn = f"{machine.arn.replace(':stateMachine:', ':execution:')}:{name}"
        engine = load()
        with self._lock:
            if machine.arn in self._deleting:
                raise deleting(machine.arn)
            existing = self._executions.get(arn)
            if existing is not None:
                if existing.status == "RUNNING" and existing.input == input_json:
                    return existing
                raise ApiError("ExecutionAlreadyExists", f"Execution Already Exists: '{arn}'")
            execution = Execution(arn, name, machine, input_json, self._dependencies.now(), trace_header)
            execution.run = self._run_of(engine, execution)
            self._journal.start(execution)
            self._executions[arn] = execution
        self._emit(execution)
        execution.run.start()
        return execution

    def stop(self, arn: str, error: str | None = None, cause: str | None = None) -> Execution:
        """Abort one, and wait until it has ended; stopping one that has ended changes nothing."""
        execution = self.get(arn)
        if execution.run is not None:
            execution.run.stop(error, cause)
            execution.ended.wait(_STOP_SECONDS)
        return execution

    def get(self, arn: str) -> Execution:
        """Find one by its ARN."""
        _check_arn(arn)
        with self._lock:
            execution = self._executions.get(arn)
        if execution is None:
            raise ApiError("ExecutionDoesNotExist", f"Execution Does Not Exist: '{arn}'")
        return execution

    def of_machine(self, machine_arn: str, status: str | None = None) -> list[Execution]:
        """List a state machine's executions, latest first."""
        with self._lock:
            found = [
                execution
                for execution in self._executions.values()
                if execution.state_machine.arn == machine_arn and status in (None, execution.status)
            ]
        return sorted(found, key=lambda execution: execution.start_date, reverse=True)

    def history(self, arn: str) -> list[HistoryEvent]:
        """Copy one's history."""
        execution = self.get(arn)
        run = execution.run
        return run.events() if run is not None else list(execution.history)

    def end_machine(self, machine_arn: str) -> None:
        """End the executions of a state machine that is being deleted; it goes with the last of them.

        API reference, DeleteStateMachine: "A state machine is deleted only when all its executions are completed. On
        the next state transition, the state machine's executions are terminated."
        """
        with self._lock:
            self._deleting.add(machine_arn)
            for execution in self.of_machine(machine_arn, "RUNNING"):
                if execution.run is not None:
                    execution.run.end_at_next_state()
        self._remove_if_idle(machine_arn)

    def forget_machine(self, machine_arn: str) -> None:
        """Drop the executions of a state machine that is gone, and stop those that run."""
        with self._lock:
            self._deleting.discard(machine_arn)
            for execution in self.of_machine(machine_arn):
                del self._executions[execution.arn]
                execution.forgotten = True
                if execution.run is not None:
                    execution.run.stop(None, None)

    def _remove_if_idle(self, machine_arn: str) -> None:
        with self._lock:
            executions = self.of_machine(machine_arn)  # one is over when its end has been told
            if machine_arn in self._deleting and all(one.status != "RUNNING" and one.told for one in executions):
                self._remove_machine(machine_arn)
                self.forget_machine(machine_arn)

    def succeed_task(self, token: str, output: str) -> None:
        """Answer a task that waits for a token."""
        _check_json(output, "InvalidOutput", "Invalid Output")
        self._to_task(token, lambda run: run.succeed_task(token, output), {"output": output})

    def fail_task(self, token: str, error: str | None, cause: str | None) -> None:
        """Fail a task that waits for a token."""
        self._to_task(token, lambda run: run.fail_task(token, error, cause), {"error": error, "cause": cause})

    def heartbeat(self, token: str) -> None:
        """Prolong a task that waits for a token."""
        self._to_task(token, lambda run: run.heartbeat(token))

    def close(self) -> None:
        """Abort what runs, so that its jobs are stopped, and deliver the last log lines."""
        with self._lock:
            running = [execution for execution in self._executions.values() if execution.run is not None]
        for execution in running:
            if execution.run is not None:
                execution.run.stop("LocalCloud.Closed", "The local cloud was shut down while this execution ran.")
        for execution in running:
            execution.ended.wait(_STOP_SECONDS)
        if running:
            load().join_tasks()
        self._delivery.close()

    def _to_task(self, token: str, tell: Callable[[Any], bool], answer: Mapping[str, Any] | None = None) -> None:
        """Find the run that waits for the token and tell it; an answer is written down before it counts."""
        with self._lock:
            executions = [execution for execution in self._executions.values() if execution.run is not None]
        for execution in executions:
            run = execution.run
            if run is None or not run.waits_for(token):
                continue
            if answer is not None:
                self._journal.answer(execution, {"token": token, **answer})
            try:
                if tell(run):
                    return
            except TimeoutError as error:
                raise ApiError("TaskTimedOut", f"Task Timed Out: '{token}'") from error
        if token in self._closed_tokens:
            # API reference, SendTaskSuccess: "the task associated with the token has already been closed"
            raise ApiError("TaskTimedOut", "Task Timed Out: 'Provided task does not exist anymore'")
        raise ApiError("InvalidToken", f"Invalid Token: '{token}'")

    def _run_of(self, engine: Any, execution: Execution) -> Any:
        return engine.EngineRun(
            execution, self._dependencies.account_id, self._dependencies.region, self._observers(engine, execution)
        )

    def _observers(self, engine: Any, execution: Execution) -> Any:
        def observe(event: HistoryEvent, beside: Mapping[str, Any]) -> None:
            self._journal.event(execution, event, beside)
            self._delivery.deliver(execution, event)

        def end(outcome: Outcome) -> None:
            self._end(execution, outcome)

        return engine.Observers(event=observe, end=end, now=self._dependencies.now)

    def _end(self, execution: Execution, outcome: Outcome) -> None:
        run = execution.run
        with self._lock:
            if run is not None:
                execution.history = run.events()
                self._closed_tokens |= run.tokens()
            execution.stop_date = self._dependencies.now()
            execution.output, execution.error, execution.cause = outcome.output, outcome.error, outcome.cause
            execution.status = outcome.status
            execution.run = None
        self._journal.end(execution)
        self._tell_end(execution)
        self._remove_if_idle(execution.state_machine_arn)
        execution.ended.set()

    def _tell_end(self, execution: Execution) -> None:
        """Send the event about the end: at least once, whenever the process is killed."""
        self._emit(execution)
        self._journal.told(execution)
        execution.told = True

    def _emit(self, execution: Execution) -> None:
        try:
            emit_status(self._dependencies.emit_event, execution)
        except Exception as error:  # an event that cannot be delivered must not end the execution
            self._dependencies.log(f"The event about {execution.arn} ({execution.status}) was not delivered: {error}")


def _check_arn(arn: str) -> None:
    match = _ARN.match(arn)
    if match is None:
        raise ApiError("InvalidArn", f"Invalid Arn: 'Invalid ARN prefix: {arn}'")
    if match[1] != "execution":
        raise ApiError("InvalidArn", f"Invalid Arn: 'Resource type not valid in this context: {match[1]}'")


def _check_input(text: str) -> None:
    if len(text.encode()) > MAXIMUM_INPUT_BYTES:
        raise ApiError(
            "ValidationException",
            "1 validation error detected: Value at 'input' failed to satisfy constraint: Member must have length less "
            f"than or equal to {MAXIMUM_INPUT_BYTES}; pass a reference to the data instead",
        )
    _check_json(text, "InvalidExecutionInput", "Invalid State Machine Execution Input")


def _check_json(text: str, code: str, wording: str) -> None:
    try:
        json_text.read(text)
    except ValueError as error:
        raise ApiError(code, f"{wording}: '{error}'") from error

"""State machines and executions on disk, so that they outlive the process, even one that is killed.

A state machine is one JSON file. An execution is one file of JSON lines, appended as it runs: how it started, each
event of its history with what going on from there needs, answers to its tokens, how it ended, and that this was told. A
last line that was cut off is no line.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import threading
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from local_cloud import durable_files
from local_cloud.step_functions.records import Execution, HistoryEvent, Interruption, StateMachine

#: Events that end an execution, and how.
_ENDINGS = {
    "ExecutionSucceeded": "SUCCEEDED",
    "ExecutionFailed": "FAILED",
    "ExecutionTimedOut": "TIMED_OUT",
    "ExecutionAborted": "ABORTED",
}


class Journal:
    """Writes and reads the files; with no folder it does nothing."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        # What is written of an execution is written before its folder goes, or not at all.
        self._lock = threading.Lock()
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)

    def save_machine(self, machine: StateMachine) -> None:
        """Write a state machine's file."""
        if self._folder is None:
            return
        durable_files.write(self._machine_file(machine.name), json.dumps(asdict(machine), default=_write))

    def delete_machine(self, name: str) -> None:
        """Remove a state machine and its executions."""
        if self._folder is not None:
            with self._lock:
                self._machine_file(name).unlink(missing_ok=True)
                shutil.rmtree(self._execution_folder(name), ignore_errors=True)

    def start(self, execution: Execution) -> None:
        """Begin an execution's file."""
        if self._folder is not None:
            self._execution_folder(execution.state_machine.name).mkdir(exist_ok=True)
        self._append(
            execution,
            {
                "start": {
                    "arn": execution.arn,
                    "name": execution.name,
                    "input": execution.input,
                    "start_date": execution.start_date,
                    "trace_header": execution.trace_header,
                    "state_machine": asdict(execution.state_machine),
                }
            },
        )

    def event(self, execution: Execution, event: HistoryEvent, beside: Mapping[str, Any]) -> None:
        """Add an event of the history, and fields of `Interruption` as they are after it."""
        self._append(execution, {"event": event, **({"beside": beside} if beside else {})})

    def answer(self, execution: Execution, answer: Mapping[str, Any]) -> None:
        """Add what was answered to a task that waits: `token` with `output`, or with `error` and `cause`."""
        self._append(execution, {"answer": answer})

    def end(self, execution: Execution) -> None:
        """Add how it ended."""
        fields = ("status", "stop_date", "output", "error", "cause")
        self._append(execution, {"end": {field: getattr(execution, field) for field in fields}})

    def told(self, execution: Execution) -> None:
        """Add that the event about its end has been sent."""
        self._append(execution, {"told": True})

    def machines(self) -> Iterator[StateMachine]:
        """Read the state machines."""
        for path in sorted(self._folder.glob("*.machine.json")) if self._folder else ():
            yield durable_files.read(path, lambda text: _machine(json.loads(text)), "a state machine")

    def executions(self) -> Iterator[Execution]:
        """Read the executions; one without an end was interrupted. Raises DamagedStateError."""
        for path in sorted(self._folder.glob("*.executions/*.jsonl")) if self._folder else ():
            execution = _read_execution(path)
            if execution is not None:
                yield execution

    def _append(self, execution: Execution, record: dict[str, Any]) -> None:
        if self._folder is None or execution.forgotten:
            return
        line = json.dumps(record, default=_write) + "\n"
        path = self._execution_folder(execution.state_machine.name) / f"{execution.name}.jsonl"
        with self._lock, contextlib.suppress(FileNotFoundError), path.open("a") as file:
            file.write(line)  # unless the state machine was deleted

    def _machine_file(self, name: str) -> Path:
        assert self._folder is not None  # noqa: S101  (callers have returned otherwise)
        return self._folder / f"{name}.machine.json"

    def _execution_folder(self, name: str) -> Path:
        assert self._folder is not None  # noqa: S101
        return self._folder / f"{name}.executions"


def _read_execution(path: Path) -> Execution | None:
    execution: Execution | None = None
    interruption = Interruption()
    for record in durable_files.lines(path):
        if "start" in record:
            start = record["start"]
            start["state_machine"] = _machine(start["state_machine"])
            start["start_date"] = datetime.fromisoformat(start["start_date"])
            execution = Execution(**start)
        elif execution is not None:
            _take(execution, interruption, record)
    if execution is None:
        return None
    if execution.status == "RUNNING" and execution.history and execution.history[-1]["type"] in _ENDINGS:
        _end(execution)
    if execution.status == "RUNNING":
        execution.interruption = interruption
    else:
        execution.ended.set()
    return execution


def _take(execution: Execution, interruption: Interruption, record: dict[str, Any]) -> None:
    if "event" in record:
        event = record["event"]
        event["timestamp"] = datetime.fromisoformat(event["timestamp"])
        execution.history.append(event)
        for field, value in record.get("beside", {}).items():
            setattr(interruption, field, value)
            if field == "token":
                interruption.answer = None
    elif "answer" in record:
        if record["answer"]["token"] == interruption.token:
            interruption.answer = record["answer"]
    elif "end" in record:
        for field, value in record["end"].items():
            setattr(execution, field, datetime.fromisoformat(value) if field == "stop_date" else value)
    elif "told" in record:
        execution.told = True


def _end(execution: Execution) -> None:
    """Take the end from the last event, where the process was killed between the two."""
    last = execution.history[-1]
    details: dict[str, Any] = next((value for key, value in last.items() if key.endswith("EventDetails")), {})
    execution.status, execution.stop_date = _ENDINGS[last["type"]], last["timestamp"]
    for field in ("output", "error", "cause"):
        setattr(execution, field, details.get(field))


def _machine(fields: dict[str, Any]) -> StateMachine:
    dates = ("creation_date", "update_date")
    return StateMachine(**{**fields, **{name: datetime.fromisoformat(fields[name]) for name in dates if fields[name]}})


def _write(value: Any) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    raise TypeError(f"a journal holds no {type(value).__name__}")

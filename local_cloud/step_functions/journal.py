"""State machines and executions on disk, so that they outlive the process, even one that is killed.

A state machine is one JSON file. An execution is one file of JSON lines, appended as it runs: how it started, each
event of its history, how it ended. A line that was cut off is ignored.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from local_cloud.step_functions.records import Execution, HistoryEvent, StateMachine

INTERRUPTED_ERROR = "LocalCloud.Interrupted"
INTERRUPTED_CAUSE = "The local cloud ended while this execution ran. Start it again under another name."


class Journal:
    """Writes and reads the files; with no folder it does nothing."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)

    def save_machine(self, machine: StateMachine) -> None:
        """Write a state machine's file."""
        if self._folder is None:
            return
        path = self._machine_file(machine.name)
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps(asdict(machine), default=_write))
        fresh.replace(path)

    def delete_machine(self, name: str) -> None:
        """Remove a state machine and its executions."""
        if self._folder is not None:
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

    def event(self, execution: Execution, event: HistoryEvent) -> None:
        """Add an event of the history."""
        self._append(execution, {"event": event})

    def end(self, execution: Execution) -> None:
        """Add how it ended."""
        fields = ("status", "stop_date", "output", "error", "cause")
        self._append(execution, {"end": {field: getattr(execution, field) for field in fields}})

    def machines(self) -> Iterator[StateMachine]:
        """Read the state machines."""
        for path in sorted(self._folder.glob("*.machine.json")) if self._folder else ():
            yield _machine(json.loads(path.read_text()))

    def executions(self) -> Iterator[Execution]:
        """Read the executions; one without an end was interrupted, and is reported as aborted."""
        for path in sorted(self._folder.glob("*.executions/*.jsonl")) if self._folder else ():
            execution = _read_execution(path)
            if execution is not None:
                yield execution

    def _append(self, execution: Execution, record: dict[str, Any]) -> None:
        if self._folder is None:
            return
        folder = self._execution_folder(execution.state_machine.name)
        if not folder.exists():
            return  # the state machine was deleted while its execution ran
        with (folder / f"{execution.name}.jsonl").open("a") as file:
            file.write(json.dumps(record, default=_write) + "\n")

    def _machine_file(self, name: str) -> Path:
        assert self._folder is not None  # noqa: S101  (callers have returned otherwise)
        return self._folder / f"{name}.machine.json"

    def _execution_folder(self, name: str) -> Path:
        assert self._folder is not None  # noqa: S101
        return self._folder / f"{name}.executions"


def _read_execution(path: Path) -> Execution | None:
    execution: Execution | None = None
    for line in path.read_text().splitlines():
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            continue
        if "start" in record:
            start = record["start"]
            start["state_machine"] = _machine(start["state_machine"])
            start["start_date"] = datetime.fromisoformat(start["start_date"])
            execution = Execution(**start)
        elif execution is not None and "event" in record:
            event = record["event"]
            event["timestamp"] = datetime.fromisoformat(event["timestamp"])
            execution.history.append(event)
        elif execution is not None and "end" in record:
            for field, value in record["end"].items():
                setattr(execution, field, datetime.fromisoformat(value) if field == "stop_date" else value)
    if execution is not None:
        if execution.status == "RUNNING":
            _interrupt(execution)
        execution.ended.set()
    return execution


def _interrupt(execution: Execution) -> None:
    last = execution.history[-1]["timestamp"] if execution.history else execution.start_date
    execution.status, execution.stop_date = "ABORTED", last
    execution.error, execution.cause = INTERRUPTED_ERROR, INTERRUPTED_CAUSE
    execution.history.append(
        {
            "timestamp": last,
            "type": "ExecutionAborted",
            "id": len(execution.history) + 1,
            "previousEventId": 0,
            "executionAbortedEventDetails": {"error": INTERRUPTED_ERROR, "cause": INTERRUPTED_CAUSE},
        }
    )


def _machine(fields: dict[str, Any]) -> StateMachine:
    dates = ("creation_date", "update_date")
    return StateMachine(**{**fields, **{name: datetime.fromisoformat(fields[name]) for name in dates if fields[name]}})


def _write(value: Any) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    raise TypeError(f"a journal holds no {type(value).__name__}")

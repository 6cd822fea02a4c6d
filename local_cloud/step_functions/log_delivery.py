"""Delivers executions' history to CloudWatch Logs, as a state machine's logging configuration asks.

Levels: Step Functions Developer Guide, "Log levels for Step Functions execution events". A line is the event with its
numbers as text, its instant as milliseconds since 1970, and its details under `details`.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import queue
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from local_cloud.step_functions.dependencies import Dependencies
from local_cloud.step_functions.engine.clients import RoleClients
from local_cloud.step_functions.permissions import log_group_name
from local_cloud.step_functions.records import Execution, HistoryEvent

#: PutLogEvents takes 10,000 events and 1 MiB at once (CloudWatch Logs API reference); an event is up to 256 KiB.
_BATCH_EVENTS = 100
_BATCH_BYTES = 700_000
_FATAL = frozenset({"ExecutionAborted", "ExecutionFailed", "ExecutionTimedOut"})
_ENDINGS_OF_ERRORS = ("Failed", "TimedOut", "Aborted")
_DATA_FIELDS = ("input", "inputDetails", "output", "outputDetails", "parameters")


@dataclass(frozen=True)
class _Line:
    group: str
    stream: str
    timestamp: int
    message: str


class LogDelivery:
    """Writes log lines on a thread of its own, so that an execution does not wait for its log."""

    def __init__(self, dependencies: Dependencies, clients: RoleClients) -> None:
        self._dependencies = dependencies
        self._clients = clients
        self._lines: queue.Queue[_Line | None] = queue.Queue()
        self._streams: set[tuple[str, str]] = set()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def deliver(self, execution: Execution, event: HistoryEvent) -> None:
        """Deliver an event where the state machine's configuration asks for it."""
        configuration = execution.state_machine.logging_configuration
        if self._dependencies.delivery_credentials is None or not logged(configuration.get("level", "OFF"), event):
            return
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="states-log-delivery", daemon=True)
                self._thread.start()
        self._lines.put(
            _Line(
                log_group_name(configuration),
                stream_name(execution),
                _milliseconds(event),
                json.dumps(log_line(execution.arn, event, bool(configuration.get("includeExecutionData")))),
            )
        )

    def close(self, seconds: float = 3.0) -> None:
        """Deliver what is left, for `seconds` at most."""
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is not None:
            self._lines.put(None)
            thread.join(seconds)

    def _work(self) -> None:
        client: Any = None
        while (line := self._lines.get()) is not None:
            batch = self._batch(line)
            try:
                if client is None:
                    assert self._dependencies.delivery_credentials is not None  # noqa: S101  (deliver has seen to it)
                    client = self._clients.with_credentials("logs", self._dependencies.delivery_credentials())
                self._put(client, batch)
            except (ClientError, BotoCoreError, LookupError, PermissionError) as error:
                client = None
                self._dependencies.log(
                    f"{len(batch)} lines of {line.stream} could not be written to the log group {line.group}: {error}. "
                    "See that the log group exists."
                )

    def _batch(self, first: _Line) -> list[_Line]:
        """Add the lines that wait already and go to the same stream."""
        batch, size = [first], len(first.message)
        while len(batch) < _BATCH_EVENTS and size < _BATCH_BYTES:
            with self._lines.mutex:
                following = self._lines.queue[0] if self._lines.queue else None
            if following is None or (following.group, following.stream) != (first.group, first.stream):
                break
            self._lines.get()
            batch.append(following)
            size += len(following.message)
        return batch

    def _put(self, client: Any, batch: list[_Line]) -> None:
        group, stream = batch[0].group, batch[0].stream
        if (group, stream) not in self._streams:
            with contextlib.suppress(client.exceptions.ResourceAlreadyExistsException):
                client.create_log_stream(logGroupName=group, logStreamName=stream)
            self._streams.add((group, stream))
        client.put_log_events(
            logGroupName=group,
            logStreamName=stream,
            logEvents=[{"timestamp": line.timestamp, "message": line.message} for line in batch],
        )


def logged(level: str, event: HistoryEvent) -> bool:
    """Whether an event is logged at a level."""
    kind: str = event["type"]
    if level == "ALL":
        return True
    if level == "ERROR":
        return kind == "FailStateEntered" or kind.endswith(_ENDINGS_OF_ERRORS)
    return level == "FATAL" and kind in _FATAL


def log_line(execution_arn: str, event: HistoryEvent, with_data: bool) -> dict[str, Any]:
    """Write an event as Step Functions logs it; without data, inputs and outputs are left out."""
    details = next((value for key, value in event.items() if key.endswith("EventDetails")), None)
    line: dict[str, Any] = {"id": str(event["id"]), "type": event["type"]}
    if isinstance(details, Mapping):
        line["details"] = {key: value for key, value in details.items() if with_data or key not in _DATA_FIELDS}
    return {
        **line,
        "previous_event_id": str(event["previousEventId"]),
        "event_timestamp": str(_milliseconds(event)),
        "execution_arn": execution_arn,
        "redrive_count": "0",
    }


def stream_name(execution: Execution) -> str:
    """Name the stream of an execution's lines: by state machine and minute, as AWS does."""
    digest = hashlib.sha256(execution.arn.encode()).hexdigest()[:8]
    return f"states/{execution.state_machine.name}/{execution.start_date:%Y-%m-%d-%H-%M}/{digest}"


def _milliseconds(event: HistoryEvent) -> int:
    instant: datetime = event["timestamp"]
    return round(instant.timestamp() * 1000)

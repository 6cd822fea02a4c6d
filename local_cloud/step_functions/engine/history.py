"""The history of one execution, in place of the engine's event manager."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from local_cloud.step_functions.records import HistoryEvent

if TYPE_CHECKING:
    from local_cloud.step_functions.engine.resume import Replay

#: Step Functions quotas, "Maximum execution history size": https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
MAXIMUM_EVENTS = 25_000
_TERMINAL = frozenset({"ExecutionSucceeded", "ExecutionFailed", "ExecutionAborted", "ExecutionTimedOut"})


class History:
    """Numbers the events of an execution and passes each to an observer, in order.

    Events of a task that was left behind (its context is marked `closed`), and events after the one that ends the
    execution, are dropped: AWS records none of them. The last place is kept for the event that ends the execution:
    where another event would take it, `stop` is called with the error that the execution then fails with.
    """

    def __init__(
        self,
        now: Callable[[], datetime],
        observe: Callable[[HistoryEvent], None],
        stop: Callable[[dict[str, str]], None],
    ) -> None:
        self._lock = threading.Lock()
        self._events: list[HistoryEvent] = []
        self._now = now
        self._observe = observe
        self._stop = stop
        #: The error of an execution whose history is full.
        self.full: dict[str, str] | None = None
        self.ended = threading.Event()
        self.replay: Replay | None = None

    def resume(self, events: list[HistoryEvent], replay: Replay | None) -> None:
        """Go on after the events of an earlier process; `replay` knows which of them the engine gives once more."""
        self._events = copy.deepcopy(events)
        self.replay = replay

    def add_event(
        self,
        context: Any,
        event_type: str,
        event_details: dict[str, Any] | None = None,
        timestamp: datetime | None = None,
        update_source_event_id: bool = True,
    ) -> int:
        """Record an event; answers its number. The signature is that of the engine's event manager."""
        with self._lock:
            if self.ended.is_set() or getattr(context, "closed", False):
                return int(context.last_published_event_id)
            number = len(self._events) + 1
            kind = str(getattr(event_type, "value", event_type))
            if self.replay is not None and self.replay.is_recorded(kind):
                context.last_published_event_id = context.source_event_id = self.replay.last_id
                return self.replay.last_id
            if number >= MAXIMUM_EVENTS and kind not in _TERMINAL:
                cause = f"The execution reached the maximum number of history events ({MAXIMUM_EVENTS})."
                self.full = {"error": "States.Runtime", "cause": cause}
                self._stop(self.full)
                return int(context.last_published_event_id)
            if kind == "ExecutionFailed" and self.full:  # not what the engine stumbled over afterwards
                event_details = {"executionFailedEventDetails": self.full}
            event: HistoryEvent = {
                "timestamp": timestamp or self._now(),
                "type": kind,
                "id": number,
                "previousEventId": context.source_event_id,
                **copy.deepcopy(event_details or {}),
            }
            context.last_published_event_id = number
            if update_source_event_id:
                context.source_event_id = number
            self._events.append(event)
            self._observe(event)
            if event["type"] in _TERMINAL:
                self.ended.set()
            return number

    def get_event_history(self) -> list[HistoryEvent]:
        """Copy the events recorded so far."""
        with self._lock:
            return copy.deepcopy(self._events)

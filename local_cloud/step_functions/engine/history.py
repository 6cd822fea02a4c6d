"""The history of one execution, in place of the engine's event manager."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from datetime import datetime
from typing import Any

from local_cloud.step_functions.records import HistoryEvent

_TERMINAL = frozenset({"ExecutionSucceeded", "ExecutionFailed", "ExecutionAborted", "ExecutionTimedOut"})


class History:
    """Numbers the events of an execution and passes each to an observer, in order.

    Events of a task that was left behind (its context is marked `closed`), and events after the one that ends the
    execution, are dropped: AWS records none of them.
    """

    def __init__(self, now: Callable[[], datetime], observe: Callable[[HistoryEvent], None]) -> None:
        self._lock = threading.Lock()
        self._events: list[HistoryEvent] = []
        self._now = now
        self._observe = observe
        self.ended = threading.Event()

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
            event: HistoryEvent = {
                "timestamp": timestamp or self._now(),
                "type": str(getattr(event_type, "value", event_type)),
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

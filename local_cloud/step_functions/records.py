"""State machines and executions as the service keeps them."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from local_cloud.step_functions.engine.run import EngineRun

#: An event of an execution's history: the API's shape, with `timestamp` as a datetime.
HistoryEvent = dict[str, Any]


@dataclass
class StateMachine:
    """A state machine: the API's fields."""

    arn: str
    name: str
    definition: str  #: JSON text
    role_arn: str
    creation_date: datetime
    type: str = "STANDARD"
    logging_configuration: dict[str, Any] = field(default_factory=lambda: {"level": "OFF"})
    tracing_configuration: dict[str, Any] = field(default_factory=lambda: {"enabled": False})
    tags: dict[str, str] = field(default_factory=dict)
    revision_id: str | None = None  #: AWS sets one with the first update
    update_date: datetime | None = None
    status: str = "ACTIVE"  #: or DELETING, until its executions have ended


@dataclass
class Interruption:
    """What is known beside its history of an execution that ran when its process was killed."""

    next_state: str | None = None  #: after the state that was left last; None where that ended the execution
    variables: dict[str, Any] = field(default_factory=dict)
    token: str | None = None  #: of the state that was entered last
    answer: dict[str, Any] | None = None  #: to that token: `token` with `output`, or with `error` and `cause`


@dataclass
class Execution:
    """An execution: the API's fields, its history, and the run of it while it runs."""

    arn: str
    name: str
    state_machine: StateMachine  #: as it was when the execution started
    input: str  #: JSON text, as given
    start_date: datetime
    trace_header: str | None = None
    status: str = "RUNNING"
    stop_date: datetime | None = None
    output: str | None = None  #: JSON text
    error: str | None = None
    cause: str | None = None
    history: list[HistoryEvent] = field(default_factory=list)
    run: EngineRun | None = None
    interruption: Interruption | None = None  #: until it goes on
    forgotten: bool = False  #: whether its state machine went with its stack, and its name may be another's
    told: bool = False  #: whether the event about its end has been sent
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def state_machine_arn(self) -> str:
        """The ARN of its state machine."""
        return self.state_machine.arn


@dataclass(frozen=True)
class Outcome:
    """How an execution ended."""

    status: str  #: SUCCEEDED, FAILED, TIMED_OUT or ABORTED
    output: str | None = None
    error: str | None = None
    cause: str | None = None


def tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Write tags as the API does."""
    return [{"key": key, "value": value} for key, value in tags.items()]

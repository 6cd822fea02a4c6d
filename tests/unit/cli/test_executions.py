"""Following an execution: each state is shown as it passes, and what has not gone on is not read again."""

import io
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from cli import executions
from cli.display import PlainBoard
from tests.unit.cli.test_history import Recorder

MACHINE = "arn:aws:states:us-east-1:000000000000:stateMachine:oaks"
ARN = MACHINE.replace("stateMachine", "execution") + ":week"


class States:
    """Step Functions with one execution, which goes on at every third look."""

    def __init__(self) -> None:
        self.recorder = Recorder()
        self.looks = 0
        self.whole = 0
        self._steps = [
            self.recorder.begin,
            lambda: self.recorder.enter("Fell", "Pass"),
            lambda: self.recorder.leave("Fell", {}, "Pass"),
            lambda: self.recorder.enter("Plant", "Pass"),
            lambda: self.recorder.leave("Plant", {}, "Pass"),
            lambda: self.recorder.add("ExecutionSucceeded", "executionSucceeded", output="{}"),
        ]

    def describe_execution(self, **_: str) -> dict[str, Any]:
        """Its state machine."""
        return {"stateMachineArn": MACHINE}

    def describe_state_machine(self, **_: str) -> dict[str, Any]:
        """A definition with a time limit."""
        return {"definition": '{"TimeoutSeconds": 60}'}

    def get_execution_history(self, **asked: Any) -> dict[str, Any]:
        """The last event."""
        assert asked == {"executionArn": ARN, "reverseOrder": True, "maxResults": 1}
        self._look()
        return {"events": self.recorder.events[-1:]}

    def get_paginator(self, _: str) -> Any:
        """All events, two a page."""

        def paginate(**_: str) -> list[dict[str, Any]]:
            self.whole += 1
            self._look()
            events = self.recorder.events
            return [{"events": events[at : at + 2]} for at in range(0, len(events), 2)]

        return SimpleNamespace(paginate=paginate)

    def _look(self) -> None:
        if self.looks % 3 == 0 and self._steps:
            self._steps.pop(0)()
        self.looks += 1


def test_states_are_shown_once_each_and_only_what_is_new_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """The end is seen; the whole history was read once for each look that found it longer."""
    monkeypatch.setattr(executions, "POLL_SECONDS", 0)
    states = States()
    cloud: Any = SimpleNamespace(client=lambda _: states, log="cloud.log")
    seen: list[int] = []
    printed = io.StringIO()
    with PlainBoard(printed) as board:
        done = executions.follow(cloud, ARN, board, meanwhile=lambda execution: seen.append(len(execution.states)))

    shown = [line.split()[0] for line in printed.getvalue().splitlines()]
    assert (done.status, [state.name for state in done.states]) == ("succeeded", ["Fell", "Plant"])
    assert shown == ["Fell", "Plant"]
    assert seen == sorted(seen)
    assert states.whole <= 6 < states.looks
    assert done.started == datetime(2026, 11, 23, 6, 0, 1, tzinfo=UTC)

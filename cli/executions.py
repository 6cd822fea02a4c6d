"""Executions of a state machine: read as states, and shown as the states pass."""

import json
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import BotoCoreError

from cli import history, logs
from cli.cloud import Cloud, tail
from cli.display import Board, Row
from cli.errors import CloudGoneError, CommandError

POLL_SECONDS = 0.2
MARGIN_SECONDS = 60.0  # after the state machine's own timeout, which ends an execution that hangs

Waiting = Callable[[str], None]  # is told the ARN of a model package that waits for its approval
Meanwhile = Callable[[history.Execution], None]  # is told of the execution so far, again and again while it runs


def follow(
    cloud: Cloud,
    arn: str,
    board: Board,
    *,
    label: str = "",
    waiting: Waiting | None = None,
    meanwhile: Meanwhile | None = None,
) -> history.Execution:
    """Show the execution's states as they pass, until it ends. Bounded by the state machine's own timeout.

    `waiting` is called once for each model package whose approval it waits for, with the package's ARN; `meanwhile` at
    each look, with the execution so far.
    """
    machines = cloud.client("stepfunctions")
    machine = machines.describe_execution(executionArn=arn)["stateMachineArn"]
    deadline = time.monotonic() + _timeout(machines, machine) + MARGIN_SECONDS
    asked: set[str] = set()
    reader = _Reader(cloud, machines)
    while True:
        execution = reader.read(arn)
        for depth, state in execution.as_they_ended():
            board.show(f"{depth} {state.name} {state.entered}", _row(cloud, state, label, depth))
            if waiting and state.waits_for and state.waits_for not in asked:
                asked.add(state.waits_for)
                waiting(state.waits_for)
        if execution.status != "running":
            return execution
        if time.monotonic() > deadline:
            raise CommandError(
                f"The execution {arn} still runs after the state machine's own timeout.",
                hint=f"The local cloud's log may say why: {cloud.log}",
            )
        if meanwhile:
            meanwhile(execution)
        time.sleep(POLL_SECONDS)


def read(cloud: Cloud, machines: Any, arn: str) -> history.Execution:
    """The execution's history up to now. Raises CloudGoneError where the cloud has ended."""
    return _Reader(cloud, machines).read(arn)


class _Reader:
    """Reads executions again and again, and the whole of a history only where it has grown."""

    def __init__(self, cloud: Cloud, machines: Any) -> None:
        self._cloud = cloud
        self._machines = machines
        self._known: dict[str, tuple[int, history.Execution]] = {}  # ARN → last event's id, what was read up to it

    def read(self, arn: str) -> history.Execution:
        """The execution's history up to now, with those of the executions that it started."""
        try:
            execution = self._own(arn)
        except BotoCoreError as error:
            raise CloudGoneError(
                f"The local cloud does not answer any more: {error}\n{tail(self._cloud.log)}"
            ) from error
        started = [state.execution_arn for state in execution.states if state.execution_arn]
        return history.with_states(execution, {other: self.read(other) for other in started})

    def _own(self, arn: str) -> history.Execution:
        if arn in self._known:
            last, execution = self._known[arn]
            newest = self._machines.get_execution_history(executionArn=arn, reverseOrder=True, maxResults=1)["events"]
            if newest[0]["id"] == last:
                return execution
        pages = self._machines.get_paginator("get_execution_history").paginate(executionArn=arn)
        events = [event for page in pages for event in page["events"]]
        execution = history.read(events)
        if events:
            self._known[arn] = events[-1]["id"], execution
        return execution


def _row(cloud: Cloud, state: history.StateRun, label: str, depth: int) -> Row:
    status = state.status + (f", retried {state.retries}" if state.retries else "")
    says = history.says(state)
    if not says and state.status == "succeeded" and state.job_name and state.log_place:
        written = logs.lines(cloud, state.log_place)
        says = logs.readable(written[-1].text) if written else ""
    seconds = state.seconds
    started = time.monotonic() - (datetime.now(state.entered.tzinfo) - state.entered).total_seconds()
    return Row("  " * depth + state.name + label, status, seconds, says, started)


def _timeout(machines: Any, arn: str) -> float:
    """Seconds after which Step Functions ends an execution: the definition's TimeoutSeconds, a year without."""
    definition = json.loads(machines.describe_state_machine(stateMachineArn=arn)["definition"])
    return float(definition.get("TimeoutSeconds", timedelta(days=365).total_seconds()))

"""One weekly run: the clock reaches the schedule, the rule fires, ingestion starts an execution, its states pass."""

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import yaml
from botocore.exceptions import BotoCoreError

from cli import failures, history, logs, report
from cli.cloud import Cloud, tail
from cli.display import Board, Row, step
from cli.errors import CommandError
from cli.ingestion import Watch
from cli.stack import Rule, Stack, weekly_rule
from local_cloud.schedules import next_due
from treering import keys, use_case

POLL_SECONDS = 0.2
MARGIN_SECONDS = 60.0  # after the state machine's own timeout, which ends an execution that hangs


@dataclass(frozen=True)
class Run:
    """One week: when it was due, and its report; none where ingestion found nothing to train on."""

    scheduled_at: datetime
    message: str  # of ingestion
    report: report.RunReport | None


def next_firing(rule: Rule, after: datetime) -> datetime:
    """The next instant of the rule later than `after`. Raises CommandError where there is none."""
    try:
        due = next_due(rule.schedule, created=after, after=after)
    except ValueError as error:
        raise CommandError(f"The rule {rule.name} cannot fire: {error}") from error
    if due is None:
        raise CommandError(
            f"The schedule {rule.schedule} of the rule {rule.name} has no instant after {after:%Y-%m-%d}."
        )
    return due


def fire(cloud: Cloud, stack: Stack, board: Board, *, at: datetime | None = None, label: str = "") -> Run:
    """Move the clock to the rule's next instant (or to `at`) and follow what happens to its end.

    `label` tells the rows of one week from those of another. Raises IngestionFailedError.
    """
    rule = weekly_rule(cloud, stack)
    if not rule.enabled:
        raise CommandError(
            f"The rule {rule.name} is disabled, so it does not fire.", hint="--parameter ScheduleState=ENABLED arms it."
        )
    before = versions(cloud, stack)
    with step(board, f"Weekly rule{label}") as say:
        due = at or next_firing(rule, cloud.now())
        watch = Watch(cloud, stack)
        due = _fired(cloud.move_clock(due), rule)
        say(f"{rule.schedule} fired for {due:%a %Y-%m-%d %H:%M} UTC")
    with step(board, f"Ingest{label}") as say:
        ingested = watch.wait(due, say)
        say(ingested.message)
    if ingested.execution_arn is None:
        return Run(due, ingested.message, None)
    execution = follow(cloud, stack, ingested.execution_arn, board, label=label)
    collected = report.collect(cloud, stack.bucket, ingested.execution_arn, execution)
    collected = collected.model_copy(update={"new_version": collected.dataset_version not in before})
    if execution.status != "succeeded":
        collected = collected.model_copy(update={"failure": failures.of_execution(cloud, execution)})
    return Run(due, ingested.message, collected)


def follow(cloud: Cloud, stack: Stack, arn: str, board: Board, *, label: str = "") -> history.Execution:
    """Show the execution's states as they pass, until it ends. Bounded by the state machine's own timeout."""
    machines = cloud.client("stepfunctions")
    deadline = time.monotonic() + _timeout(machines, stack.state_machine) + MARGIN_SECONDS
    while True:
        execution = read(cloud, machines, arn)
        for index, state in enumerate(execution.states):
            board.show(f"{arn} {index}", _row(cloud, state, label))
        if execution.status != "running":
            return execution
        if time.monotonic() > deadline:
            raise CommandError(
                f"The execution {arn} still runs after the state machine's own timeout.",
                hint=f"The local cloud's log may say why: {cloud.log}",
            )
        time.sleep(POLL_SECONDS)


def read(cloud: Cloud, machines: Any, arn: str) -> history.Execution:
    """The execution's history up to now. Raises CommandError where the cloud has ended."""
    events: list[dict[str, Any]] = []
    try:
        for page in machines.get_paginator("get_execution_history").paginate(executionArn=arn):
            events += page["events"]
    except BotoCoreError as error:
        raise CommandError(f"The local cloud does not answer any more: {error}\n{tail(cloud.log)}") from error
    return history.read(events)


def versions(cloud: Cloud, stack: Stack) -> set[str]:
    """Dataset versions that exist: those whose manifest does."""
    prefix = f"datasets/{use_case.load(stack.use_case).dataset}/"
    pages = cloud.client("s3").get_paginator("list_objects_v2").paginate(Bucket=stack.bucket, Prefix=prefix)
    found = [item["Key"].removeprefix(prefix) for page in pages for item in page.get("Contents", [])]
    return {key.partition("/")[0] for key in found if key.endswith("/" + keys.MANIFEST)}


def _row(cloud: Cloud, state: history.StateRun, label: str) -> Row:
    status = state.status + (f", retried {state.retries}" if state.retries else "")
    says = history.says(state)
    if not says and state.status == "succeeded" and state.job_name and state.log_place:
        written = logs.lines(cloud, state.log_place)
        says = logs.readable(written[-1].text) if written else ""
    seconds = state.seconds
    started = time.monotonic() - (datetime.now(state.entered.tzinfo) - state.entered).total_seconds()
    return Row(state.name + label, status, seconds, says, started)


def _fired(answer: dict[str, Any], rule: Rule) -> datetime:
    """The instant for which the rule fired, as the clock's answer tells it. Raises CommandError if it did not."""
    times = [firing["time"] for firing in answer["fired"] if firing["rule"] == rule.name]
    if not times:
        raise CommandError(
            f"The clock moved to {answer['now']}, but the rule {rule.name} ({rule.schedule}) did not fire."
        )
    return datetime.fromisoformat(times[-1])


def _timeout(machines: Any, arn: str) -> float:
    """Seconds after which Step Functions ends an execution: the definition's TimeoutSeconds, a year without."""
    definition = yaml.safe_load(machines.describe_state_machine(stateMachineArn=arn)["definition"])
    return float(definition.get("TimeoutSeconds", timedelta(days=365).total_seconds()))

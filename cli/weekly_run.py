"""One weekly run: the clock reaches the schedule, the rule fires, ingestion starts an execution, its states pass."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cli import approvals, executions, failures, report
from cli.cloud import Cloud
from cli.display import Board, step
from cli.errors import CommandError
from cli.ingestion import Watch
from cli.stack import Rule, Stack, weekly_rule
from local_cloud.schedules import next_due
from treering import keys, use_case


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


def fire(
    cloud: Cloud,
    stack: Stack,
    board: Board,
    *,
    at: datetime | None = None,
    label: str = "",
    waiting: executions.Waiting | None = None,
    meanwhile: executions.Meanwhile | None = None,
) -> Run:
    """Move the clock to the rule's next instant (or to `at`) and follow what happens to its end.

    `label` tells the rows of one week from those of another. `waiting` is told the ARN of a model package that waits
    for its approval; without it, a note says what to type in another terminal. `meanwhile` is called again and again
    with the execution so far. Raises IngestionFailedError.
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
    ask = waiting or (lambda package: board.note(approvals.how_to(cloud.folder, package)))
    execution = executions.follow(cloud, ingested.execution_arn, board, label=label, waiting=ask, meanwhile=meanwhile)
    collected = report.collect(cloud, stack.bucket, ingested.execution_arn, execution)
    collected = collected.model_copy(update={"new_version": collected.dataset_version not in before})
    if execution.status != "succeeded":
        collected = collected.model_copy(update={"failure": failures.of_execution(cloud, execution)})
    return Run(due, ingested.message, collected)


def versions(cloud: Cloud, stack: Stack) -> set[str]:
    """Dataset versions that exist: those whose manifest does."""
    prefix = f"datasets/{use_case.load(stack.use_case).dataset}/"
    pages = cloud.client("s3").get_paginator("list_objects_v2").paginate(Bucket=stack.bucket, Prefix=prefix)
    found = [item["Key"].removeprefix(prefix) for page in pages for item in page.get("Contents", [])]
    return {key.partition("/")[0] for key in found if key.endswith("/" + keys.MANIFEST)}


def _fired(answer: dict[str, Any], rule: Rule) -> datetime:
    """The instant for which the rule fired, as the clock's answer tells it. Raises CommandError if it did not."""
    times = [firing["time"] for firing in answer["fired"] if firing["rule"] == rule.name]
    if not times:
        raise CommandError(
            f"The clock moved to {answer['now']}, but the rule {rule.name} ({rule.schedule}) did not fire."
        )
    return datetime.fromisoformat(times[-1])

"""A replay: N weekly runs, one after the other, on a clock that the command moves."""

from datetime import UTC, datetime, time, timedelta
from time import monotonic
from types import TracebackType
from typing import Self

from pydantic import BaseModel

from cli import failures, firings, report, weekly_run
from cli.bakes import Bakes
from cli.display import Board, Row
from cli.executions import Waiting
from cli.ingestion import IngestionFailedError
from cli.prepare import Ready
from cli.stack import weekly_rule


class Week(BaseModel):
    """One week of a replay."""

    scheduled_at: datetime
    dataset_version: str | None  # none where ingestion started nothing
    new_version: bool
    rows: int | None
    validation_rmse_log: float | None
    test_rmse_log: float | None
    champion_rmse_log: float | None = None  # of the model in service before, on the same test split
    model_outcome: str | None = None  # deployed, rejected, …
    reasons: list[str] = []  # of the quality gate
    seconds: float | None
    execution_arn: str | None
    endpoint_config_name: str | None
    says: str


class Replay(BaseModel):
    """All weeks, and what they come to."""

    outcome: str
    weeks: list[Week]
    dataset_versions: list[str]
    executions: list[str]
    endpoint_name: str
    endpoints: list[str]  # all there are
    unchanged: list[datetime]  # weeks in which nothing was sold
    failure: report.FailureReport | None = None


class OneRow:
    """A board that shows all that happens in one week as one row of another board."""

    def __init__(self, board: Board, name: str) -> None:
        self._board = board
        self.row = Row(name)
        board.show(name, self.row)

    def show(self, key: str, row: Row) -> None:
        """Say which step the week is at."""
        del key
        self.row.says = f"{row.name} {row.status}"
        self._board.show(self.row.name, self.row)

    def note(self, line: str) -> None:
        """Pass the line on."""
        self._board.note(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to tidy up."""


def begin(ready: Ready, count: int) -> list[datetime]:
    """When the runs are due; where the data are dated, the clock is set to just before the first.

    The last run is the first one that knows all the data; without dates, the runs are the next ones.
    """
    rule = weekly_rule(ready.cloud, ready.stack)

    def following(after: datetime) -> datetime:
        return weekly_run.next_firing(rule, after)

    if ready.source.last_day is None:
        return firings.next_instants(following, ready.cloud.now(), count)
    known_by = datetime.combine(ready.source.last_day, time(), UTC)
    period = following(known_by) - known_by if rule.schedule.startswith("rate(") else None
    due = firings.last_instants(following, known_by, count, period)
    ready.cloud.set_clock(due[0] - (period or timedelta(minutes=1)))
    return due


def run(ready: Ready, board: Board, due: list[datetime], *, waiting: Waiting | None = None) -> Replay:
    """Run the weeks until the last, or until one fails. `waiting` is told of a model that waits for its approval.

    The clock, which this moves from week to week, is moved on where the endpoint's update bakes, too.
    """
    weeks: list[Week] = []
    failure: report.FailureReport | None = None
    bakes = Bakes(ready.cloud, None, advance=True)  # who reads of weeks need not read of each ten minutes
    for number, at in enumerate(due, 1):
        row = OneRow(board, f"Week {number}/{len(due)} {at:%Y-%m-%d}")
        try:
            done = weekly_run.fire(ready.cloud, ready.stack, row, at=at, waiting=waiting, meanwhile=bakes.pass_on)
        except IngestionFailedError as error:
            failure = failures.of_ingestion(ready.cloud, error)
            row.row.status, row.row.says = "failed", str(error)
        else:
            week = _week(done)
            weeks.append(week)
            failure = done.report.failure if done.report else None
            row.row.status, row.row.says = "failed" if failure else "succeeded", week.says
        row.row.seconds = monotonic() - row.row.started
        board.show(row.row.name, row.row)
        if failure:
            break
    endpoints = ready.cloud.client("sagemaker").list_endpoints()["Endpoints"]
    return Replay(
        outcome="failed" if failure else "succeeded",
        weeks=weeks,
        dataset_versions=sorted({w.dataset_version for w in weeks if w.dataset_version}),
        executions=[w.execution_arn for w in weeks if w.execution_arn],
        endpoint_name=ready.stack.endpoint,
        endpoints=[endpoint["EndpointName"] for endpoint in endpoints],
        unchanged=[w.scheduled_at for w in weeks if not w.new_version],
        failure=failure,
    )


def _week(done: weekly_run.Run) -> Week:
    found = done.report
    if found is None:
        return Week(
            scheduled_at=done.scheduled_at,
            dataset_version=None,
            new_version=False,
            rows=None,
            validation_rmse_log=None,
            test_rmse_log=None,
            seconds=None,
            execution_arn=None,
            endpoint_config_name=None,
            says=done.message,
        )
    new = bool(found.new_version)
    rows = sum(found.dataset.rows.values()) if found.dataset else None
    validation = found.train.validation.rmse_log if found.train else None
    verdict = found.evaluate.verdict if found.evaluate else None
    evaluated = found.evaluate.challenger.test if found.evaluate else None
    tested = found.test_endpoint.test if found.test_endpoint else evaluated
    test = tested.rmse_log if tested else None
    champion = found.evaluate.champion.test.rmse_log if found.evaluate and found.evaluate.champion else None
    says = [f"{found.dataset_version} {'new' if new else 'unchanged'}", f"{rows or 0:,} rows"]
    against = f" against {champion:.4f} in service" if champion else ""
    says += [f"RMSE of log: validation {validation:.4f}, test {test:.4f}{against}"] if validation and test else []
    says += [found.model_outcome.replace("_", " ")] if found.model_outcome else []
    says += [f"{found.failure.state} failed: {found.failure.error}"] if found.failure else []
    return Week(
        scheduled_at=done.scheduled_at,
        dataset_version=found.dataset_version,
        new_version=new,
        rows=rows,
        validation_rmse_log=validation,
        test_rmse_log=test,
        champion_rmse_log=champion,
        model_outcome=found.model_outcome,
        reasons=list(verdict.reasons) if verdict else [],
        seconds=found.execution_seconds,
        execution_arn=found.execution_arn,
        endpoint_config_name=found.deploy_endpoint.endpoint_config_name if found.deploy_endpoint else None,
        says=", ".join(says),
    )

"""What every drill needs: a cloud with a model in service, people who are told, and what the endpoint is like."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cli import history, registry, render, replay, weekly_run
from cli.application import Application
from cli.bakes import Bakes
from cli.commands.predict import predict
from cli.display import Board, step
from cli.drills.checks import Checks
from cli.drills.datasets import manifest_of, unlabelled_rows
from cli.drills.people import People
from cli.errors import CommandError
from cli.executions import Meanwhile, follow, read
from cli.prepare import Ready
from cli.report import RunReport
from cli.rows import Rows

WEEKS_APART = 104  # of the two weeks of a drill that needs a better model: two years of sales make it one


@dataclass(frozen=True)
class Service:
    """What the endpoint is and answers at one moment."""

    status: str
    config_name: str
    version: int | None
    predictions: list[float]

    def __str__(self) -> str:
        return f"{self.status} with {self.config_name} (version {self.version})"


@dataclass
class Scene:
    """The cloud of one drill. `checks` collects what is found out, `executions` the ARNs of what has run."""

    ready: Ready
    found: Application
    board: Board
    people: People
    due: list[datetime]  # of the weeks to come
    checks: Checks = field(default_factory=Checks)
    executions: list[str] = field(default_factory=list)
    rows: Rows = field(default_factory=lambda: Rows((), ()))

    def good_week(self) -> RunReport:
        """Fire the weekly rule and bring a first model into service. Raises CommandError where that fails."""
        done = self.week(" (week 1)", Bakes(self.found.cloud, self.board, advance=True).pass_on)
        if done.failure or done.model_outcome != "deployed" or done.dataset_version is None:
            why = render.failure(done.failure) if done.failure else f"the model's outcome is {done.model_outcome}"
            raise CommandError(f"The drill needs a model in service, but the first week went wrong: {why}")
        self.rows = unlabelled_rows(self.found, manifest_of(self.found, done.dataset_version))
        with self.checks.during("before"):
            self.check_told(done.execution_arn, "deployed")
        return done

    def week(self, label: str, meanwhile: Meanwhile) -> RunReport:
        """Fire the weekly rule for the next week and follow it to its end."""
        at = self.due.pop(0)
        self.found.cloud.set_clock(at - timedelta(minutes=1))  # the weeks in between do not happen
        done = weekly_run.fire(self.found.cloud, self.found.stack, self.board, at=at, label=label, meanwhile=meanwhile)
        if done.report is None:
            raise CommandError(f"Ingestion started no execution: {done.message}")
        self.executions.append(done.report.execution_arn)
        return done.report

    def follow(self, arn: str, label: str, meanwhile: Meanwhile) -> history.Execution:
        """Follow an execution that was started otherwise."""
        self.executions.append(arn)
        return follow(self.found.cloud, arn, self.board, label=label, meanwhile=meanwhile)

    def read(self, arn: str) -> history.Execution:
        """An execution as it is now, with the states of those that it started."""
        return read(self.found.cloud, self.found.cloud.client("stepfunctions"), arn)

    def service(self) -> Service:
        """What the endpoint is now, and what it answers to the drill's rows."""
        behind = registry.service(self.found)
        if behind is None:
            raise CommandError(f"There is no endpoint {self.found.stack.endpoint}.")
        described = behind.endpoint
        return Service(
            status=described["EndpointStatus"],
            config_name=described["EndpointConfigName"],
            version=registry.in_service(self.found),
            predictions=predict(self.found, self.rows),
        )

    # -- what is checked in every drill ----------------------------------------------------------------------

    def check_told(self, execution: str, outcome: str, naming: str = "", what: str = "") -> None:
        """People got one message since the last check, whoever sent it: of the execution, with this outcome.

        It holds the text `naming`, which is called `what` where it is long.
        """
        told = self.people.read()
        right = [
            message
            for message in told
            if (message.execution, message.outcome) == (execution, outcome) and naming in message.reason
        ]
        expected = f"one message: {outcome}" + (f", naming {what or naming}" if naming else "")
        seen = "; ".join(map(str, told)) or "nothing"
        self.checks.add("people are told", expected, f"{len(told)}: {seen}", len(told) == len(right) == 1)

    def check_unchanged(self, before: Service) -> None:
        """The endpoint serves what it served, and answers as it did."""
        now = self.service()
        self.checks.add(
            "endpoint",
            f"InService with {before.config_name} (version {before.version})",
            str(now),
            now.status == "InService" and (now.config_name, now.version) == (before.config_name, before.version),
        )
        same = sum(one == other for one, other in zip(before.predictions, now.predictions, strict=True))
        self.checks.add(
            "predictions",
            f"the same as before for {len(before.predictions)} test rows",
            f"{same} are the same",
            same == len(before.predictions),
        )


@dataclass(frozen=True)
class Drill:
    """What goes wrong: for how many weeks it needs data, with which parameters of the template, and what happens."""

    weeks: int
    parameters: Mapping[str, str]
    run: Callable[[Scene], None]


def set_up(ready: Ready, found: Application, board: Board, weeks: int) -> Scene:
    """A cloud, deployed and quiet, becomes the scene of a drill that takes so many weeks."""
    with step(board, "People") as say:
        people = People(found)
        say("a queue is subscribed to the topic, as an e-mail address would be")
    due = replay.begin(ready, 1 + (weeks - 1) * WEEKS_APART)
    if weeks > 1 and ready.source.last_day is None:
        raise CommandError(
            f"The data of {ready.source.name} have no dates, so no week would know more than the one before, and no "
            "second model would be better.",
            hint="Without --source, the drill runs on the public Ames data.",
        )
    return Scene(ready, found, board, people, due[::WEEKS_APART])

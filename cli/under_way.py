"""What is under way at the endpoint: a rollout and what it waits for, models that wait for a person, an experiment."""

from datetime import datetime

from pydantic import BaseModel

from cli import executions, experiments, registry
from cli.application import Application
from cli.bakes import baking
from cli.registry import PENDING, version_of


class RolloutNow(BaseModel):
    """A rollout that has not ended; `bakes` and what follows are none but while alarms watch its update."""

    execution: str
    version: int
    state: str
    bakes: str | None  # in SageMaker's words
    until: datetime | None  # on the cloud's clock
    seconds_left: int | None


class ExperimentNow(BaseModel):
    """An experiment that is on: the challenger is a shadow, or answers a share of the requests."""

    name: str
    champion: int
    challenger: int
    shadow: bool
    share: float


class UnderWay(BaseModel):
    """All of it; `undecided` are versions of the model registry that wait for a person's decision, the newest first."""

    rollouts: list[RolloutNow]
    undecided: list[int]
    experiment: ExperimentNow | None

    def lines(self) -> list[str]:
        """For a person: what is under way, and what to type."""
        lines = []
        for one in self.rollouts:
            lines.append(f"rollout     version {one.version}, in {one.state} ({one.execution})")
            if one.until is not None:
                left = f"{one.seconds_left} s left by the cloud's clock, until {one.until:%Y-%m-%d %H:%M:%S} UTC"
                lines.append(f"            {one.bakes} {left}")
        for version in self.undecided:
            lines.append(
                f"approval    version {version} waits: `treering approve {version}` or `treering reject {version}`"
            )
        if one_on := self.experiment:
            how = "as a shadow" if one_on.shadow else f"with {one_on.share:.0%} of the requests"
            lines.append(
                f"experiment  version {one_on.challenger} {how} beside version {one_on.champion}: "
                "`treering experiment report` compares them"
            )
        return lines


def read(found: Application) -> UnderWay:
    """As it is now."""
    on = experiments.find(found)
    return UnderWay(
        rollouts=_rollouts(found),
        undecided=[one.version for one in registry.versions(found) if one.status == PENDING],
        experiment=_experiment(on) if on else None,
    )


def _experiment(on: experiments.Experiment) -> ExperimentNow:
    return ExperimentNow(
        name=on.name,
        champion=on.champion.version,
        challenger=on.challenger.version,
        shadow=on.shadow,
        share=1.0 if on.shadow else on.share(on.trial.variant),
    )


def _rollouts(found: Application) -> list[RolloutNow]:
    machines = found.cloud.client("stepfunctions")
    listed = machines.list_executions(stateMachineArn=found.stack.rollout_machine, statusFilter="RUNNING")["executions"]
    return [_rollout(found, execution["executionArn"]) for execution in listed]


def _rollout(found: Application, arn: str) -> RolloutNow:
    execution = executions.read(found.cloud, found.cloud.client("stepfunctions"), arn)
    state = execution.states[-1].name if execution.states else "its beginning"
    waits = next(iter(baking(found.cloud, found.stack.endpoint)), None)
    until = datetime.fromisoformat(waits["until"]) if waits else None
    return RolloutNow(
        execution=arn.rpartition(":")[2],
        version=version_of(execution.input["model_package_arn"]),
        state=state,
        bakes=str(waits["message"]) if waits else None,
        until=until,
        seconds_left=max(0, int((until - found.cloud.now()).total_seconds())) if until else None,
    )

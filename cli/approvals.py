"""A person's decision on a version in the model registry, made as the console, the AWS CLI or an SDK makes it.

UpdateModelPackage is all that is called: the registry's event resumes the execution that waits.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from cli import cloud as clouds
from cli import executions, history, registry
from cli.application import Application
from cli.cloud import Cloud
from cli.display import Board, shown
from cli.errors import CloudGoneError, CommandError, UsageError
from cli.registry import APPROVED, PENDING, ModelVersion

Decision = Literal["Approved", "Rejected"]
DEFAULT_STATE = ".treering"
PATIENCE_SECONDS = 60.0  # from the decision until the execution goes on; the function is tried three times
POLL_SECONDS = 0.3
BY_COMMAND = "by `treering run --approve`"
COMMENT_LENGTH = 1024  # ApprovalDescription (UpdateModelPackage, API reference)


@dataclass(frozen=True)
class Decided:
    """What was decided, and what came of it."""

    version: ModelVersion
    decision: Decision
    comment: str
    execution: history.Execution | None  # that made the version, where it still runs
    resumed: bool  # whether it was seen to go on

    @property
    def then(self) -> str:
        """What happens next, for a person."""
        number, approved = self.version.version, self.decision == APPROVED
        if self.execution is None:
            what = f"`treering rollout {number}` puts it into service." if approved else "The endpoint is as it was."
            return f"No execution waits for it. {what}"
        if not self.resumed:
            return (
                f"Its execution has not gone on within {PATIENCE_SECONDS:.0f} seconds: `treering logs resume_approval` "
                "shows what the registry's event led to. The same command again decides once more."
            )
        if approved:
            return "Its execution goes on: it rolls the model out, first in staging, then in production."
        return "Its execution ends with the outcome not_approved; the endpoint is as it was."

    def describe(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "version": self.version.version,
            "model_package_arn": self.version.arn,
            "run_id": self.version.run_id,
            "decision": self.decision,
            "comment": self.comment,
            "execution_arn": self.version.execution_arn if self.execution else None,
            "resumed": self.resumed,
            "then": self.then,
        }


def how_to(folder: Path, model_package_arn: str) -> str:
    """What to type in another terminal so that the execution in the cloud of `folder` goes on."""
    state = folder.parent if folder.name == "cloud" else folder.parent.parent
    where = "" if state == Path(DEFAULT_STATE).resolve() else f" --state {shown(state)}"
    version = registry.version_of(model_package_arn)
    return (
        f"Version {version} waits for your approval. In another terminal:  treering approve {version}{where}\n"
        f"                                              or:  treering reject {version}{where}"
    )


def choose(found: list[Application], wanted: str | None) -> tuple[Application, ModelVersion]:
    """The version that is meant: the one named, else the one that waits. Raises CommandError that says what there is.

    Where several clouds are up, the one in which that version waits is meant.
    """
    if wanted is None:
        every = [(one, version) for one in found for version in registry.versions(one)]
        pending = [(one, version) for one, version in every if version.status == PENDING]
        if len(pending) == 1:
            return pending[0]
        if not pending:
            raise CommandError(
                "No version of the model registry waits for a decision.",
                hint="`treering models` shows all versions. With --parameter ApprovalRequired=true, `treering up` and "
                "`treering run` let a person decide on each model that passes the quality gate.",
            )
        names = ", ".join(f"{version.version} (run {version.run_id})" for _, version in pending)
        raise UsageError(f"{len(pending)} versions wait for a decision: {names}. Name one of them.")
    known: list[tuple[Application, ModelVersion]] = []
    unknown: list[UsageError] = []
    for one in found:
        try:
            known.append((one, registry.find(registry.versions(one), wanted)))
        except UsageError as error:
            unknown.append(error)
    if not known:
        raise unknown[0]
    pending = [(one, version) for one, version in known if version.status == PENDING]
    if len(pending) > 1:
        folders = ", ".join(shown(one.cloud.folder) for one, _ in pending)
        raise UsageError(f"Version {wanted} waits in more than one cloud: {folders}. Name one with --cloud.")
    return (pending or known)[0]


def decide(found: Application, version: ModelVersion, decision: Decision, comment: str) -> Decided:
    """Decide on the version, and watch whether the execution that waits for it goes on. Raises CommandError.

    What is decided stays so. Only where an execution waits all the same, since the registry's event never reached it,
    the same decision is made once more, so that there is another event.
    """
    if len(comment) > COMMENT_LENGTH:
        raise UsageError(f"The comment has {len(comment):,} characters; SageMaker takes {COMMENT_LENGTH:,}.")
    waits = _running(found.cloud, version)
    if version.status != PENDING:
        if waits is None or version.status != decision or not _asks(waits):
            raise CommandError(_decided_already(version, registry.in_service(found)))
        update(found.cloud, version.arn, PENDING, version.comment)  # the same again would be no change, so no event
        comment = comment or version.comment
    update(found.cloud, version.arn, decision, comment)
    resumed = _goes_on(found.cloud, version) if waits else False
    return Decided(version, decision, comment, waits, resumed)


def update(cloud: Cloud, arn: str, status: str, comment: str) -> None:
    """UpdateModelPackage."""
    described = {"ApprovalDescription": comment} if comment else {}
    cloud.client("sagemaker").update_model_package(ModelPackageArn=arn, ModelApprovalStatus=status, **described)


def approver(cloud: Cloud, board: Board) -> executions.Waiting:
    """What approves each model package that it is told of, and says so."""

    def approve(arn: str) -> None:
        update(cloud, arn, APPROVED, BY_COMMAND)
        board.note(f"Version {registry.version_of(arn)} was approved in the model registry: {BY_COMMAND}.")

    return approve


def _decided_already(version: ModelVersion, serving: int | None) -> str:
    said = f' ("{version.comment}")' if version.comment else ""
    when = f" since {version.decided_at:%Y-%m-%d %H:%M} UTC" if version.decided_at else " since its registration"
    if version.version == serving:
        return f"Version {version.version} is {version.status} already{when}{said}, and in service."
    then = (
        f"`treering rollout {version.version}` puts it into service."
        if version.status == APPROVED
        else f"To decide otherwise: aws sagemaker update-model-package --model-package-arn {version.arn} "
        f"--model-approval-status Approved, then `treering rollout {version.version}`."
    )
    return f"Version {version.version} is {version.status} already{when}{said}. {then}"


def _running(cloud: Cloud, version: ModelVersion) -> history.Execution | None:
    """The execution that made the version, if it still runs; none where nothing is known of it."""
    if not version.execution_arn:
        return None
    machines = cloud.client("stepfunctions")
    try:
        execution = executions.read(cloud, machines, version.execution_arn)
    except machines.exceptions.ExecutionDoesNotExist:
        return None
    return execution if execution.status == "running" else None


def _goes_on(cloud: Cloud, version: ModelVersion) -> bool:
    """Wait until the execution no longer waits for this version; False where it still does after a while."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        try:
            execution = _running(cloud, version)
        except CloudGoneError:
            if clouds.killed(cloud.folder):
                raise
            return True  # the cloud of a `treering run` ends in order once its execution has gone on to its end
        if execution is None or (_waits(execution) and not _asks(execution)):
            return True
        time.sleep(POLL_SECONDS)
    return False


def _asks(execution: history.Execution) -> bool:
    """Whether it waits for a person right now."""
    return any(state.status == "running" for state in _waits(execution))


def _waits(execution: history.Execution) -> list[history.StateRun]:
    return [state for state in execution.states if state.resource.endswith(".waitForTaskToken")]

"""The rollouts so far, and which version `treering rollback` puts back into service.

The rule: rollouts lie on each other like a stack. The weekly training's and those by hand come on top; a rollback takes
the top one off. What lies below the version in service is what a rollback puts back, if it is still approved and
passed the test of the endpoint in production; else what lies below that. So a rollback never leads to a version that
was itself rolled back, and one after the other leads further back.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from cli import executions, failures, history
from cli.application import Application
from cli.errors import CommandError
from cli.registry import APPROVED, ModelVersion, version_of
from treering import names
from treering.aws.step_functions import execution_arn
from treering.contracts import DatasetRef, RolloutInput
from treering.keys import MANIFEST

Kind = Literal["weekly", "rollout", "rollback", "staging"]
DEPLOYED_BY = "Deploy Endpoint"  # the state after which production serves the new model
_BY_HAND: tuple[Kind, ...] = ("rollout", "rollback", "staging")  # what their executions' names begin with
_STARTED_BY = "AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID"


@dataclass(frozen=True)
class Rollout:
    """One execution of the rollout's state machine."""

    kind: Kind  # by the weekly training, or by hand: to put a version into service, to go back, to test it in staging
    execution_arn: str
    started_by: str  # ARN of the weekly training's execution; empty for one by hand
    version: int
    run_id: str
    started_at: datetime
    status: history.Status
    reached_production: bool  # whether production served the version at its end
    failed_state: str | None = None
    error: str | None = None
    reason: str | None = None


def name(kind: Kind, version: int, at: datetime) -> str:
    """Name of the execution of a rollout by hand: asked for twice within a second, it is one and the same."""
    return f"{kind}-{version}-{at:%Y%m%d-%H%M%S}"


def read(found: Application) -> list[Rollout]:
    """All rollouts, the oldest first."""
    machines = found.cloud.client("stepfunctions")
    pages = machines.get_paginator("list_executions").paginate(stateMachineArn=found.stack.rollout_machine)
    listed = [execution["executionArn"] for page in pages for execution in page["executions"]]
    rollouts = [_rollout(found, machines, machines.describe_execution(executionArn=arn)) for arn in listed]
    return sorted(rollouts, key=lambda one: one.started_at)


def before(rollouts: Iterable[Rollout], registered: Iterable[ModelVersion], current: int | None) -> int:
    """The version to go back to from `current`, by the rule above. Raises CommandError where there is none."""
    if current is None:
        raise CommandError(
            "There is no version of the model registry behind the endpoint, so there is nothing to go back from.",
            hint="`treering models` shows what there is, `treering rollout VERSION` puts one of them into service.",
        )
    stack: list[tuple[int, bool]] = []  # version, and whether it passed the test in production
    for one in rollouts:
        if not one.reached_production:
            continue
        if one.kind == "rollback":
            at = _last(stack, one.version)
            stack = stack[: at + 1] if at is not None else [*stack, (one.version, False)]
            stack[-1] = one.version, stack[-1][1] or one.status == "succeeded"
        else:
            stack.append((one.version, one.status == "succeeded"))
    top = _last(stack, current)
    below = stack if top is None else stack[:top]  # not on it: a person updated the endpoint past the rollouts
    approved = {one.version for one in registered if one.status == APPROVED}
    for version, passed in reversed(below):
        if passed and version != current and version in approved:
            return version
    was = ", ".join(str(version) for version, _ in below)
    why = f"of those in service before it ({was}) none passed its test there and is approved" if was else ""
    raise CommandError(
        f"There is no version to go back to from version {current}: {why or 'none was in service before it'}.",
        hint="`treering models` shows what there is, `treering rollout VERSION` puts one of them into service.",
    )


def require_none(found: Application) -> None:
    """Raises CommandError while a rollout is under way: another one, or an experiment, would undo it."""
    machines = found.cloud.client("stepfunctions")
    running = machines.list_executions(stateMachineArn=found.stack.rollout_machine, statusFilter="RUNNING")
    if under_way := ", ".join(execution["name"] for execution in running["executions"]):
        raise CommandError(
            f"A rollout is under way: {under_way}.", hint="Wait until it has ended; `treering status` shows it."
        )


def start(found: Application, version: ModelVersion, kind: Kind, at: datetime) -> str:
    """Start the rollout of a version by hand; the execution's ARN. Raises CommandError."""
    execution = name(kind, version.version, at)
    machines = found.cloud.client("stepfunctions")
    missing = {"run_id", "dataset", "dataset_version", "manifest_uri"} - version.metadata.keys()
    if missing:
        raise CommandError(
            f"Version {version.version} does not say of which run and data it is ({', '.join(sorted(missing))} are "
            "missing in its CustomerMetadataProperties), so nothing could test it.",
            hint="Only versions that the weekly training registered can be rolled out.",
        )
    manifest = version.metadata["manifest_uri"]
    given = RolloutInput(
        rollout_id=names.run_id(execution_arn(found.stack.rollout_machine, execution), at),
        run_id=version.run_id,
        dataset=DatasetRef(
            name=version.metadata["dataset"],
            version=version.metadata["dataset_version"],
            prefix_uri=manifest.removesuffix(MANIFEST),
            manifest_uri=manifest,
        ),
        model_package_arn=version.arn,
        model_data_url=version.model_data_url,
        target="staging" if kind == "staging" else "production",
        notify="false" if kind == "staging" else "true",
    )
    answer = machines.start_execution(
        stateMachineArn=found.stack.rollout_machine, name=execution, input=given.model_dump_json()
    )
    return str(answer["executionArn"])


def _rollout(found: Application, machines: Any, described: dict[str, Any]) -> Rollout:
    given = json.loads(described["input"])
    started_by = str(given.get(_STARTED_BY, ""))
    status = history.STATUSES[described["status"]]
    by_hand: Kind = next((kind for kind in _BY_HAND if described["name"].startswith(f"{kind}-")), "rollout")
    reached = status == "succeeded" and by_hand != "staging"
    failed_state = error = reason = None
    if status != "succeeded":  # its output does not tell how far it came
        execution = executions.read(found.cloud, machines, described["executionArn"])
        deployed = execution.state(DEPLOYED_BY)
        reached = deployed is not None and deployed.status == "succeeded"
        if status == "failed":
            failed_state, error, reason = failures.words(execution)
    return Rollout(
        kind="weekly" if started_by else by_hand,
        execution_arn=described["executionArn"],
        started_by=started_by,
        version=version_of(given["model_package_arn"]),
        run_id=given["run_id"],
        started_at=described["startDate"],
        status=status,
        reached_production=reached,
        failed_state=failed_state,
        error=error,
        reason=reason,
    )


def _last(stack: list[tuple[int, bool]], version: int) -> int | None:
    return next((at for at in reversed(range(len(stack))) if stack[at][0] == version), None)

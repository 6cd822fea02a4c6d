"""The story of the weekly trainings: what each led to and why, and the rollouts by hand between them.

Read from the cloud: the executions of both state machines, their outputs, and the manifests in the bucket. What a run
with a cloud of its own did is kept in a file of its folder, for when that cloud is gone.
"""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from cli import executions, failures, history, registry, report, rollouts
from cli.application import Application
from cli.errors import CommandError
from cli.rollouts import Rollout
from treering.contracts import DatasetManifest, ErrorInterval, ExecutionInput, IngestionRecord

FILE = "history.json"
INGESTIONS = "ingestions/"


class Entry(BaseModel):
    """A weekly training, or a rollout by hand. What it did not reach, or does not apply to it, is none."""

    kind: rollouts.Kind
    scheduled_at: datetime | None  # when the weekly rule was due, by the cloud's clock
    started_at: datetime | None  # by the machine's clock; none where no execution was started
    execution_arn: str | None
    run_id: str | None
    dataset_version: str | None
    new_data: bool | None  # whether this week's ingestion made the dataset version
    rows: int | None
    error: float | None  # of the new model on the test split, on the scale that it learns
    champion_error: float | None  # there, of the model in service
    difference: ErrorInterval | None
    # deployed, rejected, not_approved, approval_expired, failed, stopped, running, waits_for_approval, no_new_data
    outcome: str
    reason: str  # why: the gate's first reason, a person's comment, or what failed
    failed_state: str | None = None
    failure: str | None = None  # name of the error
    version: int | None = None  # in the model registry
    into_service: int | None = None  # the version that it put into service, also where a test of it failed later


class Story(BaseModel):
    """All of it, the oldest first."""

    endpoint_name: str
    in_service: int | None
    entries: list[Entry]


def read(found: Application) -> Story:
    """The story as the cloud tells it."""
    rolled_out = rollouts.read(found)
    weeks = _Weeks(found, {one.started_by: one for one in rolled_out if one.started_by})
    entries = [*weeks.read(), *(_by_hand(one) for one in rolled_out if one.kind in ("rollout", "rollback"))]
    ordered = sorted(entries, key=lambda entry: entry.started_at.timestamp() if entry.started_at else 0.0)
    for entry in weeks.without_execution():  # by their week, as no execution says when they were
        ordered.insert(_after_week(ordered, entry), entry)
    return Story(endpoint_name=found.stack.endpoint, in_service=registry.in_service(found), entries=ordered)


def keep(found: Application) -> None:
    """Write the story beside the cloud's other files."""
    file = found.cloud.folder / FILE
    unfinished = file.with_suffix(".tmp")
    unfinished.write_text(read(found).model_dump_json(indent=2) + "\n", "utf-8")
    unfinished.replace(file)


def kept(folder: Path) -> Story | None:
    """The story in a cloud's folder; none where none was written. Raises CommandError where it is not one."""
    file = folder / FILE
    try:
        return Story.model_validate_json(file.read_bytes())
    except FileNotFoundError:
        return None
    except (ValidationError, OSError) as error:
        raise CommandError(f"{file} is no history of a run: {error}", hint="Remove it and run again.") from error


class _Verdict(BaseModel):
    """What the story reads of a verdict: others may be missing, as executions of an older version are told of too."""

    passed: bool
    reasons: list[str]
    first_model: bool
    error: float
    champion_error: float | None
    difference: ErrorInterval | None


class _Weeks:
    """Reads the weekly trainings."""

    def __init__(self, found: Application, rolled_out: dict[str, Rollout]) -> None:
        self._found, self._rolled_out = found, rolled_out
        self._machines = found.cloud.client("stepfunctions")
        self._reader = report.Reader(found.cloud)
        self._manifests: dict[str, DatasetManifest | None] = {}
        self._executed: set[datetime] = set()

    def read(self) -> list[Entry]:
        """Those that started an execution."""
        pages = self._machines.get_paginator("list_executions").paginate(
            stateMachineArn=self._found.stack.state_machine
        )
        listed = [execution["executionArn"] for page in pages for execution in page["executions"]]
        return [self._week(self._machines.describe_execution(executionArn=arn)) for arn in listed]

    def without_execution(self) -> list[Entry]:
        """Those whose data were not to be trained on again (RetrainOnUnchangedData=false), after `read`."""
        s3 = self._found.cloud.client("s3")
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=self._found.stack.bucket, Prefix=INGESTIONS)
        entries = []
        for item in (item for page in pages for item in page.get("Contents", [])):
            record = self._reader.contract(IngestionRecord, f"s3://{self._found.stack.bucket}/{item['Key']}")
            if record is None or record.scheduled_at in self._executed:
                continue
            uri = f"s3://{self._found.stack.bucket}/datasets/{record.dataset}/{record.version}/manifest.json"
            manifest = self._manifest(uri)
            if manifest is None:  # that ingestion did not come to its end
                continue
            entries.append(
                _entry(
                    kind="weekly",
                    scheduled_at=record.scheduled_at,
                    dataset_version=record.version,
                    new_data=False,
                    rows=sum(manifest.rows.values()),
                    outcome="no_new_data",
                    reason="The data were trained on before, and unchanged data are not trained on again.",
                )
            )
        return sorted(entries, key=lambda entry: str(entry.scheduled_at))

    def _week(self, described: dict[str, Any]) -> Entry:
        given = ExecutionInput.model_validate_json(described["input"])
        self._executed.add(given.scheduled_at)
        status = history.STATUSES[described["status"]]
        told: dict[str, Any] = {}
        waits = False
        if status == "succeeded":
            known = json.loads(described["output"])
        else:  # it has no output, so what its states passed on tells how far it came
            execution = executions.read(self._found.cloud, self._machines, described["executionArn"])
            outputs = [state.output for state in execution.states if isinstance(state.output, dict)]
            known = {name: value for output in outputs for name, value in output.items()}
            waits = any(state.waits_for for state in execution.states)
            if status == "failed":
                told = dict(zip(("failed_state", "failure", "reason"), failures.words(execution), strict=True))
        manifest = self._manifest(given.dataset.manifest_uri)
        judged = (known.get("evaluation") or {}).get("verdict")
        verdict = _Verdict.model_validate(judged) if judged else None
        package = (known.get("registration") or {}).get("model_package_arn")
        outcome = known.get("outcome") or {}
        became = outcome.get("name") if status == "succeeded" else None
        rolled_out = self._rolled_out.get(described["executionArn"])
        return _entry(
            kind="weekly",
            scheduled_at=given.scheduled_at,
            started_at=described["startDate"],
            execution_arn=described["executionArn"],
            run_id=(known.get("run") or {}).get("run_id"),
            dataset_version=given.dataset.version,
            new_data=manifest.scheduled_at == given.scheduled_at if manifest else None,
            rows=sum(manifest.rows.values()) if manifest else None,
            error=verdict.error if verdict else None,
            champion_error=verdict.champion_error if verdict else None,
            difference=verdict.difference if verdict else None,
            outcome=became or ("waits_for_approval" if waits else status),
            version=registry.version_of(package) if package else None,
            into_service=rolled_out.version if rolled_out and rolled_out.reached_production else None,
            **{"reason": _why(verdict, outcome), **told},
        )

    def _manifest(self, uri: str) -> DatasetManifest | None:
        if uri not in self._manifests:
            self._manifests[uri] = self._reader.contract(DatasetManifest, uri)
        return self._manifests[uri]


def _why(verdict: _Verdict | None, outcome: dict[str, Any]) -> str:
    """The first reason, in a sentence."""
    if outcome.get("name") == "deployed" or (verdict and verdict.passed and "reasons" not in outcome):
        return _better(verdict) if verdict else ""
    if verdict and not verdict.passed:
        return verdict.reasons[0] if verdict.reasons else ""
    return str(outcome.get("reasons", "")).strip()


def _better(verdict: _Verdict) -> str:
    if verdict.difference is None:
        return "No model was in service to compare with." if verdict.first_model else verdict.reasons[0]
    interval = verdict.difference
    return (
        f"Its error differs by {interval.estimate:+.4f} from that of the model in service on the same rows "
        f"({interval.confidence:.0%} interval {interval.low:+.4f} to {interval.high:+.4f})."
    )


def _after_week(entries: list[Entry], entry: Entry) -> int:
    """Where an entry belongs among the others by the week that it was due."""
    earlier = [
        at
        for at, other in enumerate(entries)
        if other.scheduled_at and entry.scheduled_at and other.scheduled_at < entry.scheduled_at
    ]
    return earlier[-1] + 1 if earlier else 0


def _by_hand(one: Rollout) -> Entry:
    ends = {"succeeded": "deployed"}
    return _entry(
        kind=one.kind,
        started_at=one.started_at,
        execution_arn=one.execution_arn,
        run_id=one.run_id,
        outcome=ends.get(one.status, one.status),
        reason=one.reason or "",
        failed_state=one.failed_state,
        failure=one.error,
        version=one.version,
        into_service=one.version if one.reached_production else None,
    )


def _entry(**known: Any) -> Entry:
    return Entry(**{name: None for name, field in Entry.model_fields.items() if field.is_required()} | known)

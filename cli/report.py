"""The report of a run: collected from the execution's history and from what its steps wrote to S3."""

import io
import tarfile
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from botocore.exceptions import ClientError
from pydantic import BaseModel, ValidationError

from cli import history
from cli.cloud import Cloud
from cli.errors import CommandError
from cli.permissions import Missing
from treering import keys, use_case
from treering.contracts import (
    DatasetManifest,
    DeployEndpointResult,
    EvaluateResult,
    ExecutionInput,
    PreprocessResult,
    StepResult,
    TestEndpointResult,
    TrainResult,
)
from treering.errors import ConfigurationError

_Contract = TypeVar("_Contract", bound=BaseModel)


class StateReport(BaseModel):
    """How one state went."""

    name: str
    status: str
    seconds: float | None
    retries: int
    says: str


class Artefact(BaseModel):
    """Something a run made: what it is, its address, and the file or folder in which the local cloud keeps it."""

    what: str
    uri: str
    path: str | None


class FailureReport(BaseModel):
    """Why a run failed: where, with which error, why, the last lines of the log, and what to try.

    `missing_permissions` are the statements that roles lacked while it ran, whether or not it failed for them.
    """

    state: str
    error: str
    cause: str
    log: list[str]
    hint: str
    missing_permissions: list[Missing] = []


class RunReport(BaseModel):
    """What one execution did and made; parts that it did not reach are none."""

    outcome: str  # succeeded, failed, stopped
    execution_arn: str
    scheduled_at: datetime | None
    run_id: str | None
    dataset_version: str | None
    new_version: bool | None  # whether this run's ingestion made the version
    dataset: DatasetManifest | None
    preprocess: PreprocessResult | None
    train: TrainResult | None
    evaluate: EvaluateResult | None = None
    model_outcome: str | None = None  # deployed, rejected, not_approved, approval_expired; none where it failed before
    model_package_arn: str | None = None
    deploy_endpoint: DeployEndpointResult | None
    test_endpoint: TestEndpointResult | None
    unit: str  # of the target
    states: list[StateReport]
    execution_seconds: float | None
    command_seconds: float | None = None
    artefacts: list[Artefact]
    bucket_path: str | None  # folder in which the local cloud keeps the bucket, keys as paths
    failure: FailureReport | None = None

    @property
    def execution_name(self) -> str:
        """Last part of the execution's ARN."""
        return self.execution_arn.rpartition(":")[2]


def collect(
    cloud: Cloud, bucket: str, execution_arn: str, execution: history.Execution, *, new_version: bool | None = None
) -> RunReport:
    """Read what the run's steps left in the bucket. Raises CommandError where a result is not what it must be."""
    reader = Reader(cloud)
    given = ExecutionInput.model_validate(execution.input)
    run_id = history.find([state.output for state in execution.states], "run_id")
    model_uri = history.find([state.output for state in reversed(execution.states)], "model_data_url")
    manifest = reader.contract(DatasetManifest, given.dataset.manifest_uri)
    prefix = keys.uri(bucket, keys.run_prefix(run_id)) if run_id else None

    def result(kind: type[_Contract], stage: keys.Stage) -> _Contract | None:
        return reader.contract(kind, f"{prefix}{stage}/{keys.RESULT}") if prefix else None

    preprocess = result(PreprocessResult, "preprocess")
    evaluate = result(EvaluateResult, "evaluate")
    deploy = result(DeployEndpointResult, "deploy_endpoint")
    test = result(TestEndpointResult, "test_endpoint")
    train = reader.metrics(model_uri) if model_uri else None
    stages: list[tuple[str, str, StepResult | None]] = [
        ("preprocessed splits", "preprocess/", preprocess),
        ("evaluation, a page", "evaluate/report.html", evaluate),
        ("deployment", "deploy_endpoint/", deploy),
    ]
    stages += [("endpoint's test", "test_endpoint/", test)]
    made: list[tuple[str, str]] = []
    if manifest:
        made += [("dataset version", given.dataset.prefix_uri), ("its manifest", given.dataset.manifest_uri)]
    if model_uri:
        made += [("model and preprocessing", model_uri), ("training metrics", _beside(model_uri))]
    made += [(what, f"{prefix}{folder}") for what, folder, there in stages if there]
    return RunReport(
        outcome=execution.status,
        execution_arn=execution_arn,
        scheduled_at=given.scheduled_at,
        run_id=run_id,
        dataset_version=given.dataset.version,
        new_version=new_version,
        dataset=manifest,
        preprocess=preprocess,
        train=train,
        evaluate=evaluate,
        model_outcome=execution.outcome,
        model_package_arn=history.find([state.output for state in execution.states], "model_package_arn"),
        deploy_endpoint=deploy,
        test_endpoint=test,
        unit=_unit(manifest),
        states=states(execution),
        execution_seconds=execution.seconds,
        bucket_path=_local_path(cloud, f"s3://{bucket}/"),
        artefacts=[
            Artefact(what=what, uri=uri, path=_local_path(cloud, uri)) for what, uri in made if reader.exists(uri)
        ],
    )


def states(execution: history.Execution) -> list[StateReport]:
    """How each state went, those of executions that it started included."""
    return [
        StateReport(name=s.name, status=s.status, seconds=s.seconds, retries=s.retries, says=history.says(s))
        for _, s in execution.all_states()
    ]


class Reader:
    """Reads objects of the cloud's buckets; what is not there is none."""

    def __init__(self, cloud: Cloud) -> None:
        self._s3 = cloud.client("s3")

    def contract(self, kind: type[_Contract], uri: str) -> _Contract | None:
        """The object as `kind`. Raises CommandError where it is there and is not one."""
        content = self.content(uri)
        return None if content is None else _validated(kind, content, uri)

    def metrics(self, model_uri: str) -> TrainResult | None:
        """`metrics.json` out of the `output.tar.gz` that SageMaker puts beside the `model.tar.gz`."""
        uri = _beside(model_uri)
        content = self.content(uri)
        if content is None:
            return None
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as archive:
            for member in archive:
                if Path(member.name).name == "metrics.json" and (file := archive.extractfile(member)):
                    return _validated(TrainResult, file.read(), f"{uri}!metrics.json")
        return None

    def content(self, uri: str) -> bytes | None:
        """All of the object."""
        bucket, key = keys.parse_uri(uri)
        try:
            body: bytes = self._s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        except ClientError as error:
            if error.response["Error"]["Code"] in ("NoSuchKey", "NoSuchBucket", "404"):
                return None
            raise
        return body

    def exists(self, uri: str) -> bool:
        """Whether there is an object of that address, or any object below it."""
        bucket, key = keys.parse_uri(uri)
        return bool(self._s3.list_objects_v2(Bucket=bucket, Prefix=key, MaxKeys=1).get("KeyCount"))


def _validated(kind: type[_Contract], content: bytes, uri: str) -> _Contract:
    try:
        return kind.model_validate_json(content)
    except ValidationError as error:
        raise CommandError(f"{uri} is not a valid {kind.__name__}: {error}") from error


def _beside(model_uri: str) -> str:
    return model_uri.rpartition("/")[0] + "/output.tar.gz"


def _unit(manifest: DatasetManifest | None) -> str:
    try:
        return use_case.load(manifest.use_case).target.unit if manifest else ""
    except ConfigurationError:
        return ""


def _local_path(cloud: Cloud, uri: str) -> str | None:
    """Where the local cloud keeps an object, or the objects of a prefix, on this machine's disk."""
    bucket, key = keys.parse_uri(uri)
    for folder in (cloud.folder / "s3" / cloud.account_id / bucket, cloud.folder / "s3" / bucket):
        if (folder / key).exists():
            return str((folder / key).resolve())
    return None

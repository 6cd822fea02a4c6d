"""Dataset versions made for a drill, written into the bucket as ingestion writes its own."""

import hashlib
import io
import random
from datetime import datetime
from typing import Any

from cli.application import Application
from cli.rows import Rows
from treering import keys, names, use_case
from treering.contracts import DatasetManifest, DatasetRef, ExecutionInput, FileRecord
from treering.steps.csv_columns import format_columns, parse_columns

SEED = 20_061  # any: the same data give the same bad data
ROWS = 8  # that a drill asks the endpoint about


def manifest_of(found: Application, version: str) -> DatasetManifest:
    """The manifest of a dataset version that is there."""
    dataset = use_case.load(found.stack.use_case).dataset
    return DatasetManifest.model_validate_json(_read(found, keys.manifest_key(dataset, version)))


def unlabelled_rows(found: Application, manifest: DatasetManifest) -> Rows:
    """The first test rows of a dataset version, without what is to be predicted."""
    columns = _columns(_read(found, manifest.splits["test"].key), "test.csv")
    del columns[use_case.load(found.stack.use_case).target.column]
    return Rows(tuple(columns), tuple(zip(*(values[:ROWS] for values in columns.values()), strict=True)))


def shuffled(table: bytes, column: str) -> bytes:
    """The CSV with the values of one column in another order; all else is as it was."""
    columns = _columns(table, "train.csv")
    random.Random(SEED).shuffle(columns[column])  # noqa: S311  # reproducible, not secret
    return format_columns(columns).encode()


def write_shuffled(found: Application, manifest: DatasetManifest, at: datetime) -> DatasetManifest:
    """Write a version whose training rows have each other's targets; validation and test rows are the true ones."""
    case = use_case.load(found.stack.use_case)
    tables = {split: _read(found, manifest.splits[split].key) for split in keys.SPLITS}
    tables["train"] = shuffled(tables["train"], case.target.column)
    version = hashlib.sha256(b"".join(tables.values())).hexdigest()[:16]
    splits = {
        split: FileRecord(
            key=keys.split_key(case.dataset, version, split),
            bytes=len(table),
            sha256=hashlib.sha256(table).hexdigest(),
            rows=manifest.splits[split].rows,
        )
        for split, table in tables.items()
    }
    written = manifest.model_copy(update={"version": version, "splits": splits, "scheduled_at": at})
    s3, bucket = found.cloud.client("s3"), found.stack.bucket
    for split, table in tables.items():
        s3.put_object(Bucket=bucket, Key=splits[split].key, Body=table)
    # last, as ingestion does: a version is there once its manifest is
    s3.put_object(Bucket=bucket, Key=keys.manifest_key(case.dataset, version), Body=written.to_json().encode())
    return written


def train_on(found: Application, manifest: DatasetManifest) -> str:
    """Start the weekly training on a dataset version, as ingestion does; the execution's ARN."""
    bucket, dataset, version = found.stack.bucket, manifest.dataset, manifest.version
    reference = DatasetRef(
        name=dataset,
        version=version,
        prefix_uri=keys.uri(bucket, keys.dataset_prefix(dataset, version)),
        manifest_uri=keys.uri(bucket, keys.manifest_key(dataset, version)),
    )
    started: dict[str, Any] = found.cloud.client("stepfunctions").start_execution(
        stateMachineArn=found.stack.state_machine,
        name=names.execution_name(version, manifest.scheduled_at),
        input=ExecutionInput(dataset=reference, scheduled_at=manifest.scheduled_at).model_dump_json(),
    )
    return str(started["executionArn"])


def _columns(table: bytes, name: str) -> dict[str, list[str]]:
    return parse_columns(io.StringIO(table.decode("utf-8-sig"), newline=""), name)


def _read(found: Application, key: str) -> bytes:
    content: bytes = found.cloud.client("s3").get_object(Bucket=found.stack.bucket, Key=key)["Body"].read()
    return content

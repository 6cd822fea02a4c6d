"""Where every object lies in the data bucket.

    raw/<dataset>/<version>/<file>                       as downloaded
    datasets/<dataset>/<version>/{train,validation,test}.csv and manifest.json
    ingestions/<dataset>/<YYYYMMDDTHHMMSSZ>.json         which version an event of the schedule led to
    runs/<run_id>/<stage>/…                              what a run's steps write
    approvals/<model package group>/<version>.json       which execution waits for a model's approval

A version is a content hash: the same data give the same version, and nothing is ever overwritten. The manifest is
written last, so that a version exists for a reader only when all of it does.
"""

from datetime import UTC, datetime
from typing import Literal

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")

Stage = Literal["preprocess", "train", "evaluate", "deploy_endpoint", "test_endpoint"]
CAPTURES = "captures/"  # prefix of what SageMaker writes of an endpoint's requests and answers
MANIFEST = "manifest.json"
RESULT = "result.json"


def raw_prefix(dataset: str, version: str) -> str:
    """Prefix (with trailing slash) of the files as the source gave them."""
    return f"raw/{dataset}/{version}/"


def dataset_prefix(dataset: str, version: str) -> str:
    """Prefix (with trailing slash) of a dataset version: its splits and its manifest."""
    return f"datasets/{dataset}/{version}/"


def manifest_key(dataset: str, version: str) -> str:
    """Key of a dataset version's manifest, the last object written of it."""
    return dataset_prefix(dataset, version) + MANIFEST


def split_key(dataset: str, version: str, split: Split) -> str:
    """Key of one split of a dataset version."""
    return f"{dataset_prefix(dataset, version)}{split}.csv"


def ingestion_key(dataset: str, scheduled_at: datetime) -> str:
    """Key of the record that ties an event of the schedule to the dataset version it led to."""
    if scheduled_at.tzinfo is None:
        raise ValueError(f"the time of the schedule needs a time zone, got {scheduled_at.isoformat()}")
    return f"ingestions/{dataset}/{scheduled_at.astimezone(UTC):%Y%m%dT%H%M%SZ}.json"


def approval_key(model_package_arn: str) -> str:
    """Key of the token of the execution that waits for the approval of this version."""
    return f"approvals/{model_package_arn.partition(':model-package/')[2]}.json"


def run_prefix(run_id: str) -> str:
    """Prefix (with trailing slash) under which the steps of a run write."""
    return f"runs/{run_id}/"


def stage_prefix(run_id: str, stage: Stage) -> str:
    """Prefix (with trailing slash) of what one stage of a run writes."""
    return f"{run_prefix(run_id)}{stage}/"


def uri(bucket: str, key: str) -> str:
    """`s3://bucket/key`."""
    return f"s3://{bucket}/{key}"


def parse_uri(s3_uri: str) -> tuple[str, str]:
    """Bucket and key of an `s3://bucket/key`. Raises ValueError for anything else."""
    scheme, _, rest = s3_uri.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme != "s3" or not bucket:
        raise ValueError(f"expected s3://bucket/key, got {s3_uri!r}")
    return bucket, key

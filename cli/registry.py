"""The model registry: the versions of the model package group, and which of them the endpoint serves."""

import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from cli.application import Application
from cli.errors import UsageError
from treering.names import RUN_ID

APPROVED, REJECTED, PENDING = "Approved", "Rejected", "PendingManualApproval"  # ModelApprovalStatus
_MISSING = ("ValidationException", "ResourceNotFound")  # SageMaker has no one code for what does not exist

_NOT_SERVING = ("Creating", "Failed", "Deleting", "OutOfService")  # EndpointStatus (DescribeEndpoint)


@dataclass(frozen=True)
class ModelVersion:
    """A version of the group, as DescribeModelPackage gives it; the metadata are the state machine's."""

    version: int
    arn: str
    status: str  # Approved, Rejected, PendingManualApproval
    comment: str  # of who decided
    created_at: datetime
    decided_at: datetime | None  # the last change after its registration
    model_data_url: str
    image: str
    metadata: dict[str, str]  # run_id, execution, dataset, dataset_version, manifest_uri, report_uri, error, …

    @property
    def run_id(self) -> str:
        """ID of the run that made it."""
        return self.metadata.get("run_id", "")

    @property
    def execution_arn(self) -> str:
        """ARN of the execution that made it."""
        return self.metadata.get("execution", "")

    @property
    def error(self) -> float | None:
        """RMSE on the test split, on the scale that the model learns."""
        text = self.metadata.get("error")
        return float(text) if text else None

    def describe(self) -> dict[str, Any]:
        """As JSON."""
        times = {"created_at": self.created_at, "decided_at": self.decided_at}
        return asdict(self) | {name: at.isoformat(timespec="seconds") if at else None for name, at in times.items()}


@dataclass(frozen=True)
class Service:
    """What an endpoint serves: each step from its name to the model package of its first production variant."""

    endpoint: dict[str, Any]  # as DescribeEndpoint gives it
    config: dict[str, Any] | None  # as DescribeEndpointConfig; none where it was deleted under the endpoint
    model: dict[str, Any] | None  # as DescribeModel; none where it was deleted
    package_arn: str | None  # none for a model that was made of an artefact alone


def version_of(arn: str) -> int:
    """The number at the end of a model package's ARN."""
    return int(arn.rpartition("/")[2])


def versions(found: Application) -> list[ModelVersion]:
    """All versions of the group, the newest first; none before the first model was registered."""
    sagemaker = found.cloud.client("sagemaker")
    pages = sagemaker.get_paginator("list_model_packages").paginate(
        ModelPackageGroupName=found.stack.model_package_group
    )
    listed = [package["ModelPackageArn"] for page in pages for package in page["ModelPackageSummaryList"]]
    described = [version(sagemaker.describe_model_package(ModelPackageName=arn)) for arn in listed]
    return sorted(described, key=lambda one: one.version, reverse=True)


def find(registered: list[ModelVersion], wanted: str) -> ModelVersion:
    """The version that a number, a run ID or an ARN names. Raises UsageError, which names those that there are."""
    if re.fullmatch(r"v?\d+", wanted):
        matching = [one for one in registered if one.version == int(wanted.removeprefix("v"))]
        what = "version"
    elif RUN_ID.fullmatch(wanted):
        matching = [one for one in registered if one.run_id == wanted]
        what = "model of the run"
    elif ":model-package/" in wanted:
        matching = [one for one in registered if one.arn == wanted]
        what = "model package"
    else:
        raise UsageError(f"{wanted} is neither the number of a version nor a run ID nor the ARN of a model package.")
    if not matching:
        known = ", ".join(f"{one.version} (run {one.run_id})" for one in registered[:10])
        raise UsageError(
            f"The model registry has no {what} {wanted}; it has {known or 'no version yet'}.",
            hint="`treering models` shows all; a model that the quality gate rejects is not registered.",
        )
    return matching[0]


def service(found: Application, endpoint: str | None = None) -> Service | None:
    """What stands behind the endpoint, the one in production if none is named; none where there is none of the name."""
    sagemaker = found.cloud.client("sagemaker")
    described = existing(sagemaker.describe_endpoint, EndpointName=endpoint or found.stack.endpoint)
    if described is None:
        return None
    config = existing(sagemaker.describe_endpoint_config, EndpointConfigName=described["EndpointConfigName"])
    name = config["ProductionVariants"][0]["ModelName"] if config else None
    model = existing(sagemaker.describe_model, ModelName=name) if name else None
    package = model["PrimaryContainer"].get("ModelPackageName") if model else None
    return Service(described, config, model, package)


def behind(found: Application) -> int | None:
    """The version behind the endpoint in production, whatever state that is in; none where there is none."""
    serving = service(found)
    return version_of(serving.package_arn) if serving and serving.package_arn else None


def in_service(found: Application) -> int | None:
    """The version that the endpoint in production serves; none where it serves none, or has never come into service."""
    serving = service(found)
    if serving is None or serving.endpoint["EndpointStatus"] in _NOT_SERVING:
        return None
    return version_of(serving.package_arn) if serving.package_arn else None


def existing(describe: Callable[..., dict[str, Any]], **named: str) -> dict[str, Any] | None:
    """What one of SageMaker's Describe… operations answers; none where what is named does not exist."""
    try:
        return describe(**named)
    except ClientError as error:
        if error.response["Error"]["Code"] in _MISSING:
            return None
        raise


def version(package: dict[str, Any]) -> ModelVersion:
    """A version, from what DescribeModelPackage answers."""
    container = package["InferenceSpecification"]["Containers"][0]
    created, changed = package["CreationTime"], package.get("LastModifiedTime")
    return ModelVersion(
        version=package["ModelPackageVersion"],
        arn=package["ModelPackageArn"],
        status=package["ModelApprovalStatus"],
        comment=package.get("ApprovalDescription", ""),
        created_at=created,
        decided_at=changed if changed and changed > created else None,
        model_data_url=container.get("ModelDataUrl", ""),
        image=container.get("Image", ""),
        metadata=dict(package.get("CustomerMetadataProperties", {})),
    )

"""The permissions that a SageMaker request needs.

Source: Service Authorization Reference, "Actions, resources, and condition keys for Amazon SageMaker"
(https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsagemaker.html). Names stand in ARNs in
lower case.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

INVOKE_PATH = re.compile(r"^/endpoints/(?P<name>[^/]+)/invocations/?$")

# Operation → kind of its main resource, and the field of the request that names it.
_RESOURCES: dict[str, tuple[str, str]] = {
    **{f"{verb}ProcessingJob": ("processing-job", "ProcessingJobName") for verb in ("Create", "Describe", "Stop")},
    **{f"{verb}TrainingJob": ("training-job", "TrainingJobName") for verb in ("Create", "Describe", "Stop")},
    **{f"{verb}Model": ("model", "ModelName") for verb in ("Create", "Describe", "Delete")},
    **{f"{verb}EndpointConfig": ("endpoint-config", "EndpointConfigName") for verb in ("Create", "Describe", "Delete")},
    **{f"{verb}Endpoint": ("endpoint", "EndpointName") for verb in ("Create", "Describe", "Update", "Delete")},
    "UpdateEndpointWeightsAndCapacities": ("endpoint", "EndpointName"),
    **{
        f"{verb}ModelPackageGroup": ("model-package-group", "ModelPackageGroupName")
        for verb in ("Create", "Describe", "Delete")
    },
    "CreateModelPackage": ("model-package-group", "ModelPackageGroupName"),
    "DescribeModelPackage": ("model-package", "ModelPackageName"),
    "DeleteModelPackage": ("model-package", "ModelPackageName"),
    "UpdateModelPackage": ("model-package", "ModelPackageArn"),
}
_CONFIGURED = frozenset({"CreateEndpoint", "UpdateEndpoint"})  # checked on the endpoint configuration, too
# Where a request carries a role for SageMaker to assume: its caller needs iam:PassRole.
_ROLES = {
    "CreateProcessingJob": "RoleArn",
    "CreateTrainingJob": "RoleArn",
    "CreateModel": "ExecutionRoleArn",
    "CreateEndpointConfig": "ExecutionRoleArn",
}
OPERATIONS_WITH_TAGS = frozenset(
    {
        "CreateProcessingJob",
        "CreateTrainingJob",
        "CreateModel",
        "CreateModelPackage",
        "CreateModelPackageGroup",
        "CreateEndpointConfig",
        "CreateEndpoint",
        "AddTags",
    }
)


@dataclass(frozen=True)
class Permission:
    """One action on one resource, with the condition keys that a policy may test."""

    action: str
    resource: str
    conditions: dict[str, Any] = field(default_factory=dict)


def permissions(region: str, account: str, path: str, headers: Mapping[str, str], body: bytes) -> list[Permission]:
    """Return what a request needs, its own action first; empty for what is no request of SageMaker's."""

    def arn(kind: str, name: str) -> str:
        return f"arn:aws:sagemaker:{region}:{account}:{kind}/{name.lower()}"

    invoked = INVOKE_PATH.match(path)
    if invoked:
        return [Permission("sagemaker:InvokeEndpoint", arn("endpoint", unquote(invoked["name"])))]
    operation = headers.get("x-amz-target", "").rpartition(".")[2]
    if not operation:
        return []
    request = _parse(body)
    action, resource = f"sagemaker:{operation}", "*"  # List… name no resource
    if operation in _RESOURCES:
        kind, name_field = _RESOURCES[operation]
        name = str(request.get(name_field, "*"))
        resource = name if name.startswith("arn:") else arn(kind, name)
    elif operation in ("AddTags", "DeleteTags", "ListTags"):
        resource = str(request.get("ResourceArn", "*"))
    tags = _tag_conditions(request)
    needed = [Permission(action, resource, tags)]
    if operation in _CONFIGURED:
        needed.append(Permission(action, arn("endpoint-config", str(request.get("EndpointConfigName", "*"))), tags))
    if tags and operation.startswith("Create"):
        # "To add tags to a resource when you create it": the caller needs sagemaker:AddTags, too
        needed.append(Permission("sagemaker:AddTags", resource, {**tags, "sagemaker:TaggingAction": operation}))
    if operation == "CreateModelPackage":  # checked on the group, and on the version, whose number is not known yet
        group = str(request.get("ModelPackageGroupName", "*")).rpartition("/")[2]
        needed.append(Permission(action, arn("model-package", f"{group}/*"), tags))
        needed += [Permission("s3:GetObject", f"arn:aws:s3:::{place}") for place in _artefacts(request)]
    for alarm in _alarms(request):
        needed.append(Permission("cloudwatch:DescribeAlarms", f"arn:aws:cloudwatch:{region}:{account}:alarm:{alarm}"))
    role = request.get(_ROLES.get(operation, ""))
    if isinstance(role, str) and role:
        needed.append(Permission("iam:PassRole", role, {"iam:PassedToService": "sagemaker.amazonaws.com"}))
    return needed


def _alarms(request: Mapping[str, Any]) -> list[str]:
    """Return the alarms that may roll an endpoint back: "Ensure that your IAM execution role has permission".

    https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails-configuration.html, read as the caller's role.
    """
    found: Any = request
    for name in ("DeploymentConfig", "AutoRollbackConfiguration", "Alarms"):
        found = found.get(name) if isinstance(found, Mapping) else None
    return [str(one["AlarmName"]) for one in found or () if isinstance(one, Mapping) and "AlarmName" in one]


def _artefacts(request: Mapping[str, Any]) -> list[str]:
    """Return bucket and key of the artefacts of a model package, which SageMaker looks at as the caller.

    No role is named in the request; AWS grants callers `s3:GetObject` in AmazonSageMakerModelRegistryFullAccess
    (https://docs.aws.amazon.com/sagemaker/latest/dg/security-iam-awsmanpol-model-registry.html), and users whose role
    has it not report "Access denied for bucket".
    """
    found: Any = request.get("InferenceSpecification")
    containers = found.get("Containers") if isinstance(found, Mapping) else None
    urls = [one.get("ModelDataUrl") for one in containers or () if isinstance(one, Mapping)]
    return [url.removeprefix("s3://") for url in urls if isinstance(url, str) and url.startswith("s3://")]


def _tag_conditions(request: Mapping[str, Any]) -> dict[str, Any]:
    tags = {
        str(tag["Key"]): str(tag.get("Value", ""))
        for tag in request.get("Tags") or ()
        if isinstance(tag, Mapping) and "Key" in tag
    }
    if not tags:
        return {}
    return {**{f"aws:RequestTag/{key}": value for key, value in tags.items()}, "aws:TagKeys": list(tags)}


def _parse(body: bytes) -> dict[str, Any]:
    try:
        request = json.loads(body or b"{}")
    except ValueError:
        return {}  # the service refuses it as AWS does
    return request if isinstance(request, dict) else {}

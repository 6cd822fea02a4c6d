"""Which members of each request the local SageMaker honours. Every other one is refused by its name.

`HONOURED` lists what has its effect here, `INERT` what cannot have one on a single machine and is accepted and ignored,
with the reason, and `ONLY` the values accepted of members that are honoured in part.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from local_cloud.sagemaker.errors import invalid

_THIS_MACHINE = "this machine is the instance"
_FOR_PEOPLE = "kept and answered, for people to read"
_ONE_INSTANCE = "a single instance has nobody to talk to"

_ROUTING = "DeploymentConfig.BlueGreenUpdatePolicy.TrafficRoutingConfiguration"
_DEPLOYMENT_CONFIG = (
    *(f"{_ROUTING}.{member}" for member in ("Type", "WaitIntervalInSeconds")),
    *(f"{_ROUTING}.{size}.{member}" for size in ("CanarySize", "LinearStepSize") for member in ("Type", "Value")),
    "DeploymentConfig.BlueGreenUpdatePolicy.TerminationWaitInSeconds",
    "DeploymentConfig.BlueGreenUpdatePolicy.MaximumExecutionTimeoutInSeconds",
    "DeploymentConfig.AutoRollbackConfiguration.Alarms.AlarmName",
)


def _variant_members(variants: str) -> list[str]:
    honoured = ("VariantName", "ModelName", "InitialVariantWeight", "InitialInstanceCount")
    return [f"{variants}.{name}" for name in (*honoured, "ContainerStartupHealthCheckTimeoutInSeconds")]


HONOURED: dict[str, frozenset[str]] = {
    "CreateProcessingJob": frozenset({
        "ProcessingJobName", "RoleArn", "Environment", "Tags.Key", "Tags.Value",
        "AppSpecification.ImageUri", "AppSpecification.ContainerEntrypoint", "AppSpecification.ContainerArguments",
        "ProcessingInputs.InputName", "ProcessingInputs.S3Input.S3Uri", "ProcessingInputs.S3Input.LocalPath",
        "ProcessingOutputConfig.Outputs.OutputName", "ProcessingOutputConfig.Outputs.S3Output.S3Uri",
        "ProcessingOutputConfig.Outputs.S3Output.LocalPath", "StoppingCondition.MaxRuntimeInSeconds",
    }),
    "CreateTrainingJob": frozenset({
        "TrainingJobName", "RoleArn", "HyperParameters", "Environment", "Tags.Key", "Tags.Value",
        "AlgorithmSpecification.TrainingImage", "AlgorithmSpecification.MetricDefinitions.Name",
        "AlgorithmSpecification.MetricDefinitions.Regex", "AlgorithmSpecification.ContainerEntrypoint",
        "AlgorithmSpecification.ContainerArguments", "InputDataConfig.ChannelName", "InputDataConfig.ContentType",
        "InputDataConfig.DataSource.S3DataSource.S3Uri", "OutputDataConfig.S3OutputPath",
        "StoppingCondition.MaxRuntimeInSeconds",
    }),
    "CreateModel": frozenset({
        "ModelName", "ExecutionRoleArn", "Tags.Key", "Tags.Value", "PrimaryContainer.Image",
        "PrimaryContainer.ModelDataUrl", "PrimaryContainer.Environment", "PrimaryContainer.ModelPackageName",
    }),
    "CreateModelPackageGroup": frozenset({
        "ModelPackageGroupName", "ModelPackageGroupDescription", "Tags.Key", "Tags.Value",
    }),
    "CreateModelPackage": frozenset({  # tags reach the registry, which refuses them as AWS does
        "ModelPackageGroupName", "ModelPackageDescription", "ModelApprovalStatus", "ClientToken", "Tags.Key",
        "Tags.Value", "InferenceSpecification.Containers.Image", "InferenceSpecification.Containers.ModelDataUrl",
        "InferenceSpecification.Containers.Environment", "CustomerMetadataProperties",
    }),
    "UpdateModelPackage": frozenset({
        "ModelPackageArn", "ModelApprovalStatus", "ApprovalDescription", "CustomerMetadataProperties",
        "CustomerMetadataPropertiesToRemove",
    }),
    "CreateEndpointConfig": frozenset({
        "EndpointConfigName", "Tags.Key", "Tags.Value", *_variant_members("ProductionVariants"),
        *_variant_members("ShadowProductionVariants"),
        "DataCaptureConfig.EnableCapture", "DataCaptureConfig.InitialSamplingPercentage",
        "DataCaptureConfig.DestinationS3Uri", "DataCaptureConfig.CaptureOptions.CaptureMode",
        "DataCaptureConfig.CaptureContentTypeHeader.CsvContentTypes",
        "DataCaptureConfig.CaptureContentTypeHeader.JsonContentTypes",
    }),
    "CreateEndpoint": frozenset({"EndpointName", "EndpointConfigName", "Tags.Key", "Tags.Value", *_DEPLOYMENT_CONFIG}),
    "UpdateEndpoint": frozenset({"EndpointName", "EndpointConfigName", "RetainDeploymentConfig", *_DEPLOYMENT_CONFIG}),
    "UpdateEndpointWeightsAndCapacities": frozenset({
        "EndpointName", "DesiredWeightsAndCapacities.VariantName", "DesiredWeightsAndCapacities.DesiredWeight",
        "DesiredWeightsAndCapacities.DesiredInstanceCount",
    }),
}  # fmt: skip

INERT: dict[str, dict[str, str]] = {
    "CreateProcessingJob": {
        "ProcessingResources.ClusterConfig.InstanceType": _THIS_MACHINE,
        "ProcessingResources.ClusterConfig.VolumeSizeInGB": _THIS_MACHINE,
        "NetworkConfig.EnableInterContainerTrafficEncryption": _ONE_INSTANCE,
    },
    "CreateTrainingJob": {
        "ResourceConfig.InstanceType": _THIS_MACHINE,
        "ResourceConfig.VolumeSizeInGB": _THIS_MACHINE,
        "EnableInterContainerTrafficEncryption": _ONE_INSTANCE,
        "AlgorithmSpecification.EnableSageMakerMetricsTimeSeries": "metrics go to FinalMetricDataList here",
        "RetryStrategy.MaximumRetryAttempts": "it is for failures of AWS's machines",
        "ProfilerConfig.DisableProfiler": "nothing is profiled here",
    },
    "CreateModelPackage": {
        "InferenceSpecification.SupportedContentTypes": _FOR_PEOPLE,
        "InferenceSpecification.SupportedResponseMIMETypes": _FOR_PEOPLE,
        "InferenceSpecification.SupportedRealtimeInferenceInstanceTypes": _FOR_PEOPLE,
        "InferenceSpecification.SupportedTransformInstanceTypes": _FOR_PEOPLE,
        "ModelMetrics.ModelQuality.Statistics.ContentType": _FOR_PEOPLE,
        "ModelMetrics.ModelQuality.Statistics.S3Uri": _FOR_PEOPLE,
        "MetadataProperties.CommitId": _FOR_PEOPLE,
        "MetadataProperties.Repository": _FOR_PEOPLE,
        "MetadataProperties.GeneratedBy": _FOR_PEOPLE,
        "MetadataProperties.ProjectId": _FOR_PEOPLE,
    },
    "CreateEndpointConfig": {
        f"{variants}.{member}": reason
        for variants in ("ProductionVariants", "ShadowProductionVariants")
        for member, reason in {
            "InstanceType": _THIS_MACHINE,
            "VolumeSizeInGB": _THIS_MACHINE,
            "ModelDataDownloadTimeoutInSeconds": "the object store is on this machine",
            "RoutingConfig.RoutingStrategy": "one process answers for all instances",
        }.items()
    },
}

ONLY: dict[str, dict[str, tuple[Any, ...]]] = {
    "CreateProcessingJob": {
        "ProcessingInputs.AppManaged": (False,),
        "ProcessingInputs.S3Input.S3DataType": ("S3Prefix",),
        "ProcessingInputs.S3Input.S3InputMode": ("File",),
        "ProcessingInputs.S3Input.S3DataDistributionType": (
            "FullyReplicated",
            "ShardedByS3Key",
        ),  # same on one instance
        "ProcessingInputs.S3Input.S3CompressionType": ("None",),
        "ProcessingOutputConfig.Outputs.AppManaged": (False,),
        "ProcessingOutputConfig.Outputs.S3Output.S3UploadMode": ("EndOfJob",),
        "ProcessingResources.ClusterConfig.InstanceCount": (1,),
        "NetworkConfig.EnableNetworkIsolation": (False,),
    },
    "CreateTrainingJob": {
        "AlgorithmSpecification.TrainingInputMode": ("File",),
        "InputDataConfig.InputMode": ("File",),
        "InputDataConfig.CompressionType": ("None",),
        "InputDataConfig.RecordWrapperType": ("None",),
        "InputDataConfig.DataSource.S3DataSource.S3DataType": ("S3Prefix",),
        "InputDataConfig.DataSource.S3DataSource.S3DataDistributionType": ("FullyReplicated", "ShardedByS3Key"),
        "OutputDataConfig.CompressionType": ("GZIP",),
        "ResourceConfig.InstanceCount": (1,),
        "EnableNetworkIsolation": (False,),
        "EnableManagedSpotTraining": (False,),
    },
    "CreateModel": {"EnableNetworkIsolation": (False,), "PrimaryContainer.Mode": ("SingleModel",)},
    "CreateEndpointConfig": {"EnableNetworkIsolation": (False,)},
    "UpdateEndpoint": {"RetainAllVariantProperties": (False,)},
}


def refuse_unsupported(operation: str, request: Mapping[str, Any]) -> None:
    """Raises a ValidationException naming the members that would not be honoured."""
    if operation not in HONOURED:
        return
    accepted = HONOURED[operation] | INERT.get(operation, {}).keys()
    only = ONLY.get(operation, {})
    refused = []
    for path, value in _leaves(request, "", accepted):
        if path in only:
            if value not in only[path]:
                choices = " or ".join(repr(choice) for choice in only[path])
                refused.append(f"{path}={value!r} (only {choices})")
        elif path not in accepted:
            refused.append(path)
    if refused:
        names = ", ".join(dict.fromkeys(refused))
        raise invalid(
            f"The local cloud does not support {names} in {operation}. Leave it out here, for instance with a "
            "parameter of the template; on AWS it works."
        )


def _leaves(value: Any, path: str, accepted: frozenset[str]) -> Iterator[tuple[str, Any]]:
    """Paths (without the indices of lists) and values of all that a request sets; maps that are honoured are leaves."""
    if value is None:
        return
    if isinstance(value, Mapping) and path not in accepted:
        if not value and path:
            yield path, value
        for name, item in value.items():
            yield from _leaves(item, f"{path}.{name}" if path else name, accepted)
    elif isinstance(value, list) and path not in accepted:
        for item in value:
            yield from _leaves(item, path, accepted)
    else:
        yield path, value

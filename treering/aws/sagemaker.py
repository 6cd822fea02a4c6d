"""SageMaker hosting and its runtime."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from botocore.config import Config
from botocore.exceptions import ClientError

from treering.aws.errors import code_of, is_transient, translated
from treering.aws.session import CLIENT_CONFIG, session
from treering.errors import EndpointError
from treering.steps.deployment import ConfigSpec, EndpointState, Guardrails, ModelSpec, Trial

VARIANT = "main"  # must stay the same when an endpoint is updated with guardrails
_ADVICE = "Check names, region and the role of this program."


class SageMakerHosting:
    """Models, endpoint configurations and endpoints of this account and region.

    Needs sagemaker:Create/Describe/DeleteModel on the model; Create/Describe/DeleteEndpointConfig on the configuration;
    Create/Update/Describe/DeleteEndpoint on the endpoint, the first two on the configuration as well; AddTags on all
    three; iam:PassRole on the model's role; sagemaker:DescribeModelPackage on the package;
    cloudwatch:DescribeAlarms on the alarms; ListModels and ListEndpointConfigs.
    """

    def __init__(self, client: Any = None) -> None:
        self._client: Any = client or session().client("sagemaker", config=CLIENT_CONFIG)

    def find_model(self, name: str) -> ModelSpec | None:
        """The model `name`, none where there is no such."""
        answer = _find(f"describe the model {name}", lambda: self._client.describe_model(ModelName=name))
        if answer is None:
            return None
        container = answer.get("PrimaryContainer", {})
        return ModelSpec(name, container.get("ModelPackageName", ""), answer["ExecutionRoleArn"])

    def create_model(self, model: ModelSpec, tags: Mapping[str, str]) -> None:
        """Create a model."""
        with translated(f"create the model {model.name}", _ADVICE):
            self._client.create_model(
                ModelName=model.name,
                PrimaryContainer={"ModelPackageName": model.package_arn},
                ExecutionRoleArn=model.role_arn,
                Tags=_tags(tags),
            )

    def delete_model(self, name: str) -> None:
        """Delete a model; its artefact stays."""
        with translated(f"delete the model {name}", _ADVICE):
            self._client.delete_model(ModelName=name)

    def find_config(self, name: str) -> ConfigSpec | None:
        """The endpoint configuration `name`, none where there is no such."""
        answer = _find(
            f"describe the endpoint configuration {name}",
            lambda: self._client.describe_endpoint_config(EndpointConfigName=name),
        )
        if answer is None:
            return None
        variant = answer["ProductionVariants"][0]
        return ConfigSpec(
            name,
            variant.get("ModelName", ""),
            variant.get("InstanceType", ""),
            variant.get("InitialInstanceCount", 0),
            _trial(answer),
        )

    def models_of(self, config_name: str) -> list[str]:
        """Names of the models of all variants of an endpoint configuration; none where there is no such."""
        answer = _find(
            f"describe the endpoint configuration {config_name}",
            lambda: self._client.describe_endpoint_config(EndpointConfigName=config_name),
        )
        variants = (
            [] if answer is None else [*answer["ProductionVariants"], *answer.get("ShadowProductionVariants", [])]
        )
        return [variant["ModelName"] for variant in variants]

    def create_config(self, config: ConfigSpec, tags: Mapping[str, str]) -> None:
        """Create an endpoint configuration."""
        with translated(f"create the endpoint configuration {config.name}", _ADVICE):
            self._client.create_endpoint_config(
                EndpointConfigName=config.name, Tags=_tags(tags), **variants_and_capture(config)
            )

    def delete_config(self, name: str) -> None:
        """Delete an endpoint configuration."""
        with translated(f"delete the endpoint configuration {name}", _ADVICE):
            self._client.delete_endpoint_config(EndpointConfigName=name)

    def find_endpoint(self, name: str) -> EndpointState | None:
        """State of the endpoint `name`, none where there is no such."""
        answer = _find(f"describe the endpoint {name}", lambda: self._client.describe_endpoint(EndpointName=name))
        if answer is None:
            return None
        return EndpointState(
            answer["EndpointStatus"], answer.get("EndpointConfigName", ""), answer.get("FailureReason", "")
        )

    def create_endpoint(self, name: str, config_name: str, tags: Mapping[str, str]) -> None:
        """Start to create an endpoint."""
        with translated(f"create the endpoint {name}", _ADVICE):
            self._client.create_endpoint(EndpointName=name, EndpointConfigName=config_name, Tags=_tags(tags))

    def update_endpoint(self, name: str, config_name: str, guardrails: Guardrails | None) -> None:
        """Start to put another configuration into service; the old one serves until then.

        Without guardrails where the variants change: they ask for the same names of variants before and after
        (https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails-exclusions.html).
        """
        guarded = {} if guardrails is None else {"DeploymentConfig": deployment_config(guardrails)}
        with translated(f"update the endpoint {name}", _ADVICE):
            self._client.update_endpoint(EndpointName=name, EndpointConfigName=config_name, **guarded)

    def model_names(self, prefix: str) -> list[str]:
        """Names of the models that begin with `prefix`, the newest first."""
        return self._names("list_models", "Models", "ModelName", prefix)

    def config_names(self, prefix: str) -> list[str]:
        """Names of the endpoint configurations that begin with `prefix`, the newest first."""
        return self._names("list_endpoint_configs", "EndpointConfigs", "EndpointConfigName", prefix)

    def _names(self, operation: str, member: str, name: str, prefix: str) -> list[str]:
        with translated(f"list what begins with {prefix}", _ADVICE):
            pages = self._client.get_paginator(operation).paginate(
                NameContains=prefix, SortBy="CreationTime", SortOrder="Descending"
            )
            return [item[name] for page in pages for item in page[member] if item[name].startswith(prefix)]

    def delete_endpoint(self, name: str) -> None:
        """Start to delete an endpoint."""
        with translated(f"delete the endpoint {name}", _ADVICE):
            self._client.delete_endpoint(EndpointName=name)


class SageMakerRuntime:
    """Sends requests to endpoints. Needs sagemaker:InvokeEndpoint on them."""

    def __init__(self, client: Any = None) -> None:
        config = CLIENT_CONFIG.merge(Config(read_timeout=70))  # the container has 60 s (InvokeEndpoint, API reference)
        self._client: Any = client or session().client("sagemaker-runtime", config=config)

    def invoke(self, endpoint_name: str, body: bytes, content_type: str, accept: str) -> tuple[bytes, str]:
        """The container's answer: body and content type. Raises EndpointError where the container answers an error."""
        with translated(f"invoke the endpoint {endpoint_name}", _ADVICE):
            try:
                answer = self._client.invoke_endpoint(
                    EndpointName=endpoint_name, Body=body, ContentType=content_type, Accept=accept
                )
            except ClientError as error:
                if code_of(error) == "ModelError":
                    status, said = (error.response.get(name) for name in ("OriginalStatusCode", "OriginalMessage"))
                    raise EndpointError(
                        f"The container of endpoint {endpoint_name} answered {status}: {said}. See its log."
                    ) from error
                raise
            return answer["Body"].read(), str(answer.get("ContentType", ""))


def deployment_config(guardrails: Guardrails) -> dict[str, Any]:
    """`DeploymentConfig` of UpdateEndpoint (API reference, BlueGreenUpdatePolicy, TrafficRoutingConfig)."""
    step = {"Type": "CAPACITY_PERCENT", "Value": guardrails.step_percent}
    routing: dict[str, Any] = {"Type": guardrails.shifting, "WaitIntervalInSeconds": guardrails.wait_seconds}
    if guardrails.shifting == "CANARY":
        routing["CanarySize"] = step
    elif guardrails.shifting == "LINEAR":
        routing["LinearStepSize"] = step
    config: dict[str, Any] = {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": routing,
            "TerminationWaitInSeconds": guardrails.wait_seconds,
            "MaximumExecutionTimeoutInSeconds": guardrails.longest_seconds,
        }
    }
    if guardrails.alarms:
        config["AutoRollbackConfiguration"] = {"Alarms": [{"AlarmName": name} for name in guardrails.alarms]}
    return config


def variants_and_capture(config: ConfigSpec) -> dict[str, Any]:
    """Variants and data capture of CreateEndpointConfig (API reference, ProductionVariant, DataCaptureConfig).

    Beside a shadow there is one production variant only, and the weights of the two say which share of the requests is
    copied: equal ones copy each.
    """
    main: dict[str, Any] = _variant(VARIANT, config.model_name, config.instance_type, config.instance_count)
    trial = config.trial
    if trial is None:
        return {"ProductionVariants": [main]}
    second = _variant(trial.variant, trial.model_name, config.instance_type, trial.instance_count)
    second["InitialVariantWeight"] = trial.weight
    capture = {
        "EnableCapture": True,
        "InitialSamplingPercentage": 100,
        "DestinationS3Uri": trial.capture_uri,
        "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
        "CaptureContentTypeHeader": {"CsvContentTypes": ["text/csv"], "JsonContentTypes": ["application/json"]},
    }
    if trial.variant == "shadow":
        main["InitialVariantWeight"] = 1.0
        return {"ProductionVariants": [main], "ShadowProductionVariants": [second], "DataCaptureConfig": capture}
    main["InitialVariantWeight"] = 1.0 - trial.weight
    return {"ProductionVariants": [main, second], "DataCaptureConfig": capture}


def _variant(name: str, model: str, instance_type: str, instance_count: int) -> dict[str, Any]:
    return {
        "VariantName": name,
        "ModelName": model,
        "InstanceType": instance_type,
        "InitialInstanceCount": instance_count,
    }


def _trial(described: Mapping[str, Any]) -> Trial | None:
    """The second variant of a configuration, with what DescribeEndpointConfig says of it."""
    for variant in (*described["ProductionVariants"][1:], *described.get("ShadowProductionVariants", [])):
        return Trial(
            variant["VariantName"],
            variant.get("ModelName", ""),
            variant.get("InitialInstanceCount", 0),
            variant.get("InitialVariantWeight", 1.0),
            described.get("DataCaptureConfig", {}).get("DestinationS3Uri", ""),
        )
    return None


def _find(action: str, describe: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """What `describe` answers, none for a ValidationException.

    SageMaker has no code of its own for a model, configuration or endpoint that does not exist. The only parameter of
    these calls is a name, which this application made and checked, so nothing else about them can be invalid.
    """
    with translated(action, _ADVICE):
        try:
            return describe()
        except ClientError as error:
            if code_of(error) in ("ValidationException", "ResourceNotFound") and not is_transient(error):
                return None
            raise


def _tags(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]

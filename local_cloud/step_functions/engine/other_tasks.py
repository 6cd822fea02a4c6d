"""Small corrections to the engine's Lambda and AWS SDK integrations, and the choice of a task's class."""

from __future__ import annotations

import json
from typing import Any

from botocore.exceptions import ClientError, HTTPClientError
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import state_task_service_factory
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_aws_sdk import (
    StateTaskServiceAwsSdk,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_lambda import (
    StateTaskServiceLambda,
)

from local_cloud.step_functions.engine import runtime
from local_cloud.step_functions.engine.sagemaker_task import SageMakerTask, to_output

_engine_task_for = state_task_service_factory.state_task_service_for

#: How the AWS SDK for Java 2 spells service names, which is how Step Functions names their errors.
_SDK_NAMES = {
    "cloudwatch": "CloudWatch",
    "cloudwatchlogs": "CloudWatchLogs",
    "dynamodb": "DynamoDb",
    "eventbridge": "EventBridge",
    "iam": "Iam",
    "lambda": "Lambda",
    "s3": "S3",
    "sagemaker": "SageMaker",
    "sagemakerruntime": "SageMakerRuntime",
    "secretsmanager": "SecretsManager",
    "sfn": "Sfn",
    "sns": "Sns",
    "sqs": "Sqs",
    "ssm": "Ssm",
    "sts": "Sts",
}


def task_for(service_name: str) -> Any:
    """Choose the class of a task by its service (replaces the engine's factory)."""
    if service_name == "sagemaker":
        return SageMakerTask()
    if service_name == "lambda":
        return LambdaTask()
    if service_name == "aws-sdk":
        return SdkTask()
    return _engine_task_for(service_name=service_name)


class LambdaTask(StateTaskServiceLambda):  # type: ignore[misc]  # moto is imported untyped
    """`arn:aws:states:::lambda:invoke`."""

    def _get_supported_parameters(self) -> set[str]:
        # The engine would drop InvocationType and invoke synchronously.
        return {*super()._get_supported_parameters(), "InvocationType"}

    def _from_error(self, env: Any, ex: Exception) -> Any:
        if isinstance(ex, HTTPClientError):
            # Lambda's documentation for Step Functions asks to retry this name, among others.
            response: Any = {
                "Error": {"Code": "SdkClientException", "Message": str(ex)},
                "ResponseMetadata": {"HTTPStatusCode": None, "RequestId": None},
            }
            ex = ClientError(response, "Invoke")
        return super()._from_error(env=env, ex=ex)


class SdkTask(StateTaskServiceAwsSdk):  # type: ignore[misc]  # moto is imported untyped
    """`arn:aws:states:::aws-sdk:<service>:<action>`."""

    @staticmethod
    def _normalise_service_error_name(service_name: str) -> str:
        return _SDK_NAMES.get(service_name.lower(), service_name[:1].upper() + service_name[1:])

    def _eval_service_task(
        self, env: Any, resource_runtime_part: Any, normalised_parameters: dict[str, Any], state_credentials: Any
    ) -> None:
        operation = runtime.active().clients.operation(self.resource.api_name, self.resource.api_action)
        if operation.input_shape is not None:
            self._to_boto_request(normalised_parameters, operation.input_shape)
        client = runtime.boto_client_for(resource_runtime_part.region, self.resource.api_name, state_credentials)
        answer = client._make_api_call(operation.name, normalised_parameters)
        answer.pop("ResponseMetadata", None)
        if operation.output_shape is not None:
            self._from_boto_response(answer, operation.output_shape)
        env.stack.append(json.loads(json.dumps(to_output(answer), default=_text)))


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode()
    return value.read().decode() if hasattr(value, "read") else str(value)

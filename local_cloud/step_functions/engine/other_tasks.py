"""The choice of a task's class, and small corrections to the engine's integrations."""

from __future__ import annotations

import json
from typing import Any

from botocore.exceptions import ClientError
from moto.stepfunctions.parser.api import HistoryEventType
from moto.stepfunctions.parser.asl.component.common.error_name.custom_error_name import CustomErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import FailureEvent
from moto.stepfunctions.parser.asl.component.state.exec.state_task.lambda_eval_utils import (
    LambdaFunctionErrorException,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import state_task_service_factory
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service import StateTaskService
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_aws_sdk import (
    StateTaskServiceAwsSdk,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_lambda import (
    StateTaskServiceLambda,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.state_task import StateTask
from moto.stepfunctions.parser.asl.component.state.exec.state_task.state_task_lambda import StateTaskLambda
from moto.stepfunctions.parser.asl.eval.callback.callback import HeartbeatTimeoutError
from moto.stepfunctions.parser.asl.utils.json_path import NoSuchJsonPathError

from local_cloud.step_functions.engine import runtime
from local_cloud.step_functions.engine.clients import UNREACHABLE
from local_cloud.step_functions.engine.execution_task import ExecutionTask
from local_cloud.step_functions.engine.sagemaker_task import SageMakerTask, to_output
from local_cloud.step_functions.engine.state_errors import missing_path

_engine_failure = StateTask._from_error
_engine_failure_of_function = StateTaskLambda._from_error
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

#: What Step Functions puts before the names of an optimised integration's errors.
_PREFIXES = {"lambda": "Lambda", "sns": "SNS", "sqs": "SQS", "events": "EventBridge", "dynamodb": "DynamoDB"}


def failure_of_task(self: Any, env: Any, ex: Exception) -> Any:
    """Name a task's failure; a service that cannot be reached is SdkClientException, not States.Runtime.

    Step Functions' documentation asks to retry `Lambda.SdkClientException`; the other services' follow its form.
    """
    if isinstance(ex, NoSuchJsonPathError):
        raise missing_path(env, ex) from ex
    if isinstance(ex, HeartbeatTimeoutError):
        failure = _engine_failure(self, env, ex)  # States.Timeout, which the history shows
        failure.error_name.missed_heartbeat = True
        return failure
    if not isinstance(ex, UNREACHABLE):
        return _engine_failure(self, env, ex)
    prefix = _PREFIXES.get(getattr(self.resource, "service_name", "lambda"), "SageMaker")
    error = f"{prefix}.SdkClientException"
    details = {"resource": self.resource.resource_arn, "error": error, "cause": str(ex)}
    if isinstance(self, StateTaskService):
        details.update(resource=self._get_sfn_resource(), resourceType=self._get_sfn_resource_type())
    return FailureEvent(
        env=env,
        error_name=CustomErrorName(error),
        event_type=HistoryEventType.TaskFailed,
        event_details={"taskFailedEventDetails": details},
    )


def failure_of_function(self: Any, env: Any, ex: Exception) -> Any:
    """Name the failure of a Task whose resource is a function's ARN as `lambda:invoke` names it."""
    if isinstance(ex, LambdaFunctionErrorException):
        error, cause = error_type(ex.payload), ex.payload
    elif isinstance(ex, ClientError):
        error, cause = StateTaskServiceLambda._error_cause_from_client_error(ex)
    elif isinstance(ex, (NoSuchJsonPathError, *UNREACHABLE)):
        return failure_of_task(self, env, ex)
    else:
        return _engine_failure_of_function(self, env, ex)
    return FailureEvent(
        env=env,
        error_name=CustomErrorName(error),
        event_type=HistoryEventType.LambdaFunctionFailed,
        event_details={"lambdaFunctionFailedEventDetails": {"error": error, "cause": cause}},
    )


def error_type(payload: str) -> str:
    """Name a function's error by its payload; one without a type is Lambda.Unknown.

    https://docs.aws.amazon.com/step-functions/latest/dg/bp-lambda-serviceexception.html
    """
    try:
        named = json.loads(payload)["errorType"]
    except (ValueError, KeyError, TypeError):
        return "Lambda.Unknown"
    return str(named or "Lambda.Unknown")


def task_for(service_name: str) -> Any:
    """Choose the class of a task by its service (replaces the engine's factory)."""
    if service_name == "sagemaker":
        return SageMakerTask()
    if service_name == "states":
        return ExecutionTask()
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
        failure = super()._from_error(env=env, ex=ex)
        if isinstance(ex, LambdaFunctionErrorException):
            failure.error_name.error_name = error_type(ex.payload)
            failure.event_details["taskFailedEventDetails"]["error"] = error_type(ex.payload)
        return failure


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

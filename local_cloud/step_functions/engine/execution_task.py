"""The Step Functions integration: a state machine that starts another one, and waits for it where it says `.sync`.

Step Functions Developer Guide, "Start a new AWS Step Functions state machine from a running execution". `.sync:2` is as
`.sync`, but input and output of the other execution are JSON, not text. A task that is timed out, stopped or abandoned
stops the execution that it waits for.
"""

from __future__ import annotations

import json
from typing import Any

from botocore.exceptions import ClientError
from moto.stepfunctions.parser.api import HistoryEventType
from moto.stepfunctions.parser.asl.component.common.error_name.custom_error_name import CustomErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import FailureEvent, FailureEventException
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service import StateTaskService

from local_cloud.step_functions.engine import runtime
from local_cloud.step_functions.engine.resume import replay_of
from local_cloud.step_functions.engine.sagemaker_task import TaskAbandonedError, to_output
from local_cloud.step_functions.engine.waits import sleep_while_running

#: Errors of StartExecution, DescribeExecution and StopExecution that the API models.
_MODELLED = frozenset(
    {
        "ExecutionAlreadyExists",
        "ExecutionDoesNotExist",
        "ExecutionLimitExceeded",
        "InvalidArn",
        "InvalidExecutionInput",
        "InvalidName",
        "StateMachineDeleting",
        "StateMachineDoesNotExist",
        "ValidationException",
    }
)
_FIRST_POLL_SECONDS = 0.1
_LONGEST_POLL_SECONDS = 0.5


class ExecutionTask(StateTaskService):  # type: ignore[misc]  # moto is imported untyped
    """A Task state whose resource is `arn:aws:states:::states:startExecution`, with `.sync`, `.sync:2` or neither."""

    def _validate_service_integration_is_supported(self) -> None:
        """Nothing: which integrations there are is checked with the definition."""

    def _get_sfn_resource(self) -> str:
        condition = self.resource.condition
        return f"{self.resource.api_action}.{condition}" if condition else str(self.resource.api_action)

    def _eval_service_task(
        self, env: Any, resource_runtime_part: Any, normalised_parameters: dict[str, Any], state_credentials: Any
    ) -> None:
        wanted = {key[:1].lower() + key[1:]: value for key, value in normalised_parameters.items()}
        given = wanted.pop("input", {})
        client = runtime.boto_client_for(resource_runtime_part.region, "stepfunctions", state_credentials)
        try:
            answer = client.start_execution(**wanted, input=given if isinstance(given, str) else _compact(given))
        except ClientError as error:
            if error.response["Error"].get("Code") != "ExecutionAlreadyExists" or replay_of(env) is None:
                raise
            # This very state started it before the local cloud was killed, and it has ended since.
            arn = f"{wanted['stateMachineArn'].replace(':stateMachine:', ':execution:', 1)}:{wanted['name']}"
            answer = {"executionArn": arn}
        env.stack.append(_pascal(to_output(answer)))

    def _after_eval_execution(
        self, env: Any, resource_runtime_part: Any, normalised_parameters: dict[str, Any], state_credentials: Any
    ) -> None:
        if self.resource.condition:
            submitted = env.stack.pop()
            output = {"output": _compact(submitted), "outputDetails": {"truncated": False}}
            env.event_manager.add_event(
                context=env.event_history_context,
                event_type=HistoryEventType.TaskSubmitted,
                event_details={"taskSubmittedEventDetails": {**self._resource(), **output}},
            )
            client = runtime.boto_client_for(resource_runtime_part.region, "stepfunctions", state_credentials)
            env.stack.append(self._wait(env, client, submitted["ExecutionArn"]))
        super()._after_eval_execution(env, resource_runtime_part, normalised_parameters, state_credentials)

    def _wait(self, env: Any, client: Any, arn: str) -> dict[str, Any]:
        """Wait until the execution has ended; answers with its description."""
        pause = _FIRST_POLL_SECONDS
        while env.is_running():
            answer = client.describe_execution(executionArn=arn)
            if answer["status"] != "RUNNING":
                description = _pascal(to_output(answer))
                if answer["status"] != "SUCCEEDED":
                    raise FailureEventException(self._failure(env, "States.TaskFailed", _compact(description)))
                if str(self.resource.condition) == "sync:2":
                    for member in ("Input", "Output"):
                        description[member] = json.loads(description[member])
                return description
            sleep_while_running(env, pause)
            pause = min(pause * 1.5, _LONGEST_POLL_SECONDS)
        try:
            client.stop_execution(executionArn=arn)
        except Exception as error:  # AWS, too, stops executions as well as it can
            runtime.active().dependencies.log(
                f"The execution went on without {arn}, which could not be stopped: {error}. Stop it with "
                "stop-execution, and see that the role allows states:StopExecution."
            )
        raise TaskAbandonedError(arn)

    def _resource(self) -> dict[str, str]:
        return {"resourceType": self._get_sfn_resource_type(), "resource": self._get_sfn_resource()}

    def _failure(self, env: Any, error: str, cause: str) -> FailureEvent:
        return FailureEvent(
            env=env,
            error_name=CustomErrorName(error),
            event_type=HistoryEventType.TaskFailed,
            event_details={"taskFailedEventDetails": {**self._resource(), "error": error, "cause": cause}},
        )

    def _from_error(self, env: Any, ex: Exception) -> Any:
        if not isinstance(ex, ClientError):
            return super()._from_error(env=env, ex=ex)
        code = ex.response["Error"].get("Code", "")
        name = code if code in _MODELLED else "AWSStepFunctionsException"
        metadata = ex.response["ResponseMetadata"]
        cause = (
            f"{ex.response['Error'].get('Message', '')} (Service: AWSStepFunctions; "
            f"Status Code: {metadata.get('HTTPStatusCode')}; Error Code: {code}; "
            f"Request ID: {metadata.get('RequestId')}; Proxy: null)"
        )
        return self._failure(env, f"StepFunctions.{name if name.endswith('Exception') else name + 'Exception'}", cause)


def _pascal(answer: dict[str, Any]) -> dict[str, Any]:
    return {key[:1].upper() + key[1:]: value for key, value in answer.items()}


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))

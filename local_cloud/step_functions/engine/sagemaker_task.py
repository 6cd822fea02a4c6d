"""The SageMaker integration, which moto's engine lacks: request-response, and `.sync` for jobs.

Step Functions Developer Guide, "Create and manage Amazon SageMaker AI jobs with Step Functions". A `.sync` task creates
the job with a tag of the service's own, waits until it ends, and answers with the job's description; of a failed job,
the description is the cause of States.TaskFailed. A task that is timed out, stopped or abandoned stops its job.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError
from moto.stepfunctions.parser.api import HistoryEventType
from moto.stepfunctions.parser.asl.component.common.error_name.custom_error_name import CustomErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import FailureEvent, FailureEventException
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service import StateTaskService

from local_cloud.step_functions.definition.fields import problems_at_run_time
from local_cloud.step_functions.engine import runtime
from local_cloud.step_functions.engine.clients import UNREACHABLE
from local_cloud.step_functions.engine.resume import replay_of
from local_cloud.step_functions.engine.waits import sleep_while_running

#: What Step Functions tags the jobs with that it waits for; the role needs `sagemaker:AddTags` for it.
SERVICE_TAG = {"Key": "MANAGED_BY_AWS", "Value": "STARTED_BY_STEP_FUNCTIONS"}
#: Errors that SageMaker's API models; any other becomes AmazonSageMakerException.
_MODELLED = frozenset({"ConflictException", "ResourceInUse", "ResourceLimitExceeded", "ResourceNotFound"})
#: How SageMaker refuses to stop a training or transform job that has ended by itself meanwhile.
_HAS_ENDED = "The request was rejected because the"
_FIRST_POLL_SECONDS = 0.1
_LONGEST_POLL_SECONDS = 0.5
#: A description that cannot be had for so many polls in a row fails the task.
_TOLERATED_POLL_FAILURES = 5


@dataclass(frozen=True)
class Job:
    """How a kind of job is described and stopped."""

    kind: str  #: Processing, Training, Transform

    @property
    def name_field(self) -> str:
        """The request's and the description's field with the job's name."""
        return f"{self.kind}JobName"

    @property
    def status_field(self) -> str:
        """The description's field with the status."""
        return f"{self.kind}JobStatus"

    @property
    def arn_field(self) -> str:
        """The answer's field with the job's ARN."""
        return f"{self.kind}JobArn"


JOBS = {f"create{kind}Job": Job(kind) for kind in ("Processing", "Training", "Transform")}


class TaskAbandonedError(Exception):
    """The task's execution went on or ended without it."""


class SageMakerTask(StateTaskService):  # type: ignore[misc]  # moto is imported untyped
    """A Task state whose resource is `arn:aws:states:::sagemaker:…`."""

    def _validate_service_integration_is_supported(self) -> None:
        """Nothing: which integrations there are is checked with the definition."""

    def _get_sfn_resource(self) -> str:
        condition = self.resource.condition
        return f"{self.resource.api_action}.{condition}" if condition else str(self.resource.api_action)

    def _eval_service_task(
        self, env: Any, resource_runtime_part: Any, normalised_parameters: dict[str, Any], state_credentials: Any
    ) -> None:
        action = self.resource.api_action
        operation = runtime.active().clients.operation("sagemaker", action)
        problems = problems_at_run_time(normalised_parameters, operation.input_shape)
        if problems:
            raise self._failure(
                env,
                "States.Runtime",
                f"The Parameters '{_compact(normalised_parameters)}' could not be used to start the Task: "
                f"[{', '.join(problems)}]",
            )
        request = dict(normalised_parameters)
        if self.resource.condition:
            request["Tags"] = [*request.get("Tags", []), SERVICE_TAG]
        client = self._client(resource_runtime_part, state_credentials)
        try:
            answer = client._make_api_call(operation.name, request)
        except ClientError as error:
            found = self._job_of_before(env, client, request, error)
            if found is None:
                raise
            answer = found
        env.stack.append(to_output(answer))

    def _job_of_before(
        self, env: Any, client: Any, request: Mapping[str, Any], error: ClientError
    ) -> dict[str, Any] | None:
        """Find the job of a refused name, where this very state made it before the local cloud was killed."""
        replay, job = replay_of(env), JOBS.get(self.resource.api_action)
        if replay is None or job is None or error.response["Error"].get("Code") != "ResourceInUse":
            return None
        name = request[job.name_field]
        description = client._make_api_call(f"Describe{job.kind}Job", {job.name_field: name})
        if not replay.owns_job(name, description.get("CreationTime")):
            return None
        return {job.arn_field: description[job.arn_field]}

    def _after_eval_execution(
        self, env: Any, resource_runtime_part: Any, normalised_parameters: dict[str, Any], state_credentials: Any
    ) -> None:
        if self.resource.condition:
            submitted = env.stack.pop()
            env.event_manager.add_event(
                context=env.event_history_context,
                event_type=HistoryEventType.TaskSubmitted,
                event_details={"taskSubmittedEventDetails": {**self._resource(), **_output(submitted)}},
            )
            job = JOBS[self.resource.api_action]
            client = self._client(resource_runtime_part, state_credentials)
            name = normalised_parameters[job.name_field]
            env.stack.append(self._wait(env, client, job, name, submitted.get(job.arn_field, "")))
        super()._after_eval_execution(env, resource_runtime_part, normalised_parameters, state_credentials)

    def _wait(self, env: Any, client: Any, job: Job, name: str, arn: str) -> dict[str, Any]:
        """Wait until the job has ended; answers with its description."""
        pause = _FIRST_POLL_SECONDS
        failures = 0
        while env.is_running():
            try:
                answer = client._make_api_call(f"Describe{job.kind}Job", {job.name_field: name})
                failures = 0
            except UNREACHABLE:
                failures += 1
                if failures > _TOLERATED_POLL_FAILURES:
                    raise
                answer = {}
            status = answer.get(job.status_field)
            if status in ("Completed", "Failed", "Stopped"):
                description = to_output(answer)
                if status == "Completed":
                    return description
                raise self._failure(env, "States.TaskFailed", _compact(description))
            _pause(env, arn, pause)
            pause = min(pause * 1.5, _LONGEST_POLL_SECONDS)
        self._stop(client, job, name)
        raise TaskAbandonedError(name)

    def _stop(self, client: Any, job: Job, name: str) -> None:
        try:
            client._make_api_call(f"Stop{job.kind}Job", {job.name_field: name})
        except Exception as error:  # AWS, too, stops jobs as well as it can
            if _HAS_ENDED in str(error):
                return
            kind = job.kind.lower()
            runtime.active().dependencies.log(
                f"The execution went on without the {kind} job {name}, which could not be stopped: {error}. "
                f"Stop it with stop-{kind}-job, and see that the role allows sagemaker:Stop{job.kind}Job."
            )

    def _client(self, resource_runtime_part: Any, state_credentials: Any) -> Any:
        return runtime.boto_client_for(resource_runtime_part.region, "sagemaker", state_credentials)

    def _resource(self) -> dict[str, str]:
        return {"resourceType": self._get_sfn_resource_type(), "resource": self._get_sfn_resource()}

    def _failure(self, env: Any, error: str, cause: str) -> FailureEventException:
        return FailureEventException(self._failure_event(env, error, cause))

    def _failure_event(self, env: Any, error: str, cause: str) -> FailureEvent:
        return FailureEvent(
            env=env,
            error_name=CustomErrorName(error),
            event_type=HistoryEventType.TaskFailed,
            event_details={"taskFailedEventDetails": {**self._resource(), "error": error, "cause": cause}},
        )

    def _from_error(self, env: Any, ex: Exception) -> Any:
        if isinstance(ex, ClientError):
            return self._failure_event(env, *service_error("SageMaker", "AmazonSageMaker", ex))
        return super()._from_error(env=env, ex=ex)


def service_error(prefix: str, service: str, error: ClientError) -> tuple[str, str]:
    """Name an API's error, and word its cause, as Step Functions does."""
    code = error.response["Error"].get("Code", "")
    metadata = error.response["ResponseMetadata"]
    name = code if code in _MODELLED else f"{service}Exception"
    cause = (
        f"{error.response['Error'].get('Message', '')} (Service: {service}; "
        f"Status Code: {metadata.get('HTTPStatusCode')}; Error Code: {code}; "
        f"Request ID: {metadata.get('RequestId')}; Proxy: null)"
    )
    return f"{prefix}.{name if name.endswith('Exception') else name + 'Exception'}", cause


def to_output(answer: Mapping[str, Any]) -> dict[str, Any]:
    """Turn an API's answer into JSON: the API's own keys, instants as milliseconds since 1970."""
    return {key: _json(value) for key, value in answer.items() if key != "ResponseMetadata"}


def _json(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_json(item) for item in value]
    if isinstance(value, datetime):
        return round(value.timestamp() * 1000)
    return value


def _output(value: Any) -> dict[str, Any]:
    return {"output": _compact(value), "outputDetails": {"truncated": False}}


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _pause(env: Any, job_arn: str, seconds: float) -> None:
    wait_for_job = runtime.active().dependencies.wait_for_job
    if wait_for_job is None:
        sleep_while_running(env, seconds)
        return
    started = time.monotonic()
    wait_for_job(job_arn, seconds)
    if time.monotonic() - started < 0.001:  # a waiter that answers at once must not make this loop spin
        sleep_while_running(env, 0.01)

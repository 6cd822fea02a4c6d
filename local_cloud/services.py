"""The local cloud's own services: SageMaker, Step Functions and Lambda's execution, joined to each other.

Each is made when it is first needed, since its imports take longer than all the rest of the start; ``warm_up`` makes
all.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ministack.services import lambda_svc

from local_cloud import alarms
from local_cloud.container_credentials import ContainerCredentials
from local_cloud.emulator import ACCOUNT_ID, ADMINISTRATOR, REGION
from local_cloud.event_targets import put_event
from local_cloud.faults import FaultPlan
from local_cloud.iam import AccessDeniedError, RoleNotAssumableError, check_allowed, credentials_for_role, is_allowed
from local_cloud.iam.guards import Handler, Response, guard_passed_roles, guard_s3, guard_sagemaker
from local_cloud.images import ImageNotFoundError, ImageRegistry, ImageSpec
from local_cloud.job_changes import JobChanges
from local_cloud.messages import scope_of
from local_cloud.metrics import Measurements, Metric, publish_execution_metric
from local_cloud.once import IMPORTING, Once
from local_cloud.refused_values.topics import guard_topics
from local_cloud.waits import ClockWaits

if TYPE_CHECKING:
    from local_cloud.lambda_runtime import LambdaRuntime
    from local_cloud.sagemaker import SageMakerService
    from local_cloud.step_functions import StepFunctionsService

_logger = logging.getLogger(__name__)
_SAGEMAKER = "sagemaker.amazonaws.com"
_STATES = "states.amazonaws.com"
_LAMBDA = "lambda.amazonaws.com"
_LONGEST_RETRY_WAIT = 2  # in waits before Lambda's first retry: a minute between tries is long at home
_EVENTS = "events.amazonaws.com"


@dataclass(frozen=True)
class Place:
    """Where the local cloud is: its endpoint, state directory, clock, metrics and addresses of credentials.

    ``flush`` brings messages and metrics to the state directory.
    """

    endpoint: str
    state: Path
    waits: ClockWaits
    measurements: Measurements
    container_credentials: ContainerCredentials
    flush: Callable[[], object] = lambda: None


class Services:
    """SageMaker, Step Functions and Lambda's runtime: call ``sagemaker()`` and so on to get one."""

    def __init__(self, place: Place, faults: FaultPlan, retry_seconds: float) -> None:
        self._place = place
        self._faults = faults
        self._retry_seconds = retry_seconds
        self._images = ImageRegistry(place.state, account_id=ACCOUNT_ID, region=REGION)
        self._job_changes = JobChanges()
        self.sagemaker: Once[SageMakerService] = Once(self._make_sagemaker)
        self.step_functions: Once[StepFunctionsService] = Once(self._make_step_functions)
        self.lambda_runtime: Once[LambdaRuntime] = Once(self._make_lambda_runtime)

    def install(self, handlers: dict[str, Handler]) -> None:
        """Put SageMaker and Step Functions behind the emulator's front door, and AWS's runtime behind its Lambda."""
        handlers["sagemaker"] = guard_sagemaker(late_handler(self.sagemaker, lambda service: service.handle))
        states = late_handler(self.step_functions, lambda service: service.handler)
        handlers["states"] = guard_passed_roles(states, _STATES)
        functions, events, objects = handlers["lambda"], handlers["events"], handlers["s3"]
        handlers["lambda"] = guard_passed_roles(late_handler(self.lambda_runtime, lambda _runtime: functions), _LAMBDA)
        handlers["events"] = guard_passed_roles(events, _EVENTS)
        handlers["s3"] = guard_s3(objects)
        handlers["sns"] = guard_topics(handlers["sns"])

    def warm_up(self) -> None:
        """Make all services now."""
        for make in (self.step_functions, self.lambda_runtime, self.sagemaker):
            try:
                make()
            except Exception:
                _logger.exception("a service of the local cloud cannot start; requests to it will fail")

    def close(self) -> None:
        """Stop executions first, then functions, jobs and endpoints; none of their processes is left."""
        for service in (self.step_functions.made, self.lambda_runtime.made, self.sagemaker.made):
            if service is not None:
                try:
                    service.close()
                except Exception:
                    _logger.exception("closing %s failed", type(service).__name__)

    def resolve_image(self, uri: str) -> ImageSpec:
        """Return a built image; raise LookupError for one that nobody built."""
        try:
            return self._images.resolve(uri)
        except ImageNotFoundError as missing:
            raise LookupError(str(missing)) from None

    def start_execution(self, state_machine_arn: str, execution_input: str) -> object:
        """Start an execution for EventBridge."""
        return self.step_functions().start_execution(state_machine_arn, execution_input)

    def _make_sagemaker(self) -> SageMakerService:
        with IMPORTING:
            from local_cloud import sagemaker

        def credentials(role_arn: str, session_name: str) -> Mapping[str, str]:
            try:
                return credentials_for_role(role_arn, session_name, service=_SAGEMAKER)
            except RoleNotAssumableError as refused:
                raise sagemaker.RoleNotAssumableError(str(refused)) from None

        def denial(access_key_id: str, action: str, resource_arn: str) -> str | None:
            try:
                check_allowed(access_key_id, action, resource_arn)
            except AccessDeniedError as denied:
                return str(denied)
            return None

        def alarm_state(name: str) -> str | None:
            with scope_of(ACCOUNT_ID, REGION):
                return alarms.state(name)

        def measure(measurements: Iterable[tuple[str, str, tuple[tuple[str, str], ...], float]]) -> None:
            self._place.measurements.add(
                (Metric("AWS/SageMaker", name, unit, dimensions), value)
                for name, unit, dimensions, value in measurements
            )

        environment = sagemaker.SageMakerEnvironment(
            endpoint_url=lambda: self._place.endpoint,
            credentials_for_role=credentials,
            own_credentials=_administrator,
            resolve_image=self.resolve_image,
            denial=denial,
            state_dir=self._place.state,
            region=REGION,
            account_id=ACCOUNT_ID,
            faults=self._faults,
            credentials_variables=self._place.container_credentials.offer,
            alarm_state=alarm_state,
            measure=measure,
            waits=self._place.waits,
        )
        service = sagemaker.SageMakerService(environment)
        service.on_state_change(self._job_changes.note)
        service.on_state_change(_put_state_change)
        service.recover()
        return service

    def _make_lambda_runtime(self) -> LambdaRuntime:
        with IMPORTING:
            from local_cloud.lambda_runtime import LambdaRuntime, install
            from local_cloud.lambda_runtime.logs import write_logs

        def credentials(config: Mapping[str, Any]) -> Mapping[str, str]:
            return credentials_for_role(config["Role"], config["FunctionName"], service=_LAMBDA)

        runtime = LambdaRuntime(
            self._images,
            endpoint_url=self._place.endpoint,
            credentials_for=credentials,
            write_logs=write_logs,
            region=REGION,
            faults=self._faults,
        )
        install(lambda_svc, runtime)
        return runtime

    def _make_step_functions(self) -> StepFunctionsService:
        with IMPORTING:
            from local_cloud.step_functions import Dependencies, StepFunctionsService

        def credentials(role_arn: str, session_name: str, service: str = _STATES) -> Mapping[str, str]:
            return credentials_for_role(role_arn, session_name, service=service)

        service = StepFunctionsService(
            Dependencies(
                endpoint_url=self._place.endpoint,
                credentials_for_role=credentials,
                is_allowed=is_allowed,
                account_id=ACCOUNT_ID,
                region=REGION,
                state_dir=self._place.state,
                emit_event=self._put_execution_event,
                delivery_credentials=_administrator,
                wait_for_job=self._job_changes.wait,
                longest_retry_wait=_LONGEST_RETRY_WAIT * self._retry_seconds,
            )
        )
        service.start()
        return service

    def _put_execution_event(
        self, source: str, detail_type: str, detail: Mapping[str, Any], resources: Sequence[str]
    ) -> None:
        """Put an execution's change of status on the default bus and count it as a metric."""
        with scope_of(ACCOUNT_ID, REGION):
            put_event(source, detail_type, detail, list(resources))
            publish_execution_metric(detail["stateMachineArn"], detail["status"])
        if detail["status"] != "RUNNING":
            self._place.flush()


def late_handler(service: Once[Any], handler_of: Callable[[Any], Handler]) -> Handler:
    """Return a handler that makes its service off the event loop at the first request."""

    async def handler(method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]) -> Response:
        made = service.made or await asyncio.to_thread(service)
        return await handler_of(made)(method, path, headers, body, query)

    return handler


def _administrator() -> Mapping[str, str]:
    """Credentials of AWS's own, for what services do without a role, such as log delivery."""
    return {"AWS_ACCESS_KEY_ID": ADMINISTRATOR[0], "AWS_SECRET_ACCESS_KEY": ADMINISTRATOR[1]}


# SageMaker Developer Guide, "Events that Amazon SageMaker AI sends to Amazon EventBridge"
_STATE_CHANGES = {
    "ProcessingJob": ("SageMaker Processing Job State Change", "ProcessingJobArn"),
    "TrainingJob": ("SageMaker Training Job State Change", "TrainingJobArn"),
    "Endpoint": ("SageMaker Endpoint State Change", "EndpointArn"),
    "EndpointDeployment": ("SageMaker Endpoint Deployment State Change", "EndpointArn"),
    "ModelPackage": ("SageMaker Model Package State Change", "ModelPackageArn"),
}


def _put_state_change(kind: str, description: Mapping[str, Any]) -> None:
    """Put a change of a resource on the default bus; instants become milliseconds since 1970."""
    if kind not in _STATE_CHANGES:
        return
    detail_type, arn_field = _STATE_CHANGES[kind]
    detail = json.loads(json.dumps(description, default=_milliseconds))
    if kind.startswith("Endpoint"):  # InService in answers, IN_SERVICE in events, by the examples there
        detail["EndpointStatus"] = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", detail["EndpointStatus"]).upper()
    with scope_of(ACCOUNT_ID, REGION):
        put_event("aws.sagemaker", detail_type, detail, [description[arn_field]])


def _milliseconds(value: object) -> int:
    if isinstance(value, datetime):
        return round(value.timestamp() * 1000)
    raise TypeError(f"{type(value).__name__} does not go into an event")

"""The service: dispatches requests to their operations and keeps blocking work off the event loop."""

import asyncio
import json
import logging
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

from local_cloud.sagemaker.api_model import operation, service_model
from local_cloud.sagemaker.environment import SageMakerEnvironment, StateChangeHook
from local_cloud.sagemaker.errors import ServiceError
from local_cloud.sagemaker.listing import list_resources
from local_cloud.sagemaker.names import ENDPOINT, ENDPOINT_CONFIG, KINDS, MODEL, PROCESSING_JOB, TRAINING_JOB, Kind
from local_cloud.sagemaker.operations import Operations
from local_cloud.sagemaker.processing import ProcessingJob
from local_cloud.sagemaker.runtime import Response, invoke
from local_cloud.sagemaker.storage import shared_client
from local_cloud.sagemaker.store import Store, describe
from local_cloud.sagemaker.supported import refuse_unsupported
from local_cloud.sagemaker.training import TrainingJob
from local_cloud.sagemaker.validation import validate

_LOGGER = logging.getLogger(__name__)
_CONTENT_TYPE = "application/x-amz-json-1.1"
_CONTROL_THREADS, _INVOCATION_THREADS = 16, 64
Operation = Callable[[dict[str, Any]], dict[str, Any]]


class SageMakerService:
    """SageMaker's control plane and runtime for one account and region.

    `handle` is the handler for the front door. `close` must be called when the local cloud ends, from another thread
    than the event loop's: it waits for processes.
    """

    def __init__(self, cloud: SageMakerEnvironment) -> None:
        self._cloud = cloud
        self._store = Store(cloud)
        self._control = ThreadPoolExecutor(_CONTROL_THREADS, thread_name_prefix="sagemaker")
        self._invocations = ThreadPoolExecutor(_INVOCATION_THREADS, thread_name_prefix="sagemaker-runtime")
        self._operations = self._all_operations(Operations(cloud, self._store))
        self._warm_up()

    def _warm_up(self) -> None:
        """Loads the service models now (0.5 s), so that the first job does not wait for them."""
        service_model()
        for service in ("s3", "logs"):
            shared_client(service, self._cloud.endpoint_url(), self._cloud.region)

    def _all_operations(self, perform: Operations) -> dict[str, Operation]:
        operations: dict[str, Operation] = {
            "CreateProcessingJob": lambda request: perform.create_job(ProcessingJob, request),
            "CreateTrainingJob": lambda request: perform.create_job(TrainingJob, request),
            "CreateModel": perform.create_model,
            "CreateEndpointConfig": perform.create_endpoint_config,
            "CreateEndpoint": perform.create_endpoint,
            "UpdateEndpoint": perform.update_endpoint,
            "UpdateEndpointWeightsAndCapacities": perform.update_weights_and_capacities,
            "DeleteEndpoint": perform.delete_endpoint,
            "AddTags": perform.add_tags,
            "ListTags": perform.list_tags,
            "DeleteTags": perform.delete_tags,
        }
        for kind in KINDS:
            operations[f"Describe{kind.noun}"] = self._describer(kind)
            operations[f"List{kind.noun}s"] = self._lister(kind)
        for kind in (PROCESSING_JOB, TRAINING_JOB):
            operations[f"Stop{kind.noun}"] = perform.stopper(kind)
        for kind in (MODEL, ENDPOINT_CONFIG):
            operations[f"Delete{kind.noun}"] = perform.deleter(kind)
        return operations | perform.registry.operations

    @property
    def operations(self) -> frozenset[str]:
        """The operations of the control plane that this service knows."""
        return frozenset(self._operations)

    def on_state_change(self, hook: StateChangeHook) -> None:
        """Calls a hook with the kind and the description of every resource whose state changes, on any thread."""
        self._cloud.hooks.append(hook)

    def recover(self) -> None:
        """Goes on where an earlier life of the local cloud was killed; call it once the hooks are there."""
        self._store.recover()

    async def handle(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes,
        query: Mapping[str, Any],  # noqa: ARG002  the front door passes it; no operation here has one
    ) -> Response:
        """Answers one HTTP request: (status, headers, body)."""
        lower = {name.lower(): value for name, value in headers.items()}
        loop = asyncio.get_running_loop()
        if path.startswith("/endpoints/") and method == "POST":
            find = self._store.endpoints.get
            return await loop.run_in_executor(self._invocations, invoke, self._cloud, find, path, lower, body)
        operation_name = lower.get("x-amz-target", "").partition(".")[2]
        return await loop.run_in_executor(self._control, self.call, operation_name, body)

    def call(self, operation_name: str, body: bytes) -> Response:
        """Answers one request of the control plane."""
        try:
            return _response(200, self._perform(operation_name, body))
        except ServiceError as error:
            content = {"__type": error.code, "message": error.message, **error.members}
            return _response(error.status, content, error.code)
        except Exception as error:
            _LOGGER.exception("%s failed inside the local cloud", operation_name)
            message = f"The local cloud failed in {operation_name}: {error!r}. Its log has the details."
            return _response(500, {"__type": "InternalFailure", "message": message}, "InternalFailure")

    def close(self) -> None:
        """Kills all jobs and endpoints; returns when none of their processes is left."""
        running = [item for kind in (PROCESSING_JOB, TRAINING_JOB, ENDPOINT) for item in self._store.all(kind)]
        with ThreadPoolExecutor(max(1, len(running))) as pool:
            list(pool.map(lambda item: item.close(), running))
        for threads in (self._control, self._invocations):
            threads.shutdown(wait=False, cancel_futures=True)

    def _perform(self, operation_name: str, body: bytes) -> dict[str, Any]:
        perform = self._operations.get(operation_name)
        if perform is None:
            known = ", ".join(sorted(self._operations))
            raise ServiceError(
                "UnknownOperationException",
                f"The local cloud does not support SageMaker's {operation_name or 'request without X-Amz-Target'}. "
                f"It supports {known} and InvokeEndpoint.",
            )
        try:
            request = json.loads(body or b"{}")
        except ValueError as error:
            raise ServiceError("SerializationException", f"The request is no JSON: {error}") from error
        validate(operation(operation_name).input_shape, request)
        request = {name: value for name, value in request.items() if value is not None}
        refuse_unsupported(operation_name, request)
        return perform(request)

    def _describer(self, kind: Kind) -> Operation:
        return lambda request: describe(self._store.find(kind, request[kind.name_member]))

    def _lister(self, kind: Kind) -> Operation:
        def list_all(request: dict[str, Any]) -> dict[str, Any]:
            return list_resources(f"List{kind.noun}s", kind, request, map(describe, self._store.all(kind)))

        return list_all


def _response(status: int, content: Mapping[str, Any], error_type: str | None = None) -> Response:
    headers = {"Content-Type": _CONTENT_TYPE, "x-amzn-RequestId": str(uuid.uuid4())}
    if error_type:
        headers["x-amzn-ErrorType"] = error_type
    return status, headers, json.dumps(content, default=_json).encode()


def _json(value: Any) -> float:
    """AWS JSON 1.1 writes moments as seconds since 1970."""
    if isinstance(value, datetime):
        return round(value.timestamp(), 3)
    raise TypeError(f"{type(value).__name__} does not go into a response")

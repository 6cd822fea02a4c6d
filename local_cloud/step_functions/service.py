"""Step Functions as the rest of the local cloud sees it."""

from __future__ import annotations

import asyncio
import traceback
import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from local_cloud.step_functions.api import Api
from local_cloud.step_functions.dependencies import Dependencies
from local_cloud.step_functions.engine import loading, runtime
from local_cloud.step_functions.engine.clients import RoleClients
from local_cloud.step_functions.executions import Executions
from local_cloud.step_functions.journal import Journal
from local_cloud.step_functions.machines import StateMachines

#: Requests that are answered at once; StopExecution waits for the execution's last event.
_WORKERS = 8


class StepFunctionsService:
    """State machines and their executions, for the front door, CloudFormation and EventBridge.

    One per process at a time: the engine finds its clients through the one that is active. Its methods may be called
    from any thread; errors are `ApiError`.
    """

    def __init__(self, dependencies: Dependencies) -> None:
        self._dependencies = dependencies
        clients = RoleClients(dependencies)
        journal = Journal(dependencies.state_dir / "step_functions" if dependencies.state_dir else None)
        self.machines = StateMachines(dependencies, clients, journal)
        self.executions = Executions(dependencies, clients, journal, self.machines.remove)
        self._api = Api(self.machines, self.executions)
        self._runtime = runtime.Runtime(dependencies, clients)
        runtime.activate(self._runtime)
        self._workers = ThreadPoolExecutor(_WORKERS, thread_name_prefix="states-api")

    def start(self) -> None:
        """Load the engine (about 0.7 s) and go on with what ran when the local cloud was killed.

        The endpoint must answer by then. A service that cannot start is closed, so that another can be tried.
        """
        try:
            loading.load()
            self._runtime.clients.operation("sagemaker", "createProcessingJob")  # reads SageMaker's API ahead of use
            self.executions.resume(self.machines.deleting())
        except BaseException:
            self.close()
            raise

    async def handler(
        self,
        method: str,  # noqa: ARG002  (the front door's signature)
        path: str,  # noqa: ARG002
        headers: Mapping[str, str],
        body: bytes,
        query: Mapping[str, Any],  # noqa: ARG002
    ) -> tuple[int, dict[str, str], bytes]:
        """Answer a request of the API; the operation stands in `x-amz-target`."""
        operation = headers.get("x-amz-target", "").rpartition(".")[2]
        loop = asyncio.get_running_loop()
        status, answer = await loop.run_in_executor(self._workers, self._call, operation, body)
        return (
            status,
            {"Content-Type": "application/x-amz-json-1.0", "x-amzn-RequestId": str(uuid.uuid4())},
            answer,
        )

    def create_state_machine(
        self,
        name: str,
        definition: str | Mapping[str, Any],
        role_arn: str,
        type: str | None = None,
        logging_configuration: Mapping[str, Any] | None = None,
        tracing_configuration: Mapping[str, Any] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> str:
        """Create a state machine from JSON, YAML or an object; answers with its ARN."""
        machine = self.machines.create(
            name,
            definition,
            role_arn,
            machine_type=type,
            logging=logging_configuration,
            tracing=tracing_configuration,
            tags=tags,
            or_yaml=True,
        )
        return machine.arn

    def update_state_machine(
        self,
        arn: str,
        definition: str | Mapping[str, Any] | None = None,
        role_arn: str | None = None,
        logging_configuration: Mapping[str, Any] | None = None,
        tracing_configuration: Mapping[str, Any] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Change what is given; `tags` replace those that are there."""
        if definition is not None or role_arn or logging_configuration is not None or tracing_configuration is not None:
            self.machines.update(
                arn,
                definition=definition,
                role_arn=role_arn,
                logging=logging_configuration,
                tracing=tracing_configuration,
                or_yaml=True,
            )
        if tags is not None:
            self.machines.tag(arn, tags, [key for key in self.machines.tags(arn) if key not in tags])

    def delete_state_machine(self, arn: str) -> None:
        """Delete a state machine with its stack; one that is not there is no error.

        AWS's stack waits until the last execution has ended. Here nothing may wait, since the requests of the
        executions' tasks are answered by the same thread: they are stopped at once.
        """
        self.machines.remove(arn)
        self.executions.forget_machine(arn)

    def start_execution(self, arn: str, input_json: str = "{}", name: str | None = None) -> str:
        """Start an execution; answers with its ARN."""
        return self.executions.start(self.machines.active(arn), input_json, name).arn

    def close(self) -> None:
        """Abort what runs, stop its jobs, end every thread. The endpoint must still answer meanwhile."""
        self.executions.close()
        self._workers.shutdown(wait=False, cancel_futures=True)
        runtime.deactivate(self._runtime)

    def _call(self, operation: str, body: bytes) -> tuple[int, bytes]:
        try:
            return self._api.call(operation, body)
        except Exception:  # a fault of this service must not end the front door
            self._dependencies.log(f"Step Functions failed in {operation}:\n{traceback.format_exc()}")
            return 500, b'{"__type": "InternalFailure", "message": "The local Step Functions failed; see its log"}'

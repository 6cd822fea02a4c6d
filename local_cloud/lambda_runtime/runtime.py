"""Invocations: each in a warm execution environment of the function, or in a new one."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from local_cloud.faults import FaultPlan, Memory, Volume
from local_cloud.faults.base import FUNCTION
from local_cloud.faults.strikes import Strikes
from local_cloud.images import ImageError, ImageRegistry
from local_cloud.lambda_runtime.emulator import emulator_binary
from local_cloud.lambda_runtime.environment import EnvironmentStartError, ExecutionEnvironment, new_log_stream
from local_cloud.lambda_runtime.function import Function
from local_cloud.lambda_runtime.output import Line
from local_cloud.lambda_runtime.variables import environment_variables
from local_cloud.sandbox import SandboxError

_logger = logging.getLogger(__name__)
_IDLE_SECONDS = 600.0  # AWS keeps an idle environment for some minutes; how long it does not say
_MOST_SECONDS = 6 * 3600.0  # within the lifetime of the role's session

Credentials = Callable[[Mapping[str, Any]], Mapping[str, str]]
WriteLogs = Callable[[Function, str, Sequence[Line], str], None]


class LambdaRuntime:
    """Executes functions whose images are in ``images``.

    ``credentials_for(function configuration)`` gives AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN of
    a session of the function's role; what it raises becomes an error of the invocation. ``write_logs(function, log
    stream, lines, access key ID)`` is called after every invocation. How many invocations run at once is the caller's
    business; ``faults`` is what shall go wrong. Thread-safe; ``close`` ends everything.
    """

    def __init__(
        self,
        images: ImageRegistry,
        *,
        endpoint_url: str | Callable[[], str],
        credentials_for: Credentials,
        write_logs: WriteLogs | None = None,
        region: str = "us-east-1",
        faults: FaultPlan | None = None,
    ) -> None:
        self.images = images
        self.credentials_for = credentials_for
        self._endpoint_url = endpoint_url
        self._write_logs = write_logs
        self._region = region
        self._faults = FaultPlan() if faults is None else faults
        self._lock = threading.Lock()
        self._idle: list[ExecutionEnvironment] = []
        self._busy: list[ExecutionEnvironment] = []
        self._retired: set[int] = set()  # busy ones that are not to be used again, by id()
        self._closed = False

    def invoke(self, config: Mapping[str, Any], event: object, request_id: str) -> dict[str, Any]:
        """Invoke a function with an event and return its result.

        ``config`` is the function's configuration with ``ImageUri``. The result has ``body`` (the payload, parsed) and
        ``log`` (text, as in the function's log); for an error also ``error`` and ``function_error``, the value of the
        header X-Amz-Function-Error.
        """
        configured = Function.of(config)
        function = self._limited(configured)
        limited = function is not configured  # its environment is for this invocation only
        try:
            environment = self._start(function, config) if limited else self._take(function, config)
        except (ImageError, SandboxError, EnvironmentStartError) as problem:
            return _failure(function, type(problem).__name__, str(problem))
        except Exception as problem:
            _logger.exception("no execution environment for function %s", function.name)
            return _failure(function, type(problem).__name__, str(problem))
        reusable = False
        try:
            strikes = Strikes(self._faults, FUNCTION, function.name)
            invocation = environment.invoke(json.dumps(event).encode(), request_id, strikes)
            reusable = not invocation.answer.ended and not limited
        finally:
            self._give_back(environment, reusable)
        if self._write_logs is not None:
            self._write_logs(function, environment.log_stream, invocation.lines, environment.credentials_key)
        result: dict[str, Any] = {
            "body": invocation.answer.payload,
            "log": "\n".join(line.text for line in invocation.lines),
            "log_source": "rie",
        }
        if invocation.answer.failed:
            result |= {"error": True, "function_error": "Unhandled"}
        return result

    def retire(self, function_name: str) -> None:
        """Use no environment of a function again: it has been changed or deleted."""
        with self._lock:
            gone = [environment for environment in self._idle if environment.function.name == function_name]
            self._idle = [environment for environment in self._idle if environment not in gone]
            self._retired |= {id(one) for one in self._busy if one.function.name == function_name}
        for environment in gone:
            environment.close()

    def close(self) -> None:
        """End every function. Invocations under way fail; new ones are refused."""
        with self._lock:
            self._closed = True
            environments = [*self._idle, *self._busy]
            self._idle = []
        for environment in environments:
            environment.close()

    def _take(self, function: Function, config: Mapping[str, Any]) -> ExecutionEnvironment:
        now = time.monotonic()
        with self._lock:
            if self._closed:
                raise EnvironmentStartError(f"function {function.name} cannot run: the local cloud is shutting down")
            old = [
                one for one in self._idle if now - one.last_used > _IDLE_SECONDS or now - one.started > _MOST_SECONDS
            ]
            self._idle = [one for one in self._idle if one not in old]
            warm = next((one for one in reversed(self._idle) if one.function.revision == function.revision), None)
            if warm is not None:
                self._idle.remove(warm)
                self._busy.append(warm)
        for environment in old:
            environment.close()
        return warm or self._start(function, config)

    def _limited(self, function: Function) -> Function:
        """The function, with less memory or storage where a fault says so."""
        memory = self._faults.take(Memory, FUNCTION, function.name)
        volume = self._faults.take(Volume, FUNCTION, function.name)
        if memory is not None:
            function = replace(function, memory=memory.megabytes)
        return function if volume is None else replace(function, storage=volume.megabytes)

    def _start(self, function: Function, config: Mapping[str, Any]) -> ExecutionEnvironment:
        image = self.images.resolve(function.image_uri)
        log_stream = new_log_stream(function.version)
        endpoint = self._endpoint_url if isinstance(self._endpoint_url, str) else self._endpoint_url()
        variables = environment_variables(
            function,
            image.env,
            region=self._region,
            endpoint_url=endpoint,
            log_stream=log_stream,
            credentials=self.credentials_for(config),
        )
        environment = ExecutionEnvironment(function, image, variables, log_stream, emulator_binary())
        with self._lock:
            if not self._closed:
                self._busy.append(environment)
                return environment
        environment.close()
        raise EnvironmentStartError(f"function {function.name} cannot run: the local cloud is shutting down")

    def _give_back(self, environment: ExecutionEnvironment, reusable: bool) -> None:
        with self._lock:
            self._busy.remove(environment)
            retired = id(environment) in self._retired
            self._retired.discard(id(environment))
            keep = reusable and not retired and not self._closed
            if keep:
                self._idle.append(environment)
        if not keep:
            environment.close()


def _failure(function: Function, kind: str, message: str) -> dict[str, Any]:
    _logger.error("function %s could not be run: %s", function.name, message)
    body = {"errorType": kind, "errorMessage": message}
    return {"body": body, "error": True, "function_error": "Unhandled", "log": message}

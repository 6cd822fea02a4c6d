"""Gives the emulator underneath, ministack, this runtime: its functions are executed, checked and logged here.

The emulator keeps the functions' records, their versions, permissions and concurrency; it runs images only through a
container engine, and takes what AWS refuses.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from local_cloud.lambda_runtime.limits import (
    FunctionRefusedError,
    check_configuration,
    check_creation,
    check_image,
    check_payload,
    check_role,
)
from local_cloud.lambda_runtime.runtime import LambdaRuntime

_FUNCTION = "AWS::Lambda::Function"
SYMBOLS = (
    "_create_function",
    "_emit_lambda_logs",
    "_execute_function_docker",
    "_execute_function_warm",
    "_func_arn",
    "_functions",
    "_invoke",
    "_pool_kill_function",
    "_update_code",
    "_update_config",
    "error_response_json",
)

Response = tuple[int, dict[str, str], bytes]


def install(lambda_svc: ModuleType, runtime: LambdaRuntime) -> None:
    """Execute the emulator's functions with ``runtime``, through its API and through CloudFormation.

    Raises RuntimeError if the emulator has changed in a place that this stands on.
    """
    missing = [name for name in SYMBOLS if not hasattr(lambda_svc, name)]
    if missing:
        raise RuntimeError(f"{lambda_svc.__name__} lacks {', '.join(missing)}: install requirements/dev.txt")

    def execute(record: Mapping[str, Any], event: object, request_id: str) -> dict[str, Any]:
        config = record.get("config") or record
        if not config.get("ImageUri"):
            message = f"function {config.get('FunctionName')} is no container image: the local cloud runs only these"
            return {"body": {"errorType": "Runtime.PackageType", "errorMessage": message}, "error": True, "log": ""}
        return runtime.invoke(config, event, request_id)

    lambda_svc._execute_function_docker = execute  # type: ignore[attr-defined]
    lambda_svc._execute_function_warm = execute  # type: ignore[attr-defined]
    lambda_svc._emit_lambda_logs = lambda *_, **__: None  # type: ignore[attr-defined]  # the runtime has written them
    lambda_svc._pool_kill_function = lambda _account, name: runtime.retire(name)  # type: ignore[attr-defined]
    _check_requests(lambda_svc, runtime)
    _provision(lambda_svc, runtime)


def _check_requests(lambda_svc: ModuleType, runtime: LambdaRuntime) -> None:
    """Refuse in the API what AWS refuses."""

    def checked(name: str, check: Callable[..., None]) -> None:
        original = getattr(lambda_svc, name)

        @functools.wraps(original)
        def call(*arguments: Any, **keywords: Any) -> Any:
            try:
                check(*arguments)
            except FunctionRefusedError as refused:
                return lambda_svc.error_response_json(refused.code, refused.message, refused.status)
            return original(*arguments, **keywords)

        setattr(lambda_svc, name, call)

    def creation(data: Mapping[str, Any]) -> None:
        check_creation(data, runtime.images)
        check_role(_described(lambda_svc, data["FunctionName"], data["Role"]), runtime.credentials_for)

    def code(_name: str, data: Mapping[str, Any]) -> None:
        if "ImageUri" in data:
            check_image(data["ImageUri"], runtime.images)

    def configuration(name: str, data: Mapping[str, Any]) -> None:
        check_configuration(data)
        if data.get("Role"):
            check_role(_described(lambda_svc, name, data["Role"]), runtime.credentials_for)

    checked("_create_function", creation)
    checked("_update_code", code)
    checked("_update_config", configuration)
    invoke = lambda_svc._invoke

    @functools.wraps(invoke)
    async def checked_invoke(name: str, event: object, headers: Mapping[str, str], *rest: Any, **keywords: Any) -> Any:
        given = {key.lower(): value for key, value in headers.items()}
        size = int(given.get("content-length") or len(json.dumps(event)))
        try:
            check_payload(size, given.get("x-amz-invocation-type", "RequestResponse"))
        except FunctionRefusedError as refused:
            return lambda_svc.error_response_json(refused.code, refused.message, refused.status)
        return await invoke(name, event, headers, *rest, **keywords)

    lambda_svc._invoke = checked_invoke  # type: ignore[attr-defined]


def _provision(lambda_svc: ModuleType, runtime: LambdaRuntime) -> None:
    """Let CloudFormation make the same checks, and keep the properties that the emulator's provisioner drops."""
    from ministack.services.cloudformation.provisioners import _RESOURCE_HANDLERS

    handlers = _RESOURCE_HANDLERS[_FUNCTION]
    create, update = handlers["create"], handlers["update"]

    @functools.wraps(create)
    def checked_create(logical_id: str, properties: dict[str, Any], stack_name: str) -> Any:
        _check_properties(lambda_svc, properties, runtime, logical_id)
        name, attributes = create(logical_id, properties, stack_name)
        _keep(lambda_svc._functions[name], properties)
        return name, attributes

    @functools.wraps(update)
    def checked_update(
        physical_id: str, old: dict[str, Any], new: dict[str, Any], stack_name: str, *rest: Any, **keywords: Any
    ) -> Any:
        _check_properties(lambda_svc, new, runtime, physical_id)
        name, attributes = update(physical_id, old, new, stack_name, *rest, **keywords)
        _keep(lambda_svc._functions[name], new)
        return name, attributes

    handlers["create"], handlers["update"] = checked_create, checked_update


def _check_properties(
    lambda_svc: ModuleType, properties: Mapping[str, Any], runtime: LambdaRuntime, fallback_name: str
) -> None:
    try:
        check_creation(properties, runtime.images)
        name = properties.get("FunctionName") or fallback_name
        check_role(_described(lambda_svc, name, properties["Role"]), runtime.credentials_for)
    except FunctionRefusedError as refused:
        raise ValueError(f"{refused.message} (Service: Lambda, Status Code: {refused.status})") from refused


def _keep(record: dict[str, Any], properties: Mapping[str, Any]) -> None:
    reserved = properties.get("ReservedConcurrentExecutions")
    record["concurrency"] = None if reserved is None else int(reserved)
    config = record["config"]
    config.pop("DeadLetterConfig", None)
    if properties.get("DeadLetterConfig"):
        config["DeadLetterConfig"] = properties["DeadLetterConfig"]
    config["ImageConfigResponse"] = {"ImageConfig": properties.get("ImageConfig") or {}}


def _described(lambda_svc: ModuleType, name: str, role: str) -> dict[str, str]:
    """As much of a function's configuration as its credentials depend on."""
    return {"FunctionName": name, "FunctionArn": lambda_svc._func_arn(name), "Role": role}

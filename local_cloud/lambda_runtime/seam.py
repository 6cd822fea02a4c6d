"""Gives the emulator underneath, ministack, this runtime: its functions are executed, checked and logged here.

The emulator keeps the functions' records, their versions, permissions and concurrency; it runs images only through a
container engine, and takes what AWS refuses.
"""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from types import ModuleType
from typing import Any

from local_cloud import request_id
from local_cloud.lambda_runtime import invocations
from local_cloud.lambda_runtime.limits import (
    FunctionRefusedError,
    check_configuration,
    check_creation,
    check_image,
    check_reserved_concurrency,
    check_role,
)
from local_cloud.lambda_runtime.role_permissions import check_destinations, check_role_permissions
from local_cloud.lambda_runtime.runtime import LambdaRuntime
from local_cloud.lambda_runtime.states import Updates, check_changeable

_FUNCTION, _EVENT_SETTINGS = "AWS::Lambda::Function", "AWS::Lambda::EventInvokeConfig"
_PENDING_SECONDS = 0.3  # on AWS some seconds; long enough to be seen
SYMBOLS = (
    "_LAMBDA_STATE_TRANSITION_DELAY",
    "_create_function",
    "_emit_lambda_logs",
    "_execute_function_docker",
    "_execute_function_warm",
    "_func_arn",
    "_functions",
    "_invoke",
    "_pool_kill_function",
    "_publish_version",
    "_put_event_invoke_config",
    "_put_function_concurrency",
    "_throttle_response",
    "_update_code",
    "_update_config",
    "error_response_json",
    "handle_request",
)
_provisioning: ContextVar[bool] = ContextVar("provisioning", default=False)

Response = tuple[int, dict[str, str], bytes]


def install(lambda_svc: ModuleType, runtime: LambdaRuntime) -> None:
    """Execute the emulator's functions with ``runtime``, through its API and through CloudFormation.

    Raises RuntimeError if the emulator has changed in a place that this stands on.
    """
    missing = [name for name in SYMBOLS if not hasattr(lambda_svc, name)]
    if missing:
        raise RuntimeError(f"{lambda_svc.__name__} lacks {', '.join(missing)}: install requirements/dev.txt")

    updates = Updates()

    def execute(record: Mapping[str, Any], event: object, made_up_id: str) -> dict[str, Any]:
        config = updates.effective(record.get("config") or record)
        if not config.get("ImageUri"):
            message = f"function {config.get('FunctionName')} is no container image: the local cloud runs only these"
            return {"body": {"errorType": "Runtime.PackageType", "errorMessage": message}, "error": True, "log": ""}
        return runtime.invoke(config, event, request_id.given() or made_up_id)

    lambda_svc._execute_function_docker = execute  # type: ignore[attr-defined]
    lambda_svc._execute_function_warm = execute  # type: ignore[attr-defined]
    lambda_svc._emit_lambda_logs = lambda *_, **__: None  # type: ignore[attr-defined]  # the runtime has written them
    lambda_svc._pool_kill_function = lambda _account, name: runtime.retire(name)  # type: ignore[attr-defined]
    lambda_svc._LAMBDA_STATE_TRANSITION_DELAY = _PENDING_SECONDS  # type: ignore[attr-defined]
    invocations.install(lambda_svc)
    _check_changes(lambda_svc, runtime, updates)
    _provision(lambda_svc, runtime, updates)


def _check_changes(lambda_svc: ModuleType, runtime: LambdaRuntime, updates: Updates) -> None:
    """Refuse in the API what AWS refuses, and let an update take effect when it is done."""

    def checked(name: str, check: Callable[..., None], *, updating: bool = False) -> None:
        original = getattr(lambda_svc, name)

        @functools.wraps(original)
        def call(*arguments: Any, **keywords: Any) -> Any:
            config = (lambda_svc._functions.get(arguments[0]) or {}).get("config") if updating else None
            try:
                if config is not None and not _provisioning.get():
                    check_changeable(config)
                check(*arguments)
            except FunctionRefusedError as refused:
                if _provisioning.get():
                    raise _told_by_stack(refused) from refused
                return lambda_svc.error_response_json(refused.code, refused.message, refused.status)
            if config is None:
                return original(*arguments, **keywords)
            updates.begin(config)
            status, headers, body = original(*arguments, **keywords)
            if status >= 400:
                return status, headers, body
            updates.started(config)
            return status, headers, json.dumps({**json.loads(body), **updates.started({})}).encode()

        setattr(lambda_svc, name, call)

    def publishing(name: str, _data: Mapping[str, Any]) -> None:
        if name in lambda_svc._functions:
            check_changeable(lambda_svc._functions[name]["config"])

    def concurrency(name: str, data: Mapping[str, Any]) -> None:
        check_reserved_concurrency(data.get("ReservedConcurrentExecutions"), _reserved_by_others(lambda_svc, name))

    def event_settings(name: str, _qualifier: str | None, data: Mapping[str, Any]) -> None:
        if name in lambda_svc._functions:
            check_destinations(lambda_svc._functions[name]["config"]["Role"], data)

    def creation(data: Mapping[str, Any]) -> None:
        check_creation(data, runtime.images)
        check_role(_described(lambda_svc, data["FunctionName"], data["Role"]), runtime.credentials_for)
        check_role_permissions(data)

    def code(_name: str, data: Mapping[str, Any]) -> None:
        if "ImageUri" in data:
            check_image(data["ImageUri"], runtime.images)

    def configuration(name: str, data: Mapping[str, Any]) -> None:
        check_configuration(data)
        if data.get("Role"):
            check_role(_described(lambda_svc, name, data["Role"]), runtime.credentials_for)
        check_role_permissions({**(lambda_svc._functions.get(name) or {}).get("config", {}), **data})

    checked("_create_function", creation)
    checked("_update_code", code, updating=True)
    checked("_update_config", configuration, updating=True)
    checked("_publish_version", publishing)
    checked("_put_function_concurrency", concurrency)
    checked("_put_event_invoke_config", event_settings)


@contextlib.contextmanager
def _cloudformation() -> Iterator[None]:
    """CloudFormation waits between two updates until the first is done: its own need not be refused.

    What is refused all the same, its events tell.
    """
    token = _provisioning.set(True)
    try:
        yield
    finally:
        _provisioning.reset(token)


def _provision(lambda_svc: ModuleType, runtime: LambdaRuntime, updates: Updates) -> None:
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
        with _cloudformation():
            name, attributes = update(physical_id, old, new, stack_name, *rest, **keywords)
        _keep(lambda_svc._functions[name], new)
        updates.done(lambda_svc._functions[name]["config"])
        return name, attributes

    handlers["create"], handlers["update"] = checked_create, checked_update
    settings = _RESOURCE_HANDLERS[_EVENT_SETTINGS]
    settings.update({name: _as_cloudformation(settings[name]) for name in ("create", "update")})


def _as_cloudformation(provision: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(provision)
    def call(*arguments: Any, **keywords: Any) -> Any:
        with _cloudformation():
            return provision(*arguments, **keywords)

    return call


def _check_properties(
    lambda_svc: ModuleType, properties: Mapping[str, Any], runtime: LambdaRuntime, fallback_name: str
) -> None:
    try:
        check_creation(properties, runtime.images)
        name = properties.get("FunctionName") or fallback_name
        check_reserved_concurrency(
            properties.get("ReservedConcurrentExecutions"), _reserved_by_others(lambda_svc, name)
        )
        check_role(_described(lambda_svc, name, properties["Role"]), runtime.credentials_for)
        check_role_permissions(properties)
    except FunctionRefusedError as refused:
        raise _told_by_stack(refused) from refused


def _told_by_stack(refused: FunctionRefusedError) -> ValueError:
    return ValueError(f"{refused.message} (Service: Lambda, Status Code: {refused.status})")


def _reserved_by_others(lambda_svc: ModuleType, name: str) -> int:
    return sum(one.get("concurrency") or 0 for other, one in lambda_svc._functions.items() if other != name)


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

"""What AWS refuses when a function is created, changed or invoked, and what the local cloud cannot do with one.

Sources: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html and the API references of
CreateFunction, UpdateFunctionConfiguration and Invoke.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from local_cloud.images import ImageError, ImageRegistry, ImageSpec
from local_cloud.lambda_runtime.function import text
from local_cloud.lambda_runtime.variables import RESERVED

_VARIABLES_BYTES = 4096
_SYNCHRONOUS_BYTES = 6 * 1024 * 1024
_ASYNCHRONOUS_BYTES = 1024 * 1024  # 256 KB before October 2025
_CONCURRENCY, _UNRESERVED = 1000, 100
_RANGES = {"Timeout": (1, 900), "MemorySize": (128, 10240), "EphemeralStorage": (512, 10240)}
_VARIABLE_NAME = re.compile(r"[a-zA-Z]\w+", re.ASCII)
# Properties that change where or how a function runs and that nothing here honours.
_UNSUPPORTED = (
    "CapacityProviderConfig",
    "DurableConfig",
    "FileSystemConfigs",
    "Layers",
    "SnapStart",
    "TenancyConfig",
    "VpcConfig",
)


class FunctionRefusedError(Exception):
    """A function, or an invocation, is refused: ``code`` is AWS's name of the error, ``status`` its HTTP status."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code, self.message, self.status = code, message, status


def check_creation(properties: Mapping[str, Any], images: ImageRegistry) -> None:
    """Raise FunctionRefusedError unless a function with these properties, of API or template, can be created."""
    for name in _UNSUPPORTED:
        if properties.get(name) and properties[name] != {"ApplyOn": "None"}:
            raise _invalid(f"{name}: the local cloud does not support it")
    code = properties.get("Code") or {}
    if not code.get("ImageUri"):
        raise _invalid("The local cloud runs functions from container images only: give Code.ImageUri")
    image = check_image(code["ImageUri"], images)
    configured = properties.get("ImageConfig") or {}
    if not (configured.get("EntryPoint") or image.entrypoint):
        raise _invalid(
            f"{code['ImageUri']} has no ENTRYPOINT: build it from public.ecr.aws/lambda/python, or set ImageConfig"
        )
    if not (configured.get("Command") or image.command):
        raise _invalid(f"{code['ImageUri']} names no handler: set ImageConfig.Command, or CMD in its Dockerfile")
    check_configuration(properties)


def check_image(uri: str, images: ImageRegistry) -> ImageSpec:
    """Return the image of a URI, or raise FunctionRefusedError as AWS does for one that ECR does not have."""
    try:
        return images.resolve(uri)
    except ImageError as problem:
        raise _invalid(f"Source image {uri} does not exist. Provide a valid source image. ({problem})") from problem


def check_role(config: Mapping[str, Any], credentials_for: Callable[[Mapping[str, Any]], object]) -> None:
    """Raise FunctionRefusedError unless Lambda can assume the function's role."""
    try:
        credentials_for(config)
    except Exception as problem:
        raise _invalid(f"The role defined for the function cannot be assumed by Lambda. ({problem})") from problem


def check_configuration(properties: Mapping[str, Any]) -> None:
    """Raise FunctionRefusedError for values out of range and for environment variables that Lambda does not take."""
    for name, (least, most) in _RANGES.items():
        value = properties.get(name)
        value = value.get("Size") if isinstance(value, Mapping) else value
        if value is not None and not least <= int(value) <= most:
            raise _invalid(f"{name} is {value}, but must lie between {least} and {most}")
    given = (properties.get("Environment") or {}).get("Variables") or {}
    variables = {name: text(value) for name, value in given.items()}
    refused = "Lambda was unable to configure your environment variables because the environment variables you have"
    reserved = sorted(RESERVED & set(variables))
    if reserved:
        raise _invalid(
            f"{refused} provided contains reserved keys that are currently not supported for modification. "
            f"Reserved keys used in this request: {', '.join(reserved)}"
        )
    for name in variables:
        if not _VARIABLE_NAME.fullmatch(name):
            raise _invalid(f"{name!r} is no name of an environment variable: a letter, then letters, digits and _")
    measured = json.dumps(variables, separators=(",", ":"), ensure_ascii=False)
    if len(measured.encode()) > _VARIABLES_BYTES:
        raise _invalid(f"{refused} provided exceeded the 4KB limit. String measured: {measured}")


def check_reserved_concurrency(reserved: object, others: int) -> None:
    """Raise FunctionRefusedError for a reservation that leaves too little to functions without one.

    ``others`` is what the other functions have reserved. An account has 1,000 concurrent executions unless it is new or
    asked for more ("Lambda quotas"), of which 100 stay unreserved ("Configuring reserved concurrency").
    """
    if reserved is not None and others + int(str(reserved)) > _CONCURRENCY - _UNRESERVED:
        raise _invalid(
            "Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution "
            f"below its minimum value of [{_UNRESERVED}]."
        )


def check_payload(body: bytes, invocation_type: str) -> None:
    """Raise FunctionRefusedError for an event that is too large for its type of invocation, or no JSON."""
    size = len(body)
    if invocation_type == "Event" and size > _ASYNCHRONOUS_BYTES:
        message = f"{size} byte payload is too large for the Event invocation type (limit {_ASYNCHRONOUS_BYTES} bytes)"
        raise FunctionRefusedError("RequestEntityTooLargeException", message, 413)
    if size > _SYNCHRONOUS_BYTES:
        message = f"Request must be smaller than {_SYNCHRONOUS_BYTES} bytes for the InvokeFunction operation"
        raise FunctionRefusedError("RequestEntityTooLargeException", message, 413)
    try:
        json.loads(body or b"{}")
    except ValueError as error:
        message = f"Could not parse request body into json: Could not parse payload into json: {error}"
        raise FunctionRefusedError("InvalidRequestContentException", message) from error


def _invalid(message: str) -> FunctionRefusedError:
    return FunctionRefusedError("InvalidParameterValueException", message)

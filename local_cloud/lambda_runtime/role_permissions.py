"""What Lambda asks of a function's role when the function is created or configured, before it ever runs.

AWS refuses a function whose role may not send its failed events to the dead-letter queue or topic, or its traces to
X-Ray (InvalidParameterValueException of CreateFunction and UpdateFunctionConfiguration; the sentence is the one that
people quote, such as https://github.com/elastic/beats/issues/13963 and
https://github.com/serverless/serverless/issues/6931). So it refuses destinations of asynchronous invocations
(PutFunctionEventInvokeConfig; its sentence names the destination, as in
https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/lambda/function_event_invoke_config.go).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from local_cloud.iam import AccessDeniedError, check_allowed
from local_cloud.lambda_runtime.limits import FunctionRefusedError

_SENDING = {"sqs": "SendMessage", "sns": "Publish"}


def check_role_permissions(properties: Mapping[str, Any]) -> None:
    """Raise FunctionRefusedError unless the role of a function with these properties may do what they ask for."""
    for action, resource, call in _needed(properties):
        _check(
            properties["Role"],
            action,
            resource,
            f"The provided execution role does not have permissions to call {call}",
        )


def check_destinations(role: str, settings: Mapping[str, Any]) -> None:
    """Raise FunctionRefusedError unless a function's role may send to the queues and topics of its invocations."""
    destinations = settings.get("DestinationConfig") or {}
    for outcome in ("OnSuccess", "OnFailure"):
        target = (destinations.get(outcome) or {}).get("Destination") or ""
        service = _service_of(target)
        if service in _SENDING:
            call = f"{_SENDING[service]} on {target}"
            message = f"The function's execution role does not have permissions to call {call}"
            _check(role, f"{service}:{_SENDING[service]}", target, message)


def _needed(properties: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield action, resource and AWS's name for the call."""
    target = (properties.get("DeadLetterConfig") or {}).get("TargetArn") or ""
    service = _service_of(target)
    if service in _SENDING:
        yield f"{service}:{_SENDING[service]}", target, f"{_SENDING[service]} on {service.upper()}"
    if (properties.get("TracingConfig") or {}).get("Mode") == "Active":
        yield "xray:PutTraceSegments", "*", "PutTraceSegments on XRAY"


def _service_of(arn: str) -> str:
    return arn.split(":")[2] if arn.startswith("arn:") else ""


def _check(role: str, action: str, resource: str, message: str) -> None:
    try:
        check_allowed(role, action, resource)
    except AccessDeniedError as denied:
        raise FunctionRefusedError("InvalidParameterValueException", message) from denied

"""What Lambda asks of a function's role when the function is created or changed, before it ever runs.

AWS refuses a function whose role may not send its failed events to the dead-letter queue or topic, or its traces to
X-Ray (InvalidParameterValueException of CreateFunction and UpdateFunctionConfiguration; the sentence is the one that
people quote, such as https://github.com/elastic/beats/issues/13963 and
https://github.com/serverless/serverless/issues/6931).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from local_cloud.iam import AccessDeniedError, check_allowed
from local_cloud.lambda_runtime.limits import FunctionRefusedError

_DEAD_LETTERS = {"sqs": ("sqs:SendMessage", "SendMessage on SQS"), "sns": ("sns:Publish", "Publish on SNS")}


def check_role_permissions(properties: Mapping[str, Any]) -> None:
    """Raise FunctionRefusedError unless the role of a function with these properties may do what they ask for."""
    for action, resource, call in _needed(properties):
        try:
            check_allowed(properties["Role"], action, resource)
        except AccessDeniedError as denied:
            message = f"The provided execution role does not have permissions to call {call}"
            raise FunctionRefusedError("InvalidParameterValueException", message) from denied


def _needed(properties: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield action, resource and AWS's name for the call."""
    target = (properties.get("DeadLetterConfig") or {}).get("TargetArn") or ""
    service = target.split(":")[2] if target.startswith("arn:") else ""
    if service in _DEAD_LETTERS:
        action, call = _DEAD_LETTERS[service]
        yield action, target, call
    if (properties.get("TracingConfig") or {}).get("Mode") == "Active":
        yield "xray:PutTraceSegments", "*", "PutTraceSegments on XRAY"

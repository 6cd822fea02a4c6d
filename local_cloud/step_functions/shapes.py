"""The shapes of Step Functions' API: reading requests, describing what there is, pages."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from local_cloud.step_functions.errors import ApiError
from local_cloud.step_functions.records import Execution, StateMachine

#: What a page holds at most, and by default (API reference, `maxResults`).
_LONGEST_PAGE = 1000
_PAGE = 100
_DATA_FIELDS = ("input", "output")

Request = Mapping[str, Any]
Answer = dict[str, Any]
T = TypeVar("T")


def describe_machine(machine: StateMachine) -> Answer:
    """Describe a state machine as DescribeStateMachine does."""
    answer = {
        "stateMachineArn": machine.arn,
        "name": machine.name,
        "status": machine.status,
        "definition": machine.definition,
        "roleArn": machine.role_arn,
        "type": machine.type,
        "creationDate": machine.creation_date,
        "loggingConfiguration": machine.logging_configuration,
        "tracingConfiguration": machine.tracing_configuration,
        "encryptionConfiguration": {"type": "AWS_OWNED_KEY"},
    }
    return answer if machine.revision_id is None else {**answer, "revisionId": machine.revision_id}


def describe_execution(execution: Execution) -> Answer:
    """Describe an execution as DescribeExecution does."""
    answer: Answer = {
        "executionArn": execution.arn,
        "stateMachineArn": execution.state_machine.arn,
        "name": execution.name,
        "status": execution.status,
        "startDate": execution.start_date,
        "input": execution.input,
        "inputDetails": {"included": True},
        "redriveCount": 0,
        "redriveStatus": "NOT_REDRIVABLE",
        "redriveStatusReason": "The local cloud does not redrive executions",
    }
    optional = {
        "stopDate": execution.stop_date,
        "output": execution.output,
        "outputDetails": {"included": True} if execution.output is not None else None,
        "traceHeader": execution.trace_header,
        "error": execution.error,
        "cause": execution.cause,
    }
    return {**answer, **{key: value for key, value in optional.items() if value is not None}}


def without_data(event: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out the inputs and outputs of a history's event."""
    stripped = dict(event)
    for key, value in event.items():
        if isinstance(value, Mapping):
            stripped[key] = {name: item for name, item in value.items() if name not in _DATA_FIELDS}
    return stripped


def page(items: Sequence[T], request: Request) -> tuple[Sequence[T], dict[str, str]]:
    """Cut a page out of a list by the request's maxResults and nextToken; answers with the next token, if any."""
    size = request.get("maxResults") or _PAGE
    if not 0 < size <= _LONGEST_PAGE:
        raise ApiError("ValidationException", f"'maxResults' must be from 0 to {_LONGEST_PAGE}, not {size}")
    try:
        first = int(base64.b64decode(request.get("nextToken") or "MA==", validate=True))
    except (ValueError, binascii.Error) as error:
        raise ApiError("InvalidToken", f"Invalid Token: '{request.get('nextToken')}'") from error
    after = first + size
    token = {"nextToken": base64.b64encode(str(after).encode()).decode()} if after < len(items) else {}
    return items[first:after], token


def parse(body: bytes) -> Request:
    """Read a request's body."""
    try:
        request = json.loads(body or b"{}")
    except json.JSONDecodeError as error:
        raise ApiError("SerializationException", f"The request is not JSON: {error}") from error
    if not isinstance(request, dict):
        raise ApiError("SerializationException", "The request is not a JSON object")
    return request


def text(request: Request, field: str) -> str:
    """Read a text that must be there."""
    value = request.get(field)
    if not isinstance(value, str):
        shown = "null" if value is None else json.dumps(value)
        raise ApiError(
            "ValidationException",
            f"1 validation error detected: Value {shown} at '{field}' failed to satisfy constraint: Member must "
            f"{'not be null' if value is None else 'be a string'}",
        )
    return value


def short_text(request: Request, field: str, longest: int) -> str | None:
    """Read a text that may be missing, and has a length at most; AWS does not repeat it, since it may be secret."""
    value = request.get(field)
    if value is None:
        return None
    if len(text(request, field)) > longest:
        raise ApiError(
            "ValidationException",
            f"1 validation error detected: Value at '{field}' failed to satisfy constraint: Member must have length "
            f"less than or equal to {longest}",
        )
    return str(value)


def refuse(request: Request, *fields: str) -> None:
    """Refuse parameters that the local cloud does not support, by their names."""
    for field in fields:
        if request.get(field) and request[field] != {"type": "AWS_OWNED_KEY"}:
            raise ApiError("ValidationException", f"The local cloud does not support '{field}' of Step Functions")


def instant(value: Any) -> float:
    """Write an instant as JSON: seconds since 1970."""
    if isinstance(value, datetime):
        return round(value.timestamp(), 3)
    raise TypeError(f"an answer holds no {type(value).__name__}")

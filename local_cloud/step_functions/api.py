"""Step Functions' API: JSON in, JSON out, by operation."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from local_cloud.step_functions.definition import Diagnostic, read
from local_cloud.step_functions.errors import ApiError
from local_cloud.step_functions.executions import Executions
from local_cloud.step_functions.machines import StateMachines
from local_cloud.step_functions.records import Execution, StateMachine, tag_list

_STATUSES = ("RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED", "PENDING_REDRIVE")
#: What a page holds at most, and by default (API reference, `maxResults`).
_LONGEST_PAGE = 1000
_PAGE = 100
_DATA_FIELDS = ("input", "output")

Request = Mapping[str, Any]
Answer = dict[str, Any]
T = TypeVar("T")


class Api:
    """Answers the operations that the local cloud supports; any other is refused by its name."""

    def __init__(self, machines: StateMachines, executions: Executions) -> None:
        self._machines = machines
        self._executions = executions
        self._operations: dict[str, Callable[[Request], Answer]] = {
            "CreateStateMachine": self._create_state_machine,
            "UpdateStateMachine": self._update_state_machine,
            "DeleteStateMachine": self._delete_state_machine,
            "DescribeStateMachine": self._describe_machine,
            "DescribeStateMachineForExecution": self._describe_machine_for_execution,
            "ListStateMachines": self._list_state_machines,
            "ValidateStateMachineDefinition": self._validate,
            "StartExecution": self._start_execution,
            "StopExecution": self._stop_execution,
            "DescribeExecution": self._describe_execution,
            "ListExecutions": self._list_executions,
            "GetExecutionHistory": self._get_execution_history,
            "SendTaskSuccess": self._send_task_success,
            "SendTaskFailure": self._send_task_failure,
            "SendTaskHeartbeat": self._send_task_heartbeat,
            "TagResource": self._tag_resource,
            "UntagResource": self._untag_resource,
            "ListTagsForResource": self._list_tags,
        }

    def call(self, operation: str, body: bytes) -> tuple[int, bytes]:
        """Answer a request; answers with the HTTP status and the body."""
        try:
            handle = self._operations.get(operation)
            if handle is None:
                raise ApiError(
                    "UnknownOperationException",
                    f"The local cloud does not support Step Functions' operation {operation or '(none)'}. "
                    f"It supports {', '.join(sorted(self._operations))}.",
                )
            return 200, json.dumps(handle(_parse(body)), default=_instant).encode()
        except ApiError as error:
            return error.status, json.dumps({"__type": error.code, "message": error.message}).encode()

    def _create_state_machine(self, request: Request) -> Answer:
        _refuse(request, "publish", "versionDescription", "encryptionConfiguration")
        machine = self._machines.create(
            _text(request, "name"),
            _text(request, "definition"),
            _text(request, "roleArn"),
            machine_type=request.get("type"),
            logging=request.get("loggingConfiguration"),
            tracing=request.get("tracingConfiguration"),
            tags={tag["key"]: tag.get("value", "") for tag in request.get("tags") or []},
        )
        return {"stateMachineArn": machine.arn, "creationDate": machine.creation_date}

    def _update_state_machine(self, request: Request) -> Answer:
        _refuse(request, "publish", "versionDescription", "encryptionConfiguration")
        machine = self._machines.update(
            _text(request, "stateMachineArn"),
            definition=request.get("definition"),
            role_arn=request.get("roleArn"),
            logging=request.get("loggingConfiguration"),
            tracing=request.get("tracingConfiguration"),
        )
        return {"updateDate": machine.update_date, "revisionId": machine.revision_id}

    def _delete_state_machine(self, request: Request) -> Answer:
        arn = _text(request, "stateMachineArn")
        if self._machines.delete(arn) is not None:
            self._executions.forget_machine(arn)
        return {}

    def _describe_machine(self, request: Request) -> Answer:
        return describe_machine(self._machines.get(_text(request, "stateMachineArn")))

    def _describe_execution(self, request: Request) -> Answer:
        return describe_execution(self._executions.get(_text(request, "executionArn")))

    def _describe_machine_for_execution(self, request: Request) -> Answer:
        machine = self._executions.get(_text(request, "executionArn")).state_machine
        answer = describe_machine(machine)
        for field in ("creationDate", "status", "type"):
            del answer[field]
        return {**answer, "updateDate": machine.update_date or machine.creation_date}

    def _list_state_machines(self, request: Request) -> Answer:
        page, token = _page(self._machines.all(), request)
        return {
            "stateMachines": [
                {
                    "stateMachineArn": machine.arn,
                    "name": machine.name,
                    "type": machine.type,
                    "creationDate": machine.creation_date,
                }
                for machine in page
            ],
            **token,
        }

    def _validate(self, request: Request) -> Answer:
        try:
            diagnostics = self._machines.diagnose(read(_text(request, "definition"), or_yaml=False))
        except ApiError as error:
            diagnostics = [Diagnostic("INVALID_JSON_DESCRIPTION", error.message)]
        return {
            "result": "FAIL" if diagnostics else "OK",
            "diagnostics": [
                {
                    "severity": "ERROR",
                    "code": found.code,
                    "message": found.message,
                    **({"location": found.location} if found.location else {}),
                }
                for found in diagnostics
            ],
            "truncated": False,
        }

    def _start_execution(self, request: Request) -> Answer:
        execution = self._executions.start(
            self._machines.get(_text(request, "stateMachineArn")),
            "{}" if request.get("input") is None else _text(request, "input"),
            request.get("name"),
            request.get("traceHeader"),
        )
        return {"executionArn": execution.arn, "startDate": execution.start_date}

    def _stop_execution(self, request: Request) -> Answer:
        execution = self._executions.stop(_text(request, "executionArn"), request.get("error"), request.get("cause"))
        return {"stopDate": execution.stop_date}

    def _list_executions(self, request: Request) -> Answer:
        _refuse(request, "mapRunArn", "redriveFilter")
        status = request.get("statusFilter")
        if status not in (None, *_STATUSES):
            raise ApiError("ValidationException", f"'statusFilter' must be one of {', '.join(_STATUSES)}, not {status}")
        machine = self._machines.get(_text(request, "stateMachineArn"))
        page, token = _page(self._executions.of_machine(machine.arn, status), request)
        fields = ("executionArn", "stateMachineArn", "name", "status", "startDate", "stopDate", "redriveCount")
        described = [describe_execution(execution) for execution in page]
        return {
            "executions": [{field: item[field] for field in fields if field in item} for item in described],
            **token,
        }

    def _get_execution_history(self, request: Request) -> Answer:
        events: Sequence[dict[str, Any]] = self._executions.history(_text(request, "executionArn"))
        if request.get("reverseOrder"):
            events = events[::-1]
        page, token = _page(events, request)
        if request.get("includeExecutionData") is False:
            page = [_without_data(event) for event in page]
        return {"events": page, **token}

    def _send_task_success(self, request: Request) -> Answer:
        self._executions.succeed_task(_text(request, "taskToken"), _text(request, "output"))
        return {}

    def _send_task_failure(self, request: Request) -> Answer:
        self._executions.fail_task(_text(request, "taskToken"), request.get("error"), request.get("cause"))
        return {}

    def _send_task_heartbeat(self, request: Request) -> Answer:
        self._executions.heartbeat(_text(request, "taskToken"))
        return {}

    def _tag_resource(self, request: Request) -> Answer:
        tags = {tag["key"]: tag.get("value", "") for tag in request.get("tags") or []}
        self._machines.tag(_text(request, "resourceArn"), tags, [])
        return {}

    def _untag_resource(self, request: Request) -> Answer:
        self._machines.tag(_text(request, "resourceArn"), {}, list(request.get("tagKeys") or []))
        return {}

    def _list_tags(self, request: Request) -> Answer:
        return {"tags": tag_list(self._machines.tags(_text(request, "resourceArn")))}


def describe_machine(machine: StateMachine) -> Answer:
    """Describe a state machine as DescribeStateMachine does."""
    answer = {
        "stateMachineArn": machine.arn,
        "name": machine.name,
        "status": "ACTIVE",
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


def _without_data(event: Mapping[str, Any]) -> dict[str, Any]:
    stripped = dict(event)
    for key, value in event.items():
        if isinstance(value, Mapping):
            stripped[key] = {name: item for name, item in value.items() if name not in _DATA_FIELDS}
    return stripped


def _page(items: Sequence[T], request: Request) -> tuple[Sequence[T], dict[str, str]]:
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


def _parse(body: bytes) -> Request:
    try:
        request = json.loads(body or b"{}")
    except json.JSONDecodeError as error:
        raise ApiError("SerializationException", f"The request is not JSON: {error}") from error
    if not isinstance(request, dict):
        raise ApiError("SerializationException", "The request is not a JSON object")
    return request


def _text(request: Request, field: str) -> str:
    value = request.get(field)
    if not isinstance(value, str):
        shown = "null" if value is None else json.dumps(value)
        raise ApiError(
            "ValidationException",
            f"1 validation error detected: Value {shown} at '{field}' failed to satisfy constraint: Member must "
            f"{'not be null' if value is None else 'be a string'}",
        )
    return value


def _refuse(request: Request, *fields: str) -> None:
    for field in fields:
        if request.get(field) and request[field] != {"type": "AWS_OWNED_KEY"}:
            raise ApiError("ValidationException", f"The local cloud does not support '{field}' of Step Functions")


def _instant(value: Any) -> float:
    if isinstance(value, datetime):
        return round(value.timestamp(), 3)
    raise TypeError(f"an answer holds no {type(value).__name__}")

"""Step Functions' API: JSON in, JSON out, by operation."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from local_cloud.step_functions.definition import Diagnostic, read
from local_cloud.step_functions.errors import ApiError
from local_cloud.step_functions.executions import Executions
from local_cloud.step_functions.machines import StateMachines
from local_cloud.step_functions.records import tag_list
from local_cloud.step_functions.shapes import (
    Answer,
    Request,
    describe_execution,
    describe_machine,
    instant,
    page,
    parse,
    refuse,
    short_text,
    text,
    without_data,
)

#: API reference, StopExecution and SendTaskFailure: the most characters.
_LONGEST_ERROR = 256
_LONGEST_CAUSE = 32_768
_STATUSES = ("RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED", "PENDING_REDRIVE")


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
            return 200, json.dumps(handle(parse(body)), default=instant).encode()
        except ApiError as error:
            return error.status, json.dumps({"__type": error.code, "message": error.message}).encode()

    def _create_state_machine(self, request: Request) -> Answer:
        refuse(request, "publish", "versionDescription", "encryptionConfiguration")
        machine = self._machines.create(
            text(request, "name"),
            text(request, "definition"),
            text(request, "roleArn"),
            machine_type=request.get("type"),
            logging=request.get("loggingConfiguration"),
            tracing=request.get("tracingConfiguration"),
            tags={tag["key"]: tag.get("value", "") for tag in request.get("tags") or []},
        )
        return {"stateMachineArn": machine.arn, "creationDate": machine.creation_date}

    def _update_state_machine(self, request: Request) -> Answer:
        refuse(request, "publish", "versionDescription", "encryptionConfiguration")
        machine = self._machines.update(
            text(request, "stateMachineArn"),
            definition=request.get("definition"),
            role_arn=request.get("roleArn"),
            logging=request.get("loggingConfiguration"),
            tracing=request.get("tracingConfiguration"),
        )
        return {"updateDate": machine.update_date, "revisionId": machine.revision_id}

    def _delete_state_machine(self, request: Request) -> Answer:
        arn = text(request, "stateMachineArn")
        self._machines.begin_deletion(arn)
        self._executions.end_machine(arn)
        return {}

    def _describe_machine(self, request: Request) -> Answer:
        return describe_machine(self._machines.get(text(request, "stateMachineArn")))

    def _describe_execution(self, request: Request) -> Answer:
        return describe_execution(self._executions.get(text(request, "executionArn")))

    def _describe_machine_for_execution(self, request: Request) -> Answer:
        machine = self._executions.get(text(request, "executionArn")).state_machine
        answer = describe_machine(machine)
        for field in ("creationDate", "status", "type"):
            del answer[field]
        return {**answer, "updateDate": machine.update_date or machine.creation_date}

    def _list_state_machines(self, request: Request) -> Answer:
        found, token = page(self._machines.all(), request)
        return {
            "stateMachines": [
                {
                    "stateMachineArn": machine.arn,
                    "name": machine.name,
                    "type": machine.type,
                    "creationDate": machine.creation_date,
                }
                for machine in found
            ],
            **token,
        }

    def _validate(self, request: Request) -> Answer:
        try:
            diagnostics = self._machines.diagnose(read(text(request, "definition"), or_yaml=False))
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
            self._machines.active(text(request, "stateMachineArn")),
            "{}" if request.get("input") is None else text(request, "input"),
            request.get("name"),
            request.get("traceHeader"),
        )
        return {"executionArn": execution.arn, "startDate": execution.start_date}

    def _stop_execution(self, request: Request) -> Answer:
        execution = self._executions.stop(text(request, "executionArn"), *_error_and_cause(request))
        return {"stopDate": execution.stop_date}

    def _list_executions(self, request: Request) -> Answer:
        refuse(request, "mapRunArn", "redriveFilter")
        status = request.get("statusFilter")
        if status not in (None, *_STATUSES):
            raise ApiError("ValidationException", f"'statusFilter' must be one of {', '.join(_STATUSES)}, not {status}")
        machine = self._machines.get(text(request, "stateMachineArn"))
        found, token = page(self._executions.of_machine(machine.arn, status), request)
        fields = ("executionArn", "stateMachineArn", "name", "status", "startDate", "stopDate", "redriveCount")
        described = [describe_execution(execution) for execution in found]
        return {
            "executions": [{field: item[field] for field in fields if field in item} for item in described],
            **token,
        }

    def _get_execution_history(self, request: Request) -> Answer:
        events: Sequence[dict[str, Any]] = self._executions.history(text(request, "executionArn"))
        if request.get("reverseOrder"):
            events = events[::-1]
        found, token = page(events, request)
        if request.get("includeExecutionData") is False:
            found = [without_data(event) for event in found]
        return {"events": found, **token}

    def _send_task_success(self, request: Request) -> Answer:
        self._executions.succeed_task(text(request, "taskToken"), text(request, "output"))
        return {}

    def _send_task_failure(self, request: Request) -> Answer:
        self._executions.fail_task(text(request, "taskToken"), *_error_and_cause(request))
        return {}

    def _send_task_heartbeat(self, request: Request) -> Answer:
        self._executions.heartbeat(text(request, "taskToken"))
        return {}

    def _tag_resource(self, request: Request) -> Answer:
        tags = {tag["key"]: tag.get("value", "") for tag in request.get("tags") or []}
        self._machines.tag(text(request, "resourceArn"), tags, [])
        return {}

    def _untag_resource(self, request: Request) -> Answer:
        self._machines.tag(text(request, "resourceArn"), {}, list(request.get("tagKeys") or []))
        return {}

    def _list_tags(self, request: Request) -> Answer:
        return {"tags": tag_list(self._machines.tags(text(request, "resourceArn")))}


def _error_and_cause(request: Request) -> tuple[str | None, str | None]:
    return short_text(request, "error", _LONGEST_ERROR), short_text(request, "cause", _LONGEST_CAUSE)

"""EventBridge's "Step Functions Execution Status Change" events.

Shape: Step Functions Developer Guide, "Automating Step Functions event delivery using EventBridge".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from local_cloud.step_functions.records import Execution

#: Input and output together may take 248 KiB in an event; AWS leaves out what is larger.
MAXIMUM_DATA_BYTES = 248 * 1024


def emit_status(emit: Callable[[str, str, Mapping[str, Any], Sequence[str]], None], execution: Execution) -> None:
    """Put the execution's present status on the default event bus."""
    emit("aws.states", "Step Functions Execution Status Change", status_detail(execution), [execution.arn])


def status_detail(execution: Execution) -> dict[str, Any]:
    """Describe the execution as the event's detail does; instants are milliseconds since 1970."""
    size = len(execution.input.encode()) + len((execution.output or "").encode())
    included = size <= MAXIMUM_DATA_BYTES
    has_output = included and execution.output is not None
    return {
        "executionArn": execution.arn,
        "stateMachineArn": execution.state_machine_arn,
        "stateMachineVersionArn": None,
        "stateMachineAliasArn": None,
        "name": execution.name,
        "status": execution.status,
        "startDate": _milliseconds(execution.start_date),
        "stopDate": _milliseconds(execution.stop_date) if execution.stop_date else None,
        "input": execution.input if included else None,
        "inputDetails": {"included": included},
        "output": execution.output if has_output else None,
        "outputDetails": {"included": True} if has_output else None,
        "error": execution.error,
        "cause": execution.cause,
        "redriveCount": 0,
        "redriveDate": None,
        "redriveStatus": "NOT_REDRIVABLE" if execution.status in ("RUNNING", "SUCCEEDED") else "REDRIVABLE",
        "redriveStatusReason": None,
    }


def _milliseconds(instant: datetime) -> int:
    return round(instant.timestamp() * 1000)

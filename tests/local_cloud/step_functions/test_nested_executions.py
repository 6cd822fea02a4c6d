"""A state machine that starts another one, and waits for it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.local_cloud.step_functions.cloud import CallError, Cloud, output
from tests.local_cloud.step_functions.front_door import FrontDoor

START = "arn:aws:states:::states:startExecution"
DOUBLE = {
    "StartAt": "Say",
    "States": {"Say": {"Type": "Pass", "Result": {"said": 2}, "ResultPath": "$.more", "End": True}},
}
FAILS = {"StartAt": "F", "States": {"F": {"Type": "Fail", "Error": "NoGood", "Cause": "rolled back"}}}
SLOW = {"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 60, "End": True}}}


@pytest.fixture(autouse=True)
def reachable(cloud: Cloud, door: FrontDoor) -> None:
    """Let the state machines' calls to Step Functions come back to it."""

    def states(operation: str, request: dict[str, Any]) -> dict[str, Any]:
        try:
            return cloud.call(operation, **request)
        except CallError as error:
            raise LookupError(error.code, error.message) from error

    door.states = states


def parent(machine: str, pattern: str = ".sync:2", **fields: Any) -> dict[str, Any]:
    """Make a machine that starts another one."""
    task = {
        "Type": "Task",
        "Resource": f"{START}{pattern}",
        "Parameters": {"StateMachineArn": machine, "Name": "child", "Input": {"number.$": "$.number", "fixed": "x"}},
        "End": True,
        **fields,
    }
    return {"StartAt": "S", "States": {"S": task}}


def test_it_waits_and_has_the_output(cloud: Cloud) -> None:
    """With .sync:2 input and output are JSON; the other execution's name and input are as asked."""
    child = cloud.create(DOUBLE, "child")
    described = cloud.run(parent(child), {"number": 7})
    result = output(described)

    assert result["Status"] == "SUCCEEDED"
    assert result["Output"] == {"number": 7, "fixed": "x", "more": {"said": 2}}
    assert result["Input"] == {"number": 7, "fixed": "x"}
    assert result["ExecutionArn"].endswith(":execution:child:child")
    assert [event["type"] for event in cloud.history(described["executionArn"])] == [
        "ExecutionStarted",
        "TaskStateEntered",
        "TaskScheduled",
        "TaskStarted",
        "TaskSubmitted",
        "TaskSucceeded",
        "TaskStateExited",
        "ExecutionSucceeded",
    ]


def test_sync_gives_the_output_as_text(cloud: Cloud) -> None:
    """That is the difference between the two."""
    child = cloud.create(DOUBLE, "child")
    result = output(cloud.run(parent(child, ".sync"), {"number": 7}))

    assert json.loads(result["Output"])["more"] == {"said": 2}


def test_without_sync_it_goes_on_at_once(cloud: Cloud) -> None:
    """The answer is StartExecution's."""
    child = cloud.create(SLOW, "child")
    result = output(cloud.run(parent(child, ""), {"number": 7}))

    assert result.keys() == {"ExecutionArn", "StartDate"}
    assert cloud.call("DescribeExecution", executionArn=result["ExecutionArn"])["status"] == "RUNNING"


def test_a_failure_of_the_other_is_a_failed_task(cloud: Cloud) -> None:
    """The cause is the other execution's description, with its error and cause."""
    child = cloud.create(FAILS, "child")
    described = cloud.run(parent(child), {"number": 7})

    assert described["status"] == "FAILED"
    assert described["error"] == "States.TaskFailed"
    cause = json.loads(described["cause"])
    assert (cause["Error"], cause["Cause"], cause["Status"]) == ("NoGood", "rolled back", "FAILED")


def test_a_task_that_times_out_stops_the_other(cloud: Cloud) -> None:
    """Nothing goes on that nobody waits for."""
    child = cloud.create(SLOW, "child")
    described = cloud.run(parent(child, TimeoutSeconds=1), {"number": 7})

    assert described["error"] == "States.Timeout"
    assert cloud.ended(f"{child.replace(':stateMachine:', ':execution:')}:child")["status"] == "ABORTED"


def test_a_stopped_execution_stops_the_other(cloud: Cloud) -> None:
    """The same for StopExecution."""
    child = cloud.create(SLOW, "child")
    execution = cloud.start(cloud.create(parent(child), "parent"), {"number": 7})
    cloud.wait_for(execution, "TaskSubmitted")
    cloud.call("StopExecution", executionArn=execution)

    assert cloud.ended(execution)["status"] == "ABORTED"
    assert cloud.ended(f"{child.replace(':stateMachine:', ':execution:')}:child")["status"] == "ABORTED"


def test_a_name_that_was_used_is_an_error_with_its_name(cloud: Cloud) -> None:
    """Retry and Catch can tell it from others."""
    child = cloud.create(DOUBLE, "child")
    cloud.ended(cloud.start(child, {"other": 1}, name="child"))
    described = cloud.run(parent(child), {"number": 7})

    assert described["error"] == "StepFunctions.ExecutionAlreadyExistsException"


def test_the_role_must_be_allowed_to_hear_of_the_end(cloud: Cloud) -> None:
    """A .sync task needs the rule that AWS manages; the state machine is refused without it."""
    child = cloud.create(DOUBLE, "child")
    rule = "arn:aws:events:us-east-1:000000000000:rule/StepFunctionsGetEventsForStepFunctionsExecutionRule"
    cloud.refused.add(("events:PutRule", rule))

    with pytest.raises(CallError, match="managed-rule"):
        cloud.create(parent(child), "parent")

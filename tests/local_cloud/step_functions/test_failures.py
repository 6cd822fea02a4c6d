"""How executions fail: which error, which cause, which events."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from local_cloud.step_functions.engine import history
from tests.local_cloud.step_functions.cloud import CallError, Cloud, output
from tests.local_cloud.step_functions.front_door import ROLE, FrontDoor, FunctionDiedError

INVOKE = {
    "Type": "Task",
    "Resource": "arn:aws:states:::lambda:invoke",
    "Parameters": {"FunctionName": "f", "Payload.$": "$"},
    "End": True,
}
FUNCTION = {"Type": "Task", "Resource": "arn:aws:lambda:us-east-1:000000000000:function:f", "End": True}
DONE = {"Type": "Succeed"}


def one(state: dict[str, Any], **others: Any) -> dict[str, Any]:
    """Make a machine of one state and its companions."""
    return {"StartAt": "S", "States": {"S": state, **others}}


def events(cloud: Cloud, described: dict[str, Any]) -> list[str]:
    """The types of an execution's events."""
    return [event["type"] for event in cloud.history(described["executionArn"])]


def test_a_choice_whose_variable_is_not_there_fails(cloud: Cloud) -> None:
    """With AWS's words, though there is a Default, and no catcher can help."""
    rule = {"Variable": "$.b", "StringEquals": "x", "Next": "T"}
    described = cloud.run(one({"Type": "Choice", "Choices": [rule], "Default": "T"}, T=DONE), {"a": 1})

    assert (described["status"], described["error"]) == ("FAILED", "States.Runtime")
    assert "Invalid path '$.b': The choice state's condition path references an invalid value." in described["cause"]


@pytest.mark.parametrize("given", [{"a": 1}, {"a": 1, "b": "x"}])
def test_a_choice_may_ask_first_whether_a_variable_is_there(cloud: Cloud, given: dict[str, Any]) -> None:
    """And stops at its first rule that does not hold, so the next one is safe."""
    there = {"Variable": "$.b", "IsPresent": True}
    rule = {"And": [there, {"Variable": "$.b", "StringEquals": "x"}], "Next": "Yes"}
    machine = one(
        {"Type": "Choice", "Choices": [rule], "Default": "No"},
        Yes={"Type": "Pass", "Result": "yes", "End": True},
        No={"Type": "Pass", "Result": "no", "End": True},
    )

    assert output(cloud.run(machine, given)) == ("yes" if "b" in given else "no")


def test_a_result_that_does_not_fit_into_the_input_is_named(cloud: Cloud, door: FrontDoor) -> None:
    """States.ResultPathMatchFailure, which a Task can catch."""
    door.functions["f"] = lambda _: 1
    described = cloud.run(one({"Type": "Pass", "Result": 1, "ResultPath": "$.a.b", "End": True}), {"a": "text"})
    catch = [{"ErrorEquals": ["States.ResultPathMatchFailure"], "ResultPath": "$.error", "Next": "T"}]
    caught = cloud.run(one({**INVOKE, "ResultPath": "$.a.b", "Catch": catch}, T=DONE), {"a": "text"})

    assert (described["status"], described["error"]) == ("FAILED", "States.ResultPathMatchFailure")
    assert output(caught)["error"]["Error"] == "States.ResultPathMatchFailure"


def test_an_argument_whose_path_is_not_there_ends_the_execution(cloud: Cloud, door: FrontDoor) -> None:
    """With the path, the field and the input; the task was never scheduled, and nothing can catch it."""
    catch = [{"ErrorEquals": ["States.ALL"], "Next": "T"}]
    arguments = {"FunctionName": "f", "Payload": {"deep.$": "$.b"}}
    described = cloud.run(one({**INVOKE, "Parameters": arguments, "Catch": catch}, T=DONE), {"a": 1})

    assert (described["status"], described["error"]) == ("FAILED", "States.Runtime")
    assert described["cause"] == (
        "An error occurred while executing the state 'S' (entered at the event id #2). The JSONPath '$.b' specified "
        "for the field 'deep.$' could not be found in the input '{\"a\":1}'"
    )
    assert events(cloud, described) == ["ExecutionStarted", "TaskStateEntered", "ExecutionFailed"]
    assert door.calls == []


def test_a_variable_that_no_state_assigns_is_refused(cloud: Cloud) -> None:
    """Before deployment, wherever it stands, but not the text of a template."""
    parameters = {"a.$": "States.Format('$text {}', $missing)"}
    with pytest.raises(CallError, match=r"The variable \$missing is assigned in no state at /States/S/Parameters/a.\$"):
        cloud.run(one({"Type": "Pass", "Parameters": parameters, "End": True}))


@pytest.mark.parametrize(("state", "event"), [(INVOKE, "TaskFailed"), (FUNCTION, "LambdaFunctionFailed")])
def test_a_function_that_dies_is_lambda_unknown(
    cloud: Cloud, door: FrontDoor, state: dict[str, Any], event: str
) -> None:
    """Lambda reports no error type for a function that ran out of memory or of time; States.TaskFailed matches it."""

    def die(_: Any) -> None:
        raise FunctionDiedError("Task timed out after 3.00 seconds")

    door.functions["f"] = die
    described = cloud.run(one(state))
    catch = [{"ErrorEquals": ["States.TaskFailed"], "Next": "T"}]
    caught = cloud.run(one({**state, "Catch": catch}, T=DONE))

    assert described["error"] == "Lambda.Unknown"
    assert json.loads(described["cause"]) == {"errorMessage": "Task timed out after 3.00 seconds"}
    assert events(cloud, described)[-2:] == [event, "ExecutionFailed"]
    assert output(caught)["Error"] == "Lambda.Unknown"


@pytest.mark.parametrize("state", [INVOKE, FUNCTION])
def test_a_throttled_function_can_be_retried_by_name(cloud: Cloud, door: FrontDoor, state: dict[str, Any]) -> None:
    """Lambda's own errors have its name before them."""
    door.errors["lambda:InvokeFunction"] = ("TooManyRequestsException", "Rate Exceeded.")
    described = cloud.run(one(state))

    assert described["error"] == "Lambda.TooManyRequestsException"
    assert described["cause"].startswith("Rate Exceeded. (Service: AWSLambda; Status Code: 429; Error Code: TooMany")


def test_a_function_named_by_its_arn_has_events_of_its_own(cloud: Cloud, door: FrontDoor) -> None:
    """LambdaFunctionScheduled, Started and Succeeded, where lambda:invoke has those of a task; each after the last."""
    door.functions["f"] = lambda event: event
    described = cloud.run(one({**FUNCTION, "TimeoutSeconds": 30}), {"a": [1, 2]})
    found = cloud.history(described["executionArn"])

    assert [(event["type"], event["previousEventId"]) for event in found] == [
        ("ExecutionStarted", 0),
        ("TaskStateEntered", 0),
        ("LambdaFunctionScheduled", 2),
        ("LambdaFunctionStarted", 3),
        ("LambdaFunctionSucceeded", 4),
        ("TaskStateExited", 5),
        ("ExecutionSucceeded", 6),
    ]
    assert found[2]["lambdaFunctionScheduledEventDetails"] == {
        "resource": FUNCTION["Resource"],
        "input": '{"a":[1,2]}',
        "inputDetails": {"truncated": False},
        "timeoutInSeconds": 30,
    }


def test_a_history_that_is_full_ends_the_execution(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that never ends by itself fails with its last possible event, and its history holds no more."""
    monkeypatch.setattr(history, "MAXIMUM_EVENTS", 100)
    rule = {"Variable": "$.stop", "BooleanEquals": True, "Next": "T"}
    machine = one({"Type": "Pass", "Next": "C"}, C={"Type": "Choice", "Choices": [rule], "Default": "S"}, T=DONE)
    described = cloud.run(machine, {"stop": False})
    found = cloud.history(described["executionArn"])

    assert (described["status"], described["error"]) == ("FAILED", "States.Runtime")
    assert described["cause"] == "The execution reached the maximum number of history events (100)."
    assert (len(found), found[-1]["type"]) == (100, "ExecutionFailed")


def test_a_full_history_stops_a_job_that_is_awaited(
    cloud: Cloud, door: FrontDoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A branch that fills the history takes the other branch's job with it."""
    monkeypatch.setattr(history, "MAXIMUM_EVENTS", 60)
    door.job_result = None
    job = {
        "Type": "Task",
        "Resource": "arn:aws:states:::sagemaker:createTransformJob.sync",
        "Parameters": {
            "TransformJobName": "x",
            "ModelName": "m",
            "TransformInput": {"DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://b/in"}}},
            "TransformOutput": {"S3OutputPath": "s3://b/out"},
            "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
        },
        "End": True,
    }
    turn = {"Type": "Wait", "SecondsPath": "$.wait", "Next": "C"}
    choice = {
        "Type": "Choice",
        "Choices": [{"Variable": "$.stop", "BooleanEquals": True, "Next": "D"}],
        "Default": "W",
    }
    turning = {"StartAt": "W", "States": {"W": turn, "C": choice, "D": DONE}}
    branches = [{"StartAt": "J", "States": {"J": job}}, turning]
    arn = cloud.start(
        cloud.create(one({"Type": "Parallel", "Branches": branches, "End": True})), {"stop": False, "wait": 0}
    )
    described = cloud.ended(arn)

    def begun_and_stopped() -> tuple[int, int]:
        return len(door.requests("sagemaker:CreateTransformJob")), len(door.requests("sagemaker:StopTransformJob"))

    deadline = time.monotonic() + 10  # the other branch stops its job when it sees that the execution has ended
    while len(set(begun_and_stopped())) > 1 and time.monotonic() < deadline:
        time.sleep(0.01)
    begun, stopped = begun_and_stopped()

    assert described["status"] == "FAILED"
    assert "maximum number of history events (60)" in described["cause"]
    assert stopped == begun


def test_a_machine_that_times_out_stops_the_job_that_it_awaits(cloud: Cloud, door: FrontDoor) -> None:
    """TIMED_OUT, with the event that says so last, and the job gets its StopProcessingJob."""
    door.job_result = None
    resources = {"ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}}
    job = {
        "Type": "Task",
        "Resource": "arn:aws:states:::sagemaker:createProcessingJob.sync",
        "Parameters": {
            "ProcessingJobName": "j",
            "ProcessingResources": resources,
            "AppSpecification": {"ImageUri": "image"},
            "RoleArn": ROLE,
        },
        "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "T"}],
        "End": True,
    }
    described = cloud.run({"TimeoutSeconds": 1, **one(job, T=DONE)})
    for _ in range(300):
        if door.requests("sagemaker:StopProcessingJob"):
            break
        time.sleep(0.01)

    assert described["status"] == "TIMED_OUT"
    assert events(cloud, described)[-1] == "ExecutionTimedOut"
    assert door.requests("sagemaker:StopProcessingJob") == [{"ProcessingJobName": "j"}]


@pytest.mark.parametrize(
    ("state", "error", "cause"),
    [
        (
            {"Type": "Fail", "Error": "E", "CausePath": "$.a"},
            "States.Runtime",
            "The CausePath '$.a' must select a field that contains a string value",
        ),
        ({"Type": "Fail", "ErrorPath": "$.n"}, "States.Runtime", "The ErrorPath '$.n' must select a field that"),
        (
            {"Type": "Fail", "Error": "{% $states.input.n %}"},
            "States.QueryEvaluationError",
            "The JSONata expression '$states.input.n' specified for the field 'Error' returned an unexpected result "
            "type. Expected 'string', but was 'number' for value: 5",
        ),
        ({"Type": "Wait", "Seconds": "{% 'soon' %}", "End": True}, "States.QueryEvaluationError", "field 'Seconds'"),
        (
            {"Type": "Choice", "Choices": [{"Condition": "{% $states.input.n %}", "Next": "T"}], "Default": "T"},
            "States.QueryEvaluationError",
            "Expected 'boolean', but was 'number' for value: 5",
        ),
        (
            {"Type": "Pass", "Output": "{% [function($x) { $x }] %}", "End": True},
            "States.QueryEvaluationError",
            "returned an unsupported result type.",
        ),
        (
            {"Type": "Pass", "Output": "{% $eval('1 + 1') %}", "End": True},
            "States.QueryEvaluationError",
            "Attempted to invoke a non-function",
        ),
    ],
)
def test_a_value_of_the_wrong_type_is_named(cloud: Cloud, state: dict[str, Any], error: str, cause: str) -> None:
    """In the error's own words, without a Python object's."""
    language = "JSONata" if "{%" in json.dumps(state) else "JSONPath"
    others = {"T": DONE} if "Choices" in state else {}
    described = cloud.run({"QueryLanguage": language, **one(state, **others)}, {"a": {"b": 1}, "n": 5})

    assert (described["status"], described["error"]) == ("FAILED", error)
    assert cause in described["cause"]


@pytest.mark.parametrize("field", ["TimeoutSeconds", "HeartbeatSeconds"])
def test_a_time_limit_that_is_no_number_can_be_caught(cloud: Cloud, door: FrontDoor, field: str) -> None:
    """It is an error of the state whose limit it is."""
    door.functions["f"] = lambda _: None
    arguments = {"FunctionName": "f", "Payload": {"token": "{% $states.context.Task.Token %}"}}
    state = {
        "Type": "Task",
        "Resource": f"{INVOKE['Resource']}.waitForTaskToken",
        "Arguments": arguments,
        field: "{% $states.input.t %}",
        "Catch": [{"ErrorEquals": ["States.QueryEvaluationError"], "Output": "{% $states.errorOutput %}", "Next": "T"}],
        "End": True,
    }
    caught = output(cloud.run({"QueryLanguage": "JSONata", **one(state, T=DONE)}, {"t": "soon"}))

    assert f"specified for the field '{field}'" in caught["Cause"]
    assert "Expected 'number', but was 'string' for value: \"soon\"" in caught["Cause"]


def test_the_context_item_may_stand_below_a_step(cloud: Cloud) -> None:
    """As in a predicate, where it is the item that is asked about."""
    state = {"Type": "Pass", "Output": "{% $states.input.items[$ > 1] %}", "End": True}

    assert output(cloud.run({"QueryLanguage": "JSONata", **one(state)}, {"items": [1, 2, 3]})) == [2, 3]


def test_a_missed_heartbeat_is_caught_by_either_name(cloud: Cloud, door: FrontDoor) -> None:
    """By that of the heartbeat, and by that which the history shows."""
    door.functions["f"] = lambda _: None
    waiting = {
        **INVOKE,
        "Resource": f"{INVOKE['Resource']}.waitForTaskToken",
        "Parameters": {"FunctionName": "f", "Payload": {"token.$": "$$.Task.Token"}},
        "HeartbeatSeconds": 1,
    }
    branches = [
        {
            "StartAt": name,
            "States": {
                name: {**waiting, "Catch": [{"ErrorEquals": [name], "Next": f"After {name}"}]},
                f"After {name}": DONE,
            },
        }
        for name in ("States.HeartbeatTimeout", "States.Timeout")
    ]
    caught = output(cloud.run(one({"Type": "Parallel", "Branches": branches, "End": True})))

    assert [error["Error"] for error in caught] == ["States.Timeout"] * 2


def test_a_task_that_sends_no_heartbeat_times_out(cloud: Cloud, door: FrontDoor) -> None:
    """Long before its own time is up; each heartbeat gives it another span."""
    door.functions["f"] = lambda _: None
    state = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
        "Parameters": {"FunctionName": "f", "Payload": {"token.$": "$$.Task.Token"}},
        "HeartbeatSeconds": 3,
        "TimeoutSeconds": 600,
        "End": True,
    }
    execution = cloud.start(cloud.create(one(state)))
    cloud.wait_for(execution, "TaskSubmitted")
    token = door.requests("lambda:InvokeFunction")[0]["Payload"]["token"]
    begun = time.monotonic()
    while time.monotonic() < begun + 3.5:
        cloud.call("SendTaskHeartbeat", taskToken=token)
        time.sleep(0.3)
    prolonged = cloud.call("DescribeExecution", executionArn=execution)["status"]
    described = cloud.ended(execution)

    assert prolonged == "RUNNING"
    assert (described["status"], described["error"]) == ("FAILED", "States.Timeout")
    assert "TaskTimedOut" in events(cloud, described)
    with pytest.raises(CallError) as late:
        cloud.call("SendTaskSuccess", taskToken=token, output="{}")
    assert late.value.code in ("TaskTimedOut", "InvalidToken")

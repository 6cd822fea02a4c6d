"""The API: what it answers, what it refuses, what lasts."""

from __future__ import annotations

import json
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from local_cloud.step_functions.engine import loading, run
from tests.local_cloud.step_functions.cloud import CallError, Cloud, output
from tests.local_cloud.step_functions.front_door import ROLE, FrontDoor

PASS = {"StartAt": "P", "States": {"P": {"Type": "Pass", "End": True}}}
WAIT = {"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 600, "End": True}}}
GROUP = "arn:aws:logs:us-east-1:000000000000:log-group:/states/machine:*"


def test_a_service_that_cannot_start_leaves_room_for_the_next(door: FrontDoor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever keeps one from starting is what is reported, and the next try may work."""
    with monkeypatch.context() as patched:
        patched.setattr(loading, "load", _fail)
        with pytest.raises(ImportError, match="no engine"):
            Cloud(door).service.start()

    again = Cloud(door)
    try:
        again.service.start()
        assert again.run(PASS)["status"] == "SUCCEEDED"
    finally:
        again.service.close()


def test_state_that_cannot_be_read_leaves_room_for_the_next(door: FrontDoor, tmp_path: Path) -> None:
    """A service that could not even be made is not the active one."""
    (tmp_path / "step_functions").write_text("a file, where the folder belongs")
    with pytest.raises(FileExistsError):
        Cloud(door, tmp_path)

    Cloud(door).service.close()


def _fail() -> None:
    raise ImportError("no engine")


def test_an_unsupported_operation_is_refused_by_name(cloud: Cloud) -> None:
    """What is not supported is named, together with what is."""
    with pytest.raises(CallError, match="StartSyncExecution") as refused:
        cloud.call("StartSyncExecution")

    assert "StartExecution" in refused.value.message


def test_creating_the_same_again_is_idempotent_and_another_of_the_name_refused(cloud: Cloud) -> None:
    """The same definition gives the same ARN; another one is StateMachineAlreadyExists."""
    first = cloud.create(PASS)

    assert cloud.create(PASS) == first
    with pytest.raises(CallError, match="State Machine Already Exists") as refused:
        cloud.create(WAIT)
    assert refused.value.code == "StateMachineAlreadyExists"


def test_a_state_machine_is_described_updated_listed_tagged_and_deleted(cloud: Cloud) -> None:
    """The life of a state machine over the API."""
    arn = cloud.create(PASS, tags=[{"key": "a", "value": "1"}])
    cloud.call("UpdateStateMachine", stateMachineArn=arn, definition=json.dumps(WAIT))
    described = cloud.call("DescribeStateMachine", stateMachineArn=arn)
    listed = cloud.call("ListStateMachines")["stateMachines"]
    cloud.call("TagResource", resourceArn=arn, tags=[{"key": "b", "value": "2"}])
    cloud.call("UntagResource", resourceArn=arn, tagKeys=["a"])
    tags = cloud.call("ListTagsForResource", resourceArn=arn)["tags"]
    cloud.call("DeleteStateMachine", stateMachineArn=arn)

    assert json.loads(described["definition"]) == WAIT
    assert (described["name"], described["roleArn"], described["type"]) == ("machine", ROLE, "STANDARD")
    assert [machine["stateMachineArn"] for machine in listed] == [arn]
    assert tags == [{"key": "b", "value": "2"}]
    with pytest.raises(CallError) as gone:
        cloud.call("DescribeStateMachine", stateMachineArn=arn)
    assert gone.value.code == "StateMachineDoesNotExist"


def test_an_execution_is_idempotent_by_name_and_input_while_it_runs(cloud: Cloud) -> None:
    """Same name and input: the same execution while it runs; another input, or a finished one, is refused."""
    arn = cloud.create(WAIT)
    first = cloud.start(arn, {"a": 1}, name="n")

    assert cloud.start(arn, {"a": 1}, name="n") == first
    with pytest.raises(CallError) as other_input:
        cloud.start(arn, {"a": 2}, name="n")
    cloud.call("StopExecution", executionArn=first)
    with pytest.raises(CallError) as finished:
        cloud.start(arn, {"a": 1}, name="n")
    assert (other_input.value.code, finished.value.code) == ("ExecutionAlreadyExists", "ExecutionAlreadyExists")
    assert len(cloud.call("ListExecutions", stateMachineArn=arn, statusFilter="ABORTED")["executions"]) == 1


@pytest.mark.parametrize(
    ("operation", "request_", "message"),
    [
        ("DescribeExecution", {"executionArn": "foo"}, "InvalidArn: Invalid Arn: 'Invalid ARN prefix: foo'"),
        (
            "GetExecutionHistory",
            {"executionArn": "arn:aws:states:us-east-1:000000000000:stateMachine:m"},
            "InvalidArn: Invalid Arn: 'Resource type not valid in this context: stateMachine'",
        ),
        (
            "StopExecution",
            {"executionArn": "arn:aws:states:us-east-1:000000000000:execution:m:n", "cause": "c" * 32_769},
            "ValidationException: 1 validation error detected: Value at 'cause' failed to satisfy constraint: Member "
            "must have length less than or equal to 32768",
        ),
        ("SendTaskFailure", {"taskToken": "t", "error": "e" * 257}, "length less than or equal to 256"),
        ("SendTaskFailure", {"taskToken": "t", "error": "e" * 256, "cause": "c" * 32_768}, "InvalidToken"),
    ],
)
def test_bad_requests_about_executions_are_refused(
    cloud: Cloud, operation: str, request_: dict[str, Any], message: str
) -> None:
    """Another resource's ARN, and what is too long, in AWS's words."""
    with pytest.raises(CallError) as refused:
        cloud.call(operation, **request_)

    assert message in str(refused.value)


def test_a_nameless_execution_gets_a_name_of_its_own(cloud: Cloud) -> None:
    """Without a name, or with null, each start is another execution."""
    arn = cloud.create(PASS)
    names = {cloud.start(arn).rpartition(":")[2], cloud.start(arn, name=None).rpartition(":")[2]}

    assert len(names) == 2
    assert all(len(name) == 36 for name in names)


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({"input": "{"}, "InvalidExecutionInput"),
        ({"input": '{"a": NaN}'}, "InvalidExecutionInput"),
        ({"input": json.dumps("x" * 262_144)}, "ValidationException"),
        ({"name": "a b"}, "InvalidName"),
        ({"name": "a" * 81}, "ValidationException"),
        ({"stateMachineArn": "nonsense"}, "InvalidArn"),
        ({"stateMachineArn": None}, "ValidationException"),
        ({"stateMachineArn": "arn:aws:states:us-east-1:000000000000:stateMachine:x"}, "StateMachineDoesNotExist"),
    ],
)
def test_bad_starts_are_refused(cloud: Cloud, request_: dict[str, Any], code: str) -> None:
    """A wrong input, name or ARN has AWS's error."""
    with pytest.raises(CallError) as refused:
        cloud.call("StartExecution", **{"stateMachineArn": cloud.create(PASS), **request_})

    assert refused.value.code == code


def test_history_is_paged_reversed_and_stripped(cloud: Cloud) -> None:
    """GetExecutionHistory pages, reverses, leaves out data, and gives instants as seconds since 1970."""
    described = cloud.run(PASS, {"secret": 1})
    arn = described["executionArn"]
    first = cloud.call("GetExecutionHistory", executionArn=arn, maxResults=3)
    rest = cloud.call("GetExecutionHistory", executionArn=arn, maxResults=3, nextToken=first["nextToken"])
    reverse = cloud.call("GetExecutionHistory", executionArn=arn, reverseOrder=True, includeExecutionData=False)

    assert [event["id"] for event in first["events"] + rest["events"]] == [1, 2, 3, 4]
    assert "nextToken" not in rest
    assert [event["type"] for event in reverse["events"]] == [
        "ExecutionSucceeded",
        "PassStateExited",
        "PassStateEntered",
        "ExecutionStarted",
    ]
    assert "secret" not in json.dumps(reverse)
    assert abs(first["events"][0]["timestamp"] - time.time()) < 60
    assert first["events"][0]["executionStartedEventDetails"] == {
        "input": '{"secret": 1}',
        "inputDetails": {"truncated": False},
        "roleArn": ROLE,
    }


def test_status_changes_are_events(cloud: Cloud) -> None:
    """Every change of an execution's status is an EventBridge event with AWS's detail."""
    described = cloud.run(PASS, {"a": 1})
    for _ in range(1000):
        if len(cloud.events) == 2:
            break
        time.sleep(0.01)

    first, last = cloud.events
    assert (first["source"], first["type"]) == ("aws.states", "Step Functions Execution Status Change")
    assert first["resources"] == [described["executionArn"]]
    assert first["detail"]["status"] == "RUNNING"
    assert first["detail"]["stopDate"] is first["detail"]["output"] is None
    assert last["detail"]["status"] == "SUCCEEDED"
    assert json.loads(last["detail"]["output"]) == {"a": 1}
    assert last["detail"]["stopDate"] >= last["detail"]["startDate"] > 1_600_000_000_000


def test_the_history_is_logged_as_aws_logs_it(cloud: Cloud, door: FrontDoor) -> None:
    """At level ALL with data every event is a JSON line in the log group, under the execution's stream."""
    logging = {
        "level": "ALL",
        "includeExecutionData": True,
        "destinations": [{"cloudWatchLogsLogGroup": {"logGroupArn": GROUP}}],
    }
    described = cloud.run(PASS, {"a": 1}, loggingConfiguration=logging)
    for _ in range(1000):
        lines = [line for found in door.log_lines.values() for line in found]
        if len(lines) == 4:
            break
        time.sleep(0.01)

    ((group, stream),) = door.log_lines
    assert group == "/states/machine"
    assert stream.startswith("states/machine-0/")
    assert [line["type"] for line in lines] == [
        "ExecutionStarted",
        "PassStateEntered",
        "PassStateExited",
        "ExecutionSucceeded",
    ]
    assert lines[1] == {
        "id": "2",
        "type": "PassStateEntered",
        "details": {"name": "P", "input": '{"a":1}', "inputDetails": {"truncated": False}},
        "previous_event_id": "0",
        "event_timestamp": lines[1]["event_timestamp"],
        "execution_arn": described["executionArn"],
        "redrive_count": "0",
    }
    assert {key for name, _, key in door.calls if name.startswith("logs:")} == {"delivery"}


def test_the_log_keeps_to_its_level_and_leaves_out_data(cloud: Cloud, door: FrontDoor) -> None:
    """At level ERROR only failures are logged, and without includeExecutionData no inputs."""
    logging = {"level": "ERROR", "destinations": [{"cloudWatchLogsLogGroup": {"logGroupArn": GROUP}}]}
    definition = {"StartAt": "F", "States": {"F": {"Type": "Fail", "Error": "E", "Cause": "c"}}}
    cloud.run(definition, {"secret": 1}, loggingConfiguration=logging)
    cloud.service.executions._delivery.close()

    (lines,) = door.log_lines.values()
    assert [line["type"] for line in lines] == ["FailStateEntered", "ExecutionFailed"]
    assert "secret" not in json.dumps(lines)


def test_a_role_that_may_not_deliver_logs_is_refused(cloud: Cloud) -> None:
    """Logging needs the role's log delivery permissions on every resource, checked at creation."""
    cloud.refused.add(("logs:CreateLogDelivery", "*"))
    logging = {"level": "ALL", "destinations": [{"cloudWatchLogsLogGroup": {"logGroupArn": GROUP}}]}

    with pytest.raises(CallError, match="not authorized to access the Log Destination") as refused:
        cloud.create(PASS, loggingConfiguration=logging)
    assert refused.value.code == "AccessDeniedException"
    assert "logs:CreateLogDelivery" in refused.value.message


def test_a_log_group_without_its_star_is_refused(cloud: Cloud) -> None:
    """The destination's ARN must end with ':*'."""
    destination = {"cloudWatchLogsLogGroup": {"logGroupArn": GROUP.removesuffix(":*")}}

    with pytest.raises(CallError, match="must end with") as refused:
        cloud.create(PASS, loggingConfiguration={"level": "ALL", "destinations": [destination]})
    assert refused.value.code == "InvalidLoggingConfiguration"


@pytest.mark.parametrize("kind", ["Processing", "Training"])
def test_a_role_that_may_not_manage_the_rule_is_refused(cloud: Cloud, kind: str) -> None:
    """.sync needs events:PutTargets, PutRule and DescribeRule on the rule that AWS manages for the kind of job."""
    rule = f"arn:aws:events:us-east-1:000000000000:rule/StepFunctionsGetEventsForSageMaker{kind}JobsRule"
    cloud.refused.add(("events:PutRule", rule))
    state = {"Type": "Task", "Resource": f"arn:aws:states:::sagemaker:create{kind}Job.sync", "End": True}
    parameters = {
        "Processing": {
            "ProcessingJobName": "p",
            "ProcessingResources": {
                "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.t3.medium", "VolumeSizeInGB": 1}
            },
            "AppSpecification": {"ImageUri": "i"},
            "RoleArn": ROLE,
        },
        "Training": {
            "TrainingJobName": "t",
            "AlgorithmSpecification": {"TrainingImage": "i", "TrainingInputMode": "File"},
            "OutputDataConfig": {"S3OutputPath": "s3://b/"},
            "ResourceConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1},
            "StoppingCondition": {"MaxRuntimeInSeconds": 60},
            "RoleArn": ROLE,
        },
    }[kind]

    with pytest.raises(CallError, match="is not authorized to create managed-rule") as refused:
        cloud.create({"StartAt": "S", "States": {"S": {**state, "Parameters": parameters}}})
    assert refused.value.code == "AccessDeniedException"
    assert rule in refused.value.message


def test_a_role_that_does_not_trust_the_service_is_refused(cloud: Cloud) -> None:
    """The role must let states.amazonaws.com assume it."""
    cloud.untrusting.add(ROLE)

    with pytest.raises(CallError, match=r"states\.amazonaws\.com") as refused:
        cloud.create(PASS)
    assert refused.value.code == "AccessDeniedException"


def test_express_machines_and_versions_are_refused_by_name(cloud: Cloud) -> None:
    """What the local cloud does not run is named."""
    with pytest.raises(CallError, match="EXPRESS"):
        cloud.create(PASS, type="EXPRESS")
    with pytest.raises(CallError, match="publish"):
        cloud.create(PASS, publish=True)


def test_cloudformation_and_eventbridge_use_methods(cloud: Cloud) -> None:
    """The service's methods take YAML, objects and JSON, and start executions."""
    text = "StartAt: P\nStates:\n  P:\n    Type: Pass\n    End: true\n"
    arn = cloud.service.create_state_machine("m", text, ROLE, type="STANDARD", tags={"a": "1"})
    cloud.service.update_state_machine(arn, definition=PASS, tags={"b": "2"})
    execution = cloud.service.start_execution(arn, '{"x": 1}', name="e")

    assert output(cloud.ended(execution)) == {"x": 1}
    assert cloud.call("ListTagsForResource", resourceArn=arn)["tags"] == [{"key": "b", "value": "2"}]
    assert cloud.call("DescribeStateMachineForExecution", executionArn=execution)["stateMachineArn"] == arn
    cloud.service.delete_state_machine(arn)
    assert cloud.call("ListStateMachines") == {"stateMachines": []}


def test_machines_and_executions_outlive_the_process(door: FrontDoor, tmp_path: Path) -> None:
    """State machines, finished executions and their history are there after a restart; a name stays taken."""
    first = Cloud(door, tmp_path)
    arn = first.create(PASS, tags=[{"key": "a", "value": "1"}])
    execution = first.start(arn, {"x": 1}, name="n")
    described = first.ended(execution)
    history = first.history(execution)
    first.service.executions.get(execution).ended.wait(5)
    first.service.close()
    second = Cloud(door, tmp_path)
    try:
        assert second.call("DescribeExecution", executionArn=execution) == described
        assert second.history(execution) == history
        assert second.call("ListTagsForResource", resourceArn=arn)["tags"] == [{"key": "a", "value": "1"}]
        with pytest.raises(CallError, match="Execution Already Exists"):
            second.start(arn, {"x": 1}, name="n")
    finally:
        second.service.close()


def test_a_deleted_machine_ends_its_executions_at_their_next_state(door: FrontDoor, tmp_path: Path) -> None:
    """It is DELETING until then, and nothing starts; then it leaves nothing behind, and its name is free again."""
    cloud, refused_all = Cloud(door, tmp_path), threading.Event()
    door.functions["f"] = lambda _: refused_all.wait(60)
    task = {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Parameters": {"FunctionName": "f"}}
    try:
        arn = cloud.create({"StartAt": "T", "States": {"T": {**task, "Next": "P"}, **PASS["States"]}})
        started = cloud.start(arn, name="n")
        running = cloud.service.executions.get(started)
        cloud.wait_for(started, "TaskStarted")
        cloud.call("DeleteStateMachine", stateMachineArn=arn)
        described = cloud.call("DescribeStateMachine", stateMachineArn=arn)["status"]
        status = cloud.call("DescribeExecution", executionArn=started)["status"]
        for refused in (lambda: cloud.start(arn, name="m"), lambda: cloud.create(PASS)):
            with pytest.raises(CallError, match="StateMachineDeleting"):
                refused()
        refused_all.set()
        running.ended.wait(10)
        again = cloud.start(cloud.create(PASS), name="n")

        assert (described, status) == ("DELETING", "RUNNING")
        assert [event["type"] for event in running.history][-2:] == ["TaskStateExited", "ExecutionAborted"]
        assert cloud.events[1]["detail"]["status"] == running.status == "ABORTED"
        assert cloud.ended(again)["status"] == "SUCCEEDED"
        assert [path.name for path in (tmp_path / "step_functions" / "machine.executions").iterdir()] == ["n.jsonl"]
    finally:
        refused_all.set()
        cloud.service.close()


def test_an_execution_of_a_deleted_machine_can_be_stopped(cloud: Cloud) -> None:
    """Which lets the state machine go; deleting one with nothing to wait for is done at once."""
    arn = cloud.create(WAIT)
    execution = cloud.start(arn)
    cloud.wait_for(execution, "WaitStateEntered")
    for _ in range(2):
        cloud.call("DeleteStateMachine", stateMachineArn=arn)
    cloud.call("StopExecution", executionArn=execution)

    for operation, request in (
        ("DescribeStateMachine", {"stateMachineArn": arn}),
        ("DescribeExecution", {"executionArn": execution}),
    ):
        with pytest.raises(CallError, match="DoesNotExist"):
            cloud.call(operation, **request)


def test_a_machine_that_goes_with_its_stack_stops_its_executions(door: FrontDoor, tmp_path: Path) -> None:
    """The stack does not wait, so nothing of it runs on, and the name is free at once."""
    cloud = Cloud(door, tmp_path)
    try:
        arn = cloud.create(WAIT)
        started = cloud.start(arn, name="n")
        running = cloud.service.executions.get(started)
        cloud.wait_for(started, "WaitStateEntered")
        cloud.service.delete_state_machine(arn)
        again = cloud.start(cloud.create(PASS), name="n")
        running.ended.wait(10)

        assert running.status == "ABORTED"
        assert cloud.ended(again)["status"] == "SUCCEEDED"
        kept = (tmp_path / "step_functions" / "machine.executions" / "n.jsonl").read_text()
        assert "ExecutionAborted" not in kept
    finally:
        cloud.service.close()


def test_an_execution_that_is_stopped_before_its_first_state_has_ended_at_once(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine enters no state then, and writes no last event that could be waited for."""
    monkeypatch.setattr(run, "_LAST_EVENT_SECONDS", 600.0)
    program = type(loading.program(json.dumps(PASS)))
    evaluate = program.__base__.eval

    def stop_and_evaluate(self: Any, env: Any) -> None:
        if isinstance(self, program):  # in its thread, which has just begun
            env.set_stop(stop_date=datetime.now(UTC), error="Enough", cause=None)
        evaluate(self, env)

    monkeypatch.setattr(program.__base__, "eval", stop_and_evaluate)
    execution = cloud.ended(cloud.start(cloud.create(PASS)))

    assert (execution["status"], execution["error"]) == ("ABORTED", "Enough")
    assert [event["type"] for event in cloud.history(execution["executionArn"])] == [
        "ExecutionStarted",
        "ExecutionAborted",
    ]

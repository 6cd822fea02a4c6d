"""Executions go on after their process was killed: in the state they were in, with one history."""

from __future__ import annotations

import json
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from local_cloud.step_functions.journal import Journal
from local_cloud.step_functions.records import Execution
from tests.local_cloud.step_functions.cloud import CallError, Cloud, output
from tests.local_cloud.step_functions.front_door import ROLE, FrontDoor

LAMBDA = "arn:aws:states:::lambda:invoke"
FUNCTION = "arn:aws:lambda:us-east-1:000000000000:function:f"


def job(**fields: Any) -> dict[str, Any]:
    """Make a Task that awaits a processing job, named by its input and the number of the try."""
    cluster = {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 10}
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::sagemaker:createProcessingJob.sync",
        "Parameters": {
            "ProcessingJobName.$": "States.Format('job-{}-{}', $.run, $$.State.RetryCount)",
            "ProcessingResources": {"ClusterConfig": cluster},
            "AppSpecification": {"ImageUri": "image"},
            "RoleArn": ROLE,
        },
        "End": True,
        **fields,
    }


def waiting(**fields: Any) -> dict[str, Any]:
    """Make a Task that hands its token to a function and waits for the answer."""
    parameters = {"FunctionName": FUNCTION, "Payload": {"token.$": "$$.Task.Token"}}
    return {
        "Type": "Task",
        "Resource": f"{LAMBDA}.waitForTaskToken",
        "Parameters": parameters,
        "End": True,
        **fields,
    }


def machine(start: str, **states: dict[str, Any]) -> dict[str, Any]:
    """Make a machine; a state's name is its key."""
    return {"StartAt": start, "States": states}


class Lives:
    """Clouds in one state directory, one after the other."""

    def __init__(self, door: FrontDoor, folder: Path) -> None:
        self.door, self.folder = door, folder
        self.cloud = Cloud(door, folder)

    def kill(
        self, before: Callable[[Path], None] = lambda _folder: None, release: Callable[[], None] = lambda: None
    ) -> Cloud:
        """End the cloud as if it were killed now: what is on disk at this moment is all that the next one has.

        `before` may change it; `release` lets go what keeps the old cloud's threads.
        """
        kept = self.folder.with_name("kept")
        shutil.copytree(self.folder, kept)
        statuses = {name: dict(job) for name, job in self.door.jobs.items()}
        release()
        self.cloud.service.close()
        self.door.jobs = statuses  # a killed cloud stops no job
        shutil.rmtree(self.folder)
        kept.rename(self.folder)
        before(self.folder)
        self.door.calls.clear()
        self.cloud = Cloud(self.door, self.folder)
        self.cloud.service.start()
        return self.cloud


@pytest.fixture
def lives(door: FrontDoor, tmp_path: Path) -> Iterator[Lives]:
    """Give the first cloud and those after it."""
    lives = Lives(door, tmp_path / "state")
    yield lives
    lives.cloud.service.close()


def types(cloud: Cloud, execution: str) -> list[str]:
    """The types of an execution's events; their numbers must be without a gap."""
    history = cloud.history(execution)
    assert [event["id"] for event in history] == list(range(1, len(history) + 1))
    return [event["type"] for event in history]


def _cut(folder: Path, after: str) -> None:
    """Cut an execution's journal off after the first record with an event of that type, in the middle of a line."""
    (journal,) = (folder / "step_functions").glob("*.executions/*.jsonl")
    lines = journal.read_text().splitlines(keepends=True)
    last = next(index for index, line in enumerate(lines) if f'"type": "{after}"' in line)
    journal.write_text("".join(lines[: last + 1]) + '{"event": {"type": "Tas')


def _age(folder: Path, seconds: float) -> None:
    """Let everything have happened that much earlier."""

    def earlier(found: re.Match[str]) -> str:
        return (datetime.fromisoformat(found[0]) - timedelta(seconds=seconds)).isoformat()

    for journal in (folder / "step_functions").glob("*.executions/*.jsonl"):
        instants = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+00:00"
        journal.write_text(re.sub(instants, earlier, journal.read_text()))


def test_a_wait_ends_at_its_own_time(lives: Lives) -> None:
    """A Wait that began ten minutes before the kill has as much less to go; what follows sees variables and input."""
    definition = machine(
        "First",
        First={"Type": "Pass", "Assign": {"kept.$": "$.x"}, "Next": "W"},
        W={"Type": "Wait", "Seconds": 601, "Next": "Last"},
        Last={"Type": "Pass", "Parameters": {"kept.$": "$kept", "x.$": "$.x"}, "End": True},
    )
    execution = lives.cloud.start(lives.cloud.create(definition), {"x": 'a "b"'})
    lives.cloud.wait_for(execution, "WaitStateEntered")
    described = lives.kill(lambda folder: _age(folder, 600)).ended(execution)

    assert output(described) == {"kept": 'a "b"', "x": 'a "b"'}
    assert types(lives.cloud, execution) == [
        "ExecutionStarted",
        "PassStateEntered",
        "PassStateExited",
        "WaitStateEntered",
        "WaitStateExited",
        "PassStateEntered",
        "PassStateExited",
        "ExecutionSucceeded",
    ]


def _gone(cloud: Cloud) -> None:
    """Wait until there is no state machine."""
    for _ in range(1000):
        if not cloud.call("ListStateMachines")["stateMachines"]:
            return
        time.sleep(0.01)


@pytest.mark.parametrize("cut", [None, "WaitStateExited", "ExecutionAborted"])
def test_a_machine_that_was_being_deleted_goes_with_its_executions(lives: Lives, cut: str | None) -> None:
    """Killed in the state that is the last, behind it, or when only the state machine was left."""
    definition = machine("W", W={"Type": "Wait", "Seconds": 600, "Next": "P"}, P={"Type": "Pass", "End": True})
    arn = lives.cloud.create(definition)
    execution = lives.cloud.start(arn)
    lives.cloud.wait_for(execution, "WaitStateEntered")
    lives.cloud.call("DeleteStateMachine", stateMachineArn=arn)

    def later(folder: Path) -> None:
        _age(folder, 600)
        (journal,) = (folder / "step_functions").glob("*.executions/*.jsonl")
        entered = json.loads(journal.read_text().splitlines()[-1])["event"]
        left = {"type": "WaitStateExited", "id": 3, "previousEventId": 2, "timestamp": entered["timestamp"]}
        details = {"name": "W", "output": "{}"}
        aborted = {**left, "type": "ExecutionAborted", "id": 4, "executionAbortedEventDetails": {}}
        exited = {"event": {**left, "stateExitedEventDetails": details}, "beside": {"next_state": "P"}}
        records = [exited, {"event": aborted}][: (None, "WaitStateExited", "ExecutionAborted").index(cut)]
        with journal.open("a") as file:
            file.writelines(json.dumps(record) + "\n" for record in records)

    cloud = lives.kill(later)
    _gone(cloud)

    assert cloud.events[-1]["detail"]["status"] == "ABORTED"
    assert list((lives.folder / "step_functions").iterdir()) == []
    with pytest.raises(CallError, match="ExecutionDoesNotExist"):
        cloud.call("DescribeExecution", executionArn=execution)


def test_a_machine_goes_when_the_end_of_its_last_execution_has_been_told(
    lives: Lives, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Deleted while an execution has ended, but has not said so: the event is sent, no file is left."""
    ended, go_on = threading.Event(), threading.Event()
    write_end = Journal.end

    def write_end_later(journal: Journal, execution: Execution) -> None:
        ended.set()
        assert go_on.wait(10)
        write_end(journal, execution)

    monkeypatch.setattr(Journal, "end", write_end_later)
    arn = lives.cloud.create(machine("P", P={"Type": "Pass", "End": True}))
    lives.cloud.start(arn)
    assert ended.wait(10)
    lives.cloud.call("DeleteStateMachine", stateMachineArn=arn)
    (listed,) = lives.cloud.call("ListStateMachines")["stateMachines"]
    go_on.set()
    _gone(lives.cloud)

    assert listed["stateMachineArn"] == arn
    assert lives.cloud.events[-1]["detail"]["status"] == "SUCCEEDED"
    assert list((lives.folder / "step_functions").iterdir()) == []


def test_a_job_that_goes_on_is_awaited_not_made_again(lives: Lives, door: FrontDoor) -> None:
    """A .sync task whose job was submitted describes the job until it ends, and creates none."""
    door.job_result = None
    execution = lives.cloud.start(lives.cloud.create(machine("S", S=job())), {"run": "r"})
    lives.cloud.wait_for(execution, "TaskSubmitted")
    cloud = lives.kill()
    door.jobs["job-r-0"].update(ProcessingJobStatus="Completed", ExitMessage="done")
    result = output(cloud.ended(execution))

    assert result["ExitMessage"] == "done"
    assert not door.requests("sagemaker:CreateProcessingJob")
    assert types(cloud, execution)[-4:] == ["TaskSubmitted", "TaskSucceeded", "TaskStateExited", "ExecutionSucceeded"]


@pytest.mark.parametrize("made", [True, False])
def test_a_job_that_may_have_been_made_is_asked_for_once_more(lives: Lives, door: FrontDoor, made: bool) -> None:
    """Killed between the call and its answer: the job of that name is made where it is not there, else it is found."""
    door.job_result = None
    _refuse_doubles(door)
    execution = lives.cloud.start(lives.cloud.create(machine("S", S=job())), {"run": "r"})
    lives.cloud.wait_for(execution, "TaskSubmitted")

    def before_the_answer(folder: Path) -> None:
        _cut(folder, "TaskStarted")
        if not made:
            door.jobs.clear()

    cloud = lives.kill(before_the_answer)
    cloud.wait_for(execution, "TaskSubmitted")
    door.job_result = lambda _: {"Status": "Completed"}

    assert output(cloud.ended(execution))["ProcessingJobName"] == "job-r-0"
    assert types(cloud, execution).count("TaskScheduled") == 1
    assert list(door.jobs) == ["job-r-0"]


def _refuse_doubles(door: FrontDoor) -> None:
    """Let SageMaker's jobs have a time, and refuse a name that is taken."""
    plain = door.answer

    def answer(operation: str, request: dict[str, Any]) -> dict[str, Any]:
        if operation == "sagemaker:CreateProcessingJob" and request["ProcessingJobName"] in door.jobs:
            raise LookupError("ResourceInUse", "Job name must be unique")
        result = plain(operation, request)
        if operation == "sagemaker:CreateProcessingJob":
            door.jobs[request["ProcessingJobName"]]["CreationTime"] = time.time()
        return result

    door.answer = answer  # type: ignore[method-assign]


def test_a_lost_job_fails_its_task_and_the_state_tries_again(lives: Lives, door: FrontDoor) -> None:
    """The task sees its job's failure; Retry counts on, so that the next try's job has the next name."""
    door.job_result = None
    retry = [{"ErrorEquals": ["States.TaskFailed"], "IntervalSeconds": 1, "MaxAttempts": 1}]
    execution = lives.cloud.start(lives.cloud.create(machine("S", S=job(Retry=retry))), {"run": "r"})
    lives.cloud.wait_for(execution, "TaskSubmitted")
    cloud = lives.kill()
    door.jobs["job-r-0"].update(ProcessingJobStatus="Failed", FailureReason="InternalServerError: gone")
    failed = cloud.wait_for(execution, "TaskFailed")
    door.job_result = lambda _: {"Status": "Completed"}
    described = cloud.ended(execution)

    assert "InternalServerError" in failed["taskFailedEventDetails"]["cause"]
    assert output(described)["ProcessingJobName"] == "job-r-1"
    assert types(cloud, execution).count("TaskScheduled") == 2


def test_attempts_of_before_count(lives: Lives, door: FrontDoor) -> None:
    """A state killed in its second try has one try fewer left; the tries of before are not made again."""
    calls = []

    def fail(event: Any) -> None:
        calls.append(event)
        raise ValueError("no")

    door.functions["f"] = fail
    retry = [{"ErrorEquals": ["ValueError"], "IntervalSeconds": 1, "BackoffRate": 1, "MaxAttempts": 2}]
    task = {"Type": "Task", "Resource": LAMBDA, "Parameters": {"FunctionName": FUNCTION}, "Retry": retry, "End": True}
    execution = lives.cloud.start(lives.cloud.create(machine("S", S=task)))
    while types(lives.cloud, execution).count("TaskFailed") < 2:
        time.sleep(0.01)
    described = lives.kill().ended(execution)

    assert described["error"] == "ValueError"
    assert len(calls) == 3
    assert types(lives.cloud, execution).count("TaskFailed") == 3


def test_a_call_that_got_no_answer_failed(lives: Lives, door: FrontDoor) -> None:
    """Nobody knows whether the function ran to its end: the state's Retry decides, and has a name to go by."""
    entered, leave = threading.Event(), threading.Event()
    calls = []

    def hang(_event: Any) -> str:
        calls.append(1)
        entered.set()
        leave.wait(10)
        return "done"

    door.functions["f"] = hang
    retry = [{"ErrorEquals": ["Lambda.SdkClientException"], "IntervalSeconds": 1, "MaxAttempts": 1}]
    task = {"Type": "Task", "Resource": LAMBDA, "Parameters": {"FunctionName": FUNCTION}, "Retry": retry, "End": True}
    execution = lives.cloud.start(lives.cloud.create(machine("S", S=task)))
    entered.wait(10)
    cloud = lives.kill(release=leave.set)
    failed = cloud.wait_for(execution, "TaskFailed")["taskFailedEventDetails"]
    described = cloud.ended(execution)

    assert (failed["error"], failed["resource"]) == ("Lambda.SdkClientException", "invoke")
    assert output(described)["Payload"] == "done"
    assert len(calls) == 2


def test_a_token_outlives_the_process(lives: Lives, door: FrontDoor) -> None:
    """A task that waits for its token is not called again; heartbeats and the answer with the old token count."""
    tokens = []
    door.functions["f"] = lambda event: tokens.append(event["token"])
    definition = machine("S", S=waiting(HeartbeatSeconds=30, TimeoutSeconds=60))
    execution = lives.cloud.start(lives.cloud.create(definition))
    lives.cloud.wait_for(execution, "TaskSubmitted")
    cloud = lives.kill()
    cloud.call("SendTaskHeartbeat", taskToken=tokens[0])
    cloud.call("SendTaskSuccess", taskToken=tokens[0], output='{"approved": true}')

    assert output(cloud.ended(execution)) == {"approved": True}
    assert len(tokens) == 1
    assert types(cloud, execution)[-3:] == ["TaskSucceeded", "TaskStateExited", "ExecutionSucceeded"]
    with pytest.raises(CallError):
        cloud.call("SendTaskSuccess", taskToken="another", output="{}")


def test_a_failure_sent_with_an_old_token_is_caught(lives: Lives, door: FrontDoor) -> None:
    """SendTaskFailure after the restart reaches the state's Catch under its own error name."""
    tokens = []
    door.functions["f"] = lambda event: tokens.append(event["token"])
    catch = [{"ErrorEquals": ["Rejected"], "ResultPath": "$.why", "Next": "Told"}]
    definition = machine("S", S=waiting(Catch=catch), Told={"Type": "Pass", "End": True})
    execution = lives.cloud.start(lives.cloud.create(definition))
    lives.cloud.wait_for(execution, "TaskSubmitted")
    cloud = lives.kill()
    cloud.call("SendTaskFailure", taskToken=tokens[0], error="Rejected", cause="not good enough")

    assert output(cloud.ended(execution))["why"] == {"Error": "Rejected", "Cause": "not good enough"}


def test_an_answer_that_was_taken_is_not_lost(lives: Lives, door: FrontDoor) -> None:
    """What SendTaskSuccess was answered for counts, even where the process was killed before the task heard of it."""
    tokens = []
    door.functions["f"] = lambda event: tokens.append(event["token"])
    execution = lives.cloud.start(lives.cloud.create(machine("S", S=waiting(HeartbeatSeconds=20))))
    lives.cloud.wait_for(execution, "TaskSubmitted")
    answer = {"answer": {"token": tokens[0], "output": '{"approved": true}'}}

    def taken(folder: Path) -> None:
        _cut(folder, "TaskSubmitted")
        (journal,) = (folder / "step_functions").glob("*.executions/*.jsonl")
        whole = journal.read_text().rpartition("\n")[0]
        journal.write_text(f"{whole}\n{json.dumps(answer)}\n")

    cloud = lives.kill(taken)

    assert output(cloud.ended(execution)) == {"approved": True}


def test_time_limits_count_from_the_first_start(lives: Lives, door: FrontDoor) -> None:
    """A state that is out of time when the cloud is back has timed out; so has an execution."""
    door.functions["f"] = lambda _event: None
    state = lives.cloud.create(machine("S", S=waiting(TimeoutSeconds=600)), "state")
    whole = lives.cloud.create({**machine("S", S={"Type": "Wait", "Seconds": 900, "End": True}), "TimeoutSeconds": 600})
    first, second = lives.cloud.start(state), lives.cloud.start(whole)
    lives.cloud.wait_for(first, "TaskSubmitted")
    lives.cloud.wait_for(second, "WaitStateEntered")
    cloud = lives.kill(lambda folder: _age(folder, 601))

    assert cloud.ended(first)["error"] == "States.Timeout"
    assert cloud.ended(second)["status"] == "TIMED_OUT"
    assert types(cloud, second) == ["ExecutionStarted", "WaitStateEntered", "ExecutionTimedOut"]


@pytest.mark.parametrize(
    "after",
    [
        "ExecutionStarted",
        "PassStateEntered",
        "PassStateExited",
        "ChoiceStateEntered",
        "ChoiceStateExited",
        "TaskStateEntered",
        "TaskSucceeded",
        "TaskStateExited",
        "ExecutionSucceeded",
    ],
)
def test_between_two_events_nothing_is_lost_or_done_twice(lives: Lives, door: FrontDoor, after: str) -> None:
    """Wherever the journal ends, half a line included, the history becomes the same, and the function runs once."""
    calls: list[Any] = []
    door.functions["f"] = lambda event: calls.append(event) or {"n": 1}
    definition = machine(
        "P",
        P={"Type": "Pass", "Assign": {"limit": 1}, "Next": "C"},
        C={"Type": "Choice", "Choices": [{"Variable": "$.x", "NumericEquals": 1, "Next": "T"}], "Default": "F"},
        T={
            "Type": "Task",
            "Resource": LAMBDA,
            "Parameters": {"FunctionName": FUNCTION, "Payload": {"limit.$": "$limit"}},
            "ResultSelector": {"n.$": "$.Payload.n"},
            "ResultPath": "$.result",
            "End": True,
        },
        F={"Type": "Fail"},
    )
    execution = lives.cloud.start(lives.cloud.create(definition), {"x": 1})
    lives.cloud.ended(execution)
    whole = types(lives.cloud, execution)
    was_called = whole.index(after) >= whole.index("TaskStarted")
    calls.clear()
    cloud = lives.kill(lambda folder: _cut(folder, after))
    described = cloud.ended(execution)

    assert output(described) == {"x": 1, "result": {"n": 1}}
    assert types(cloud, execution) == whole
    assert calls == ([] if was_called else [{"limit": 1}])


def test_a_parallel_state_begins_anew_and_finds_its_jobs(lives: Lives, door: FrontDoor) -> None:
    """Its branches start again in the same history; a job that they had made is awaited, not refused as a double."""
    door.job_result = None
    _refuse_doubles(door)
    branches = [machine("A", A=job()), machine("B", B={"Type": "Pass", "End": True})]
    definition = machine("Both", Both={"Type": "Parallel", "Branches": branches, "End": True})
    execution = lives.cloud.start(lives.cloud.create(definition), {"run": "r"})
    lives.cloud.wait_for(execution, "TaskSubmitted")
    cloud = lives.kill()
    door.job_result = lambda _: {"Status": "Completed"}
    described = cloud.ended(execution)

    assert output(described)[0]["ProcessingJobName"] == "job-r-0"
    assert list(door.jobs) == ["job-r-0"]
    assert types(cloud, execution).count("ParallelStateEntered") == 1
    assert types(cloud, execution).count("ParallelStateStarted") == 2


def test_the_end_is_told_once(lives: Lives) -> None:
    """The event about an execution's end comes after the restart where it was not sent before, and only then."""
    arn = lives.cloud.create(machine("P", P={"Type": "Pass", "End": True}))
    told, untold = lives.cloud.start(arn, name="told"), lives.cloud.start(arn, name="untold")
    for execution in (told, untold):
        lives.cloud.ended(execution)
        lives.cloud.service.executions.get(execution).ended.wait(5)

    def forget(folder: Path) -> None:
        (journal,) = (folder / "step_functions").glob("*.executions/untold.jsonl")
        journal.write_text(journal.read_text().replace('{"told": true}\n', ""))

    cloud = lives.kill(forget)

    assert [event["detail"]["name"] for event in cloud.events] == ["untold"]
    assert cloud.events[0]["detail"]["status"] == "SUCCEEDED"


def test_an_execution_that_cannot_go_on_fails_and_says_why(lives: Lives) -> None:
    """It does not stay RUNNING for ever."""
    execution = lives.cloud.start(lives.cloud.create(machine("W", W={"Type": "Wait", "Seconds": 60, "End": True})))
    lives.cloud.wait_for(execution, "WaitStateEntered")

    def break_input(folder: Path) -> None:
        (journal,) = (folder / "step_functions").glob("*.executions/*.jsonl")
        journal.write_text(journal.read_text().replace('"input": "{}"', '"input": "{"'))

    cloud = lives.kill(break_input)
    described = cloud.ended(execution)

    assert (described["status"], described["error"]) == ("FAILED", "States.Runtime")
    assert "killed while this execution ran" in described["cause"]
    assert types(cloud, execution)[-1] == "ExecutionFailed"


def test_an_execution_is_stopped_after_the_restart(lives: Lives) -> None:
    """StopExecution ends one that goes on as any other."""
    execution = lives.cloud.start(lives.cloud.create(machine("W", W={"Type": "Wait", "Seconds": 60, "End": True})))
    lives.cloud.wait_for(execution, "WaitStateEntered")
    cloud = lives.kill()
    cloud.call("StopExecution", executionArn=execution, error="Enough")

    assert cloud.ended(execution)["error"] == "Enough"
    assert types(cloud, execution) == ["ExecutionStarted", "WaitStateEntered", "ExecutionAborted"]

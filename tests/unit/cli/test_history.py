"""Reading an execution's history: events in, states out."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from cli import history

START = datetime(2026, 11, 23, 6, tzinfo=UTC)


class Recorder:
    """Writes events as GetExecutionHistory returns them, a second apart, each following the one before."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def add(self, kind: str, details_name: str | None = None, **details: Any) -> None:
        """Any event."""
        number = len(self.events) + 1
        event: dict[str, Any] = {
            "id": number,
            "previousEventId": number - 1,
            "type": kind,
            "timestamp": START + timedelta(seconds=number),
        }
        if details_name:
            event[f"{details_name}EventDetails"] = details
        self.events.append(event)

    def begin(self) -> None:
        """The execution starts."""
        self.add("ExecutionStarted", "executionStarted", input=json.dumps({"dataset": {"name": "d"}}))

    def enter(self, name: str, kind: str = "Task") -> None:
        """A state is entered."""
        self.add(f"{kind}StateEntered", "stateEntered", name=name, input="{}")

    def leave(self, name: str, output: Any, kind: str = "Task") -> None:
        """A state is left."""
        self.add(f"{kind}StateExited", "stateExited", name=name, output=json.dumps(output))

    def schedule(self, resource: str, parameters: dict[str, Any]) -> None:
        """An attempt of a task begins."""
        self.add(
            "TaskScheduled", "taskScheduled", resourceType="x", resource=resource, parameters=json.dumps(parameters)
        )
        self.add("TaskStarted", "taskStarted", resource=resource)

    def succeed(self, output: Any) -> None:
        """It succeeds."""
        self.add("TaskSucceeded", "taskSucceeded", output=json.dumps(output))

    def fail(self, error: str, cause: Any) -> None:
        """It fails."""
        self.add("TaskFailed", "taskFailed", error=error, cause=cause if isinstance(cause, str) else json.dumps(cause))


def job(recorder: Recorder, name: str, job_name: str, result: dict[str, Any]) -> None:
    """A state whose processing job succeeds."""
    recorder.enter(name)
    recorder.schedule("createProcessingJob.sync", {"ProcessingJobName": job_name})
    recorder.succeed(result)
    recorder.leave(name, {"run": {"run_id": "r"}})


def test_states_come_in_order_with_status_seconds_and_what_they_say() -> None:
    """A finished execution is a list of states, each with its job's exit message and its seconds."""
    recorder = Recorder()
    recorder.begin()
    job(recorder, "Preprocess", "p-1", {"ExitMessage": "40 of 80 features kept.\n"})
    recorder.add("ExecutionSucceeded", "executionSucceeded", output="{}")

    execution = history.read(recorder.events)

    assert execution.status == "succeeded"
    assert execution.input == {"dataset": {"name": "d"}}
    [state] = execution.states
    assert (state.name, state.status, state.seconds) == ("Preprocess", "succeeded", 4.0)
    assert history.says(state) == "40 of 80 features kept."
    assert state.job_name == "p-1"
    assert state.log_place == history.LogPlace("/aws/sagemaker/ProcessingJobs", "p-1/")


def test_a_state_that_was_not_left_is_running() -> None:
    """While the execution runs, its last state is running and has no seconds yet."""
    recorder = Recorder()
    recorder.begin()
    recorder.enter("Preprocess")
    recorder.schedule("createProcessingJob.sync", {"ProcessingJobName": "p-1"})

    execution = history.read(recorder.events)

    assert execution.status == "running"
    assert [(s.status, s.seconds) for s in execution.states] == [("running", None)]


def test_retries_are_counted_and_a_retried_state_can_succeed() -> None:
    """A task scheduled again after a failure was retried; what counts is the last attempt."""
    recorder = Recorder()
    recorder.begin()
    recorder.enter("Preprocess")
    for attempt in range(2):
        recorder.schedule("createProcessingJob.sync", {"ProcessingJobName": f"p-{attempt}"})
        recorder.fail("SageMaker.AmazonSageMakerException", "busy")
    recorder.schedule("createProcessingJob.sync", {"ProcessingJobName": "p-2"})
    recorder.succeed({})
    recorder.leave("Preprocess", {})

    [state] = history.read(recorder.events).states

    assert (state.status, state.retries, state.failure) == ("succeeded", 2, None)
    assert state.job_name == "p-2"


def test_a_caught_failure_is_the_failed_state_not_what_reports_it() -> None:
    """The state that failed is named, though a Catch handled it and a Fail state ended the execution."""
    recorder = Recorder()
    recorder.begin()
    recorder.enter("Train Random Forest")
    recorder.schedule("createTrainingJob.sync", {"TrainingJobName": "t-1"})
    recorder.fail("States.TaskFailed", {"FailureReason": "AlgorithmError: target missing", "ExitMessage": "see log"})
    recorder.leave("Train Random Forest", {"failure": {}})
    recorder.enter("Notify Failure")
    recorder.schedule("publish", {})
    recorder.succeed({"MessageId": "m"})
    recorder.leave("Notify Failure", {})
    recorder.enter("Run Failed", "Fail")
    recorder.add("ExecutionFailed", "executionFailed", error="States.TaskFailed", cause="{}")

    execution = history.read(recorder.events)

    assert execution.status == "failed"
    assert [(s.name, s.status) for s in execution.states] == [
        ("Train Random Forest", "failed"),
        ("Notify Failure", "succeeded"),
        ("Run Failed", "failed"),
    ]
    failed = execution.failed_state
    assert failed is not None
    assert failed.failure is not None
    assert (failed.name, failed.failure.error) == ("Train Random Forest", "States.TaskFailed")
    assert failed.failure.reason == "AlgorithmError: target missing: see log"
    assert failed.log_place == history.LogPlace("/aws/sagemaker/TrainingJobs", "t-1/")


def test_an_uncaught_failure_ends_the_state_with_the_execution() -> None:
    """Without a Catch there is no exit event; the state has failed with the execution's error."""
    recorder = Recorder()
    recorder.begin()
    recorder.enter("Choose", "Choice")
    recorder.add("ExecutionFailed", "executionFailed", error="States.Runtime", cause="no such path $.x")

    execution = history.read(recorder.events)

    assert execution.failed_state is not None
    assert execution.failed_state.failure == history.Failure("States.Runtime", "no such path $.x")


def test_a_timeout_is_a_failure() -> None:
    """A task that timed out has failed, also where the event carries no cause."""
    recorder = Recorder()
    recorder.begin()
    recorder.enter("Preprocess")
    recorder.schedule("createProcessingJob.sync", {"ProcessingJobName": "p-1"})
    recorder.add("TaskTimedOut", "taskTimedOut", resource="createProcessingJob.sync", error="States.Timeout")
    recorder.leave("Preprocess", {})

    [state] = history.read(recorder.events).states

    assert state.failure == history.Failure("States.Timeout", "")
    assert history.says(state) == "States.Timeout"


def test_a_stopped_execution_stops_its_running_state() -> None:
    """StopExecution leaves the state that ran as stopped, and those before it as they were."""
    recorder = Recorder()
    recorder.begin()
    job(recorder, "Preprocess", "p-1", {})
    recorder.enter("Train Random Forest")
    recorder.add("ExecutionAborted", "executionAborted", error="", cause="")

    execution = history.read(recorder.events)

    assert [s.status for s in execution.states] == ["succeeded", "stopped"]
    assert execution.failed_state is None


def test_a_function_says_what_it_answered_and_logs_under_its_name() -> None:
    """The answer of an invoked function is its payload; its log group carries its name, also where an ARN was given."""
    recorder = Recorder()
    recorder.begin()
    recorder.enter("Create Run ID")
    recorder.schedule(
        "invoke", {"FunctionName": "arn:aws:lambda:us-east-1:000000000000:function:make-id", "Payload": {}}
    )
    recorder.succeed({"StatusCode": 200, "Payload": {"run_id": "20261123-060000-0123abcd"}})
    recorder.leave("Create Run ID", {"run": {"run_id": "20261123-060000-0123abcd"}})

    execution = history.read(recorder.events)

    [state] = execution.states
    assert history.says(state) == "run_id 20261123-060000-0123abcd"
    assert state.log_place == history.LogPlace("/aws/lambda/make-id")
    assert history.find([s.output for s in execution.states], "run_id") == "20261123-060000-0123abcd"


def test_training_says_its_final_metrics() -> None:
    """A training job has no exit message; it says the metrics that SageMaker captured."""
    recorder = Recorder()
    recorder.begin()
    recorder.enter("Train Random Forest")
    recorder.schedule("createTrainingJob.sync", {"TrainingJobName": "t-1"})
    recorder.succeed({"FinalMetricDataList": [{"MetricName": "validation:mse", "Value": 0.0161803}]})
    recorder.leave("Train Random Forest", {})

    [state] = history.read(recorder.events).states

    assert history.says(state) == "validation:mse 0.0161803"


def test_branches_are_told_apart_by_the_event_that_came_before() -> None:
    """Events of two branches may be mixed; each belongs to the state of the event that it follows."""
    recorder = Recorder()
    recorder.begin()
    recorder.enter("Left")  # 2
    recorder.enter("Right")  # 3
    recorder.fail("Wrong", "left went wrong")  # 4
    recorder.events[-1]["previousEventId"] = 2

    states = history.read(recorder.events).states

    assert [s.failure is not None for s in states] == [True, False]


def test_the_cause_of_a_function_is_its_error_message() -> None:
    """Of a function's failure a person reads the message, not the stack trace."""
    cause = json.dumps({"errorMessage": "no such version", "errorType": "ConfigurationError", "stackTrace": ["…"]})

    assert history.human_cause(cause) == "no such version"
    assert history.human_cause("plain words") == "plain words"
    assert history.human_cause('{"other": 1}') == '{"other": 1}'


def test_the_cause_of_a_job_is_its_own_message() -> None:
    """Where SageMaker only points to the log, the program's exit message is what a person reads; else both."""
    points = "AlgorithmError: See job logs for more information, exit code: 1"

    assert history.human_cause(json.dumps({"FailureReason": points, "ExitMessage": "the data"})) == "the data"
    assert history.human_cause(json.dumps({"FailureReason": points})) == points
    assert history.human_cause(json.dumps({"FailureReason": "CapacityError", "ExitMessage": "x"})) == "CapacityError: x"


def nested() -> tuple[Recorder, str]:
    """An execution that waits for another one."""
    arn = "arn:aws:states:us-east-1:000000000000:execution:rollout:1"
    recorder = Recorder()
    recorder.begin()
    recorder.enter("Roll Out")
    recorder.schedule("startExecution.sync:2", {"StateMachineArn": "x"})
    recorder.add("TaskSubmitted", "taskSubmitted", output=json.dumps({"ExecutionArn": arn}))
    return recorder, arn


def test_states_of_another_execution_stand_below_the_state_that_waits_for_it() -> None:
    """A reader sees where it is, however deep."""
    recorder, arn = nested()
    other = Recorder()
    other.begin()
    job(other, "Deploy Endpoint", "deploy-1", {"ExitMessage": "in service"})
    found = history.with_states(history.read(recorder.events), {arn: history.read(other.events)})

    assert [(depth, state.name) for depth, state in found.all_states()] == [(0, "Roll Out"), (1, "Deploy Endpoint")]
    assert found.states[0].execution_arn == arn


def test_a_state_ends_after_those_that_it_waited_for() -> None:
    """Shown in this order, each line tells of something that has just happened."""
    recorder, arn = nested()
    recorder.succeed({})
    recorder.leave("Roll Out", {})
    recorder.enter("Notify Success")
    other = Recorder()
    other.begin()
    job(other, "Deploy Endpoint", "deploy-1", {"ExitMessage": "in service"})
    for event in other.events:
        event["timestamp"] = recorder.events[-2]["timestamp"]  # in the same millisecond as the one that waited
    found = history.with_states(history.read(recorder.events), {arn: history.read(other.events)})

    shown = [(depth, state.name) for depth, state in found.as_they_ended()]
    assert shown == [(1, "Deploy Endpoint"), (0, "Roll Out"), (0, "Notify Success")]


def test_a_choice_says_where_it_went_and_a_registered_model_its_version() -> None:
    """What decides the way, and what a person then looks for in the registry."""
    recorder = Recorder()
    recorder.begin()
    recorder.enter("Tune?", "Choice")
    recorder.leave("Tune?", {}, "Choice")
    recorder.enter("Register Model")
    recorder.schedule("createModelPackage", {})
    recorder.succeed({"ModelPackageArn": "arn:aws:sagemaker:us-east-1:000000000000:model-package/houses/7"})
    recorder.leave("Register Model", {})

    choice, registered = history.read(recorder.events).states
    assert history.says(choice) == "→ Register Model"
    assert history.says(registered) == "version 7 of houses"


def test_what_failed_in_another_execution_is_the_failed_state() -> None:
    """Not the state that waited for it, which has no log of its own."""
    recorder, arn = nested()
    recorder.fail("States.TaskFailed", {"Error": "States.TaskFailed", "Cause": "rolled back"})
    recorder.add("ExecutionFailed", "executionFailed", error="States.TaskFailed", cause="rolled back")
    other = Recorder()
    other.begin()
    other.enter("Deploy Endpoint")
    other.schedule("createProcessingJob.sync", {"ProcessingJobName": "deploy-1"})
    other.fail("States.TaskFailed", "rolled back")
    other.add("ExecutionFailed", "executionFailed", error="States.TaskFailed", cause="rolled back")
    found = history.with_states(history.read(recorder.events), {arn: history.read(other.events)})

    assert found.failed_state is not None
    assert found.failed_state.name == "Deploy Endpoint"
    assert found.failed_state.log_place == history.LogPlace("/aws/sagemaker/ProcessingJobs", "deploy-1/")


def test_the_outcome_is_the_output_s() -> None:
    """What became of the model; an execution that has none of it says nothing."""
    recorder = Recorder()
    recorder.begin()
    recorder.enter("Notify Not Deployed")
    recorder.leave("Notify Not Deployed", {"outcome": {"name": "rejected"}})
    none = Recorder()
    none.begin()

    assert history.read(recorder.events).outcome == "rejected"
    assert history.read(none.events).outcome is None

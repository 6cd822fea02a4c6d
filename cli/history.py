"""The history of an execution, read as states: which ran, how each ended, how long it took, what it said.

Pure: takes the events of `GetExecutionHistory` (Step Functions API reference, HistoryEvent) as boto3 gives them.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

Status = Literal["running", "succeeded", "failed", "stopped"]
Event = Mapping[str, Any]

# Where SageMaker writes the logs of what a task starts: log group by the first part of the task's resource.
_JOBS = {
    "createProcessingJob": ("ProcessingJobName", "/aws/sagemaker/ProcessingJobs"),
    "createTrainingJob": ("TrainingJobName", "/aws/sagemaker/TrainingJobs"),
    "createTransformJob": ("TransformJobName", "/aws/sagemaker/TransformJobs"),
}
STATUSES: dict[str, Status] = {  # as DescribeExecution has them
    "RUNNING": "running",
    "PENDING_REDRIVE": "running",
    "SUCCEEDED": "succeeded",
    "FAILED": "failed",
    "TIMED_OUT": "failed",
    "ABORTED": "stopped",
}
_ENDS: dict[str, Status] = {
    "ExecutionSucceeded": "succeeded",
    "ExecutionFailed": "failed",
    "ExecutionTimedOut": "failed",
    "ExecutionAborted": "stopped",
}


@dataclass(frozen=True)
class Failure:
    """Error name and cause, as the history has them. The cause of a failed job is its whole description in JSON."""

    error: str
    cause: str

    @property
    def reason(self) -> str:
        """The part of the cause that is meant for people."""
        return human_cause(self.cause)


@dataclass(frozen=True)
class LogPlace:
    """Where a state's work writes its log: a group of CloudWatch Logs, and the start of the stream's name."""

    group: str
    stream_prefix: str = ""


@dataclass(frozen=True)
class StateRun:
    """One visit of the execution to one state."""

    name: str
    kind: str  # Task, Choice, Pass, Fail, …
    status: Status
    entered: datetime
    ended: datetime | None = None
    retries: int = 0
    failure: Failure | None = None  # of the last attempt, also where a Catch handled it
    parameters: Mapping[str, Any] = field(default_factory=dict)  # what the task was called with
    resource: str = ""  # such as createProcessingJob.sync
    result: Any = None  # what the task answered, parsed
    output: Any = None  # what the state passes on, parsed
    chose: str = ""  # of a Choice: the state that it went to
    execution_arn: str | None = None  # of the execution that the state started and waits for, if it does
    states: tuple["StateRun", ...] = ()  # of that execution

    @property
    def seconds(self) -> float | None:
        """Seconds from entering to leaving the state, none while it runs."""
        return None if self.ended is None else (self.ended - self.entered).total_seconds()

    @property
    def job_name(self) -> str | None:
        """Name of the SageMaker job that the state started, if it did."""
        member, _ = _JOBS.get(self.resource.partition(".")[0], ("", ""))
        return self.parameters.get(member)

    @property
    def waits_for(self) -> str | None:
        """ARN of the model package whose approval the state waits for, while it does."""
        if self.status != "running" or not self.resource.endswith(".waitForTaskToken"):
            return None
        arn = find(self.parameters.get("Payload"), "model_package_arn")
        return arn if isinstance(arn, str) else None

    @property
    def log_place(self) -> LogPlace | None:
        """Where the work of this state writes its log; none for states without one."""
        action = self.resource.partition(".")[0]
        if action in _JOBS and self.job_name:
            return LogPlace(_JOBS[action][1], f"{self.job_name}/")
        if action == "invoke" and "FunctionName" in self.parameters:
            return LogPlace(f"/aws/lambda/{_function_name(self.parameters['FunctionName'])}")
        return None


@dataclass(frozen=True)
class Execution:
    """What the history says so far."""

    status: Status
    states: tuple[StateRun, ...]
    input: Any = None
    started: datetime | None = None
    ended: datetime | None = None
    failure: Failure | None = None

    @property
    def failed_state(self) -> StateRun | None:
        """The state where it went wrong: the first that failed, Fail states (which only report it) aside.

        Where that is one that waits for another execution, the state of that execution.
        """
        return _failed(self.states)

    @property
    def outcome(self) -> str | None:
        """What became of the model (deployed, rejected, …), as the execution's output says; none of older ones."""
        last = self.states[-1].output if self.states else None
        outcome = last.get("outcome") if isinstance(last, dict) else None
        return outcome.get("name") if isinstance(outcome, dict) else None

    def all_states(self) -> list[tuple[int, StateRun]]:
        """Every state with its depth: a state that waits for another execution is followed by that one's states."""
        return _flat(self.states, 0)

    def as_they_ended(self) -> list[tuple[int, StateRun]]:
        """As `all_states`, in the order of their ends, a state after those that it waited for; what runs comes last."""
        states = self.all_states()
        ended = [(run.ended, -depth, depth, run) for depth, run in states if run.ended]
        ended.sort(key=lambda entry: entry[:2])
        return [entry[2:] for entry in ended] + [entry for entry in states if not entry[1].ended]

    @property
    def seconds(self) -> float | None:
        """Seconds from start to end, none while it runs."""
        return None if self.started is None or self.ended is None else (self.ended - self.started).total_seconds()

    def state(self, name: str) -> StateRun | None:
        """The last visit to the state `name`."""
        return next((s for s in reversed(self.states) if s.name == name), None)


def read(events: Iterable[Event]) -> Execution:
    """Read the events, in order of their IDs, into states. Events may stop anywhere: the rest is still to come."""
    runs: list[StateRun] = []
    visit_of: dict[int, int] = {0: -1}  # event ID → index of the state that it belongs to
    execution = Execution("running", ())
    for event in events:
        kind, details = str(event["type"]), _details(event)
        if kind == "ExecutionStarted":
            execution = replace(execution, input=_parsed(details.get("input")), started=event["timestamp"])
        elif kind in _ENDS:
            failure = _failure(details) if kind != "ExecutionSucceeded" else None
            execution = replace(execution, status=_ENDS[kind], ended=event["timestamp"], failure=failure)
            runs = [_closed(run, execution) for run in runs]
        elif kind.endswith("StateEntered"):
            before = visit_of.get(event.get("previousEventId", 0), len(runs) - 1)
            if before >= 0 and runs[before].kind == "Choice":
                runs[before] = replace(runs[before], chose=str(details["name"]))
            runs.append(StateRun(details["name"], kind.removesuffix("StateEntered"), "running", event["timestamp"]))
            visit_of[event["id"]] = len(runs) - 1
            continue
        visit = visit_of.get(event.get("previousEventId", 0), len(runs) - 1)
        visit_of[event["id"]] = visit
        if visit >= 0 and not kind.startswith("Execution"):
            runs[visit] = _next(runs[visit], kind, details, event["timestamp"])
    return replace(execution, states=tuple(runs))


def _next(run: StateRun, kind: str, details: Mapping[str, Any], at: datetime) -> StateRun:
    """The state after one more of its events."""
    if kind.endswith("StateExited"):
        status: Status = "failed" if run.failure else "succeeded"
        return replace(run, status=status, ended=at, output=_parsed(details.get("output")))
    if kind.endswith("Scheduled"):
        parameters = _parsed(details.get("parameters", details.get("input")))
        again = run.failure is not None  # scheduled again after a failure: that was a retry
        return replace(
            run,
            retries=run.retries + again,
            failure=None,
            parameters=parameters if isinstance(parameters, dict) else {},
            resource=str(details.get("resource", "")),
        )
    if kind.endswith("Submitted"):
        submitted = _parsed(details.get("output"))
        arn = submitted.get("ExecutionArn") if isinstance(submitted, dict) else None
        return replace(run, execution_arn=arn or run.execution_arn)
    if kind.endswith("Succeeded"):
        return replace(run, failure=None, result=_parsed(details.get("output")))
    if kind.endswith(("Failed", "TimedOut", "Aborted")):
        return replace(run, failure=_failure(details) or Failure(kind, ""))
    return run


def _closed(run: StateRun, execution: Execution) -> StateRun:
    """A state that was never left, once the execution has ended."""
    if run.ended is not None:
        return run
    failure = run.failure if run.kind != "Fail" else execution.failure
    return replace(run, status=execution.status, ended=execution.ended, failure=failure or execution.failure)


def with_states(execution: Execution, of: Mapping[str, Execution]) -> Execution:
    """The execution with the states of those that it started: by ARN, as far as they are known."""
    states = tuple(
        replace(run, states=of[run.execution_arn].states) if run.execution_arn and run.execution_arn in of else run
        for run in execution.states
    )
    return replace(execution, states=states)


def _flat(states: tuple[StateRun, ...], depth: int) -> list[tuple[int, StateRun]]:
    return [entry for run in states for entry in [(depth, run), *_flat(run.states, depth + 1)]]


def _failed(states: tuple[StateRun, ...]) -> StateRun | None:
    found = next((s for s in states if s.status == "failed" and s.kind != "Fail"), None)
    return found and (_failed(found.states) or found)


def says(run: StateRun) -> str:
    """One line of what the state's work said: an exit message, final metrics, a function's answer, or why it failed."""
    if run.status == "failed" and run.failure:
        reason = run.failure.reason.strip()
        return _one_line(f"{run.failure.error}: {reason}" if reason else run.failure.error)
    if run.chose:
        return f"→ {run.chose}"
    result = run.result
    if not isinstance(result, dict):
        return ""
    if result.get("ModelPackageArn"):
        group, _, version = str(result["ModelPackageArn"]).rpartition("/")
        return f"version {version} of {group.rpartition('/')[2]}"
    if result.get("ExitMessage"):
        return _one_line(result["ExitMessage"])
    if metrics := result.get("FinalMetricDataList"):
        return ", ".join(f"{metric['MetricName']} {metric['Value']:.6g}" for metric in metrics)
    if isinstance(payload := result.get("Payload"), dict):
        return _one_line(", ".join(f"{name} {value}" for name, value in payload.items()))
    return ""


def human_cause(cause: str) -> str:
    """The sentence in a cause: of a job its failure reason and exit message, of a function its error message."""
    parsed = _parsed(cause)
    if not isinstance(parsed, dict):
        return cause.strip()
    reason = parsed.get("FailureReason") or parsed.get("errorMessage") or parsed.get("Message") or ""
    message = parsed.get("ExitMessage") or ""
    if message and reason.startswith("AlgorithmError: See job logs"):  # which is all that SageMaker says of itself
        return str(message)
    if message and message not in reason:
        return f"{reason}: {message}" if reason else str(message)
    return str(reason) or cause.strip()


def find(value: Any, member: str) -> Any:
    """The first member of that name anywhere in parsed JSON, outer ones first; none where there is none."""
    if isinstance(value, dict):
        if member in value:
            return value[member]
        value = list(value.values())
    if isinstance(value, list):
        return next((found for item in value if (found := find(item, member)) is not None), None)
    return None


def _details(event: Event) -> Mapping[str, Any]:
    return next((value for key, value in event.items() if key.endswith("EventDetails")), {})


def _failure(details: Mapping[str, Any]) -> Failure | None:
    if not details.get("error") and not details.get("cause"):
        return None
    return Failure(str(details.get("error") or "unknown error"), str(details.get("cause") or ""))


def _parsed(text: Any) -> Any:
    if not isinstance(text, str):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def _function_name(name_or_arn: str) -> str:
    """Name in `arn:aws:lambda:region:account:function:name[:qualifier]`, or the name itself."""
    parts = name_or_arn.split(":")
    return parts[6] if len(parts) > 6 else parts[0]


def _one_line(text: str, limit: int = 160) -> str:
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"

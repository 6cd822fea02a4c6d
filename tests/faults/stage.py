"""What scenarios are made of: a week that fails in ingestion, an execution that fails in a state, one that succeeds.

Each ends with the same: the fault is gone, it is done again, it succeeds; people were told once of each; and what the
checker looks at holds.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from tests.faults.bench import RUN_SECONDS, Bench, Execution
from tests.faults.checker import Before, Checker, told_once
from tests.faults.cloud import DifferenceError
from tests.faults.houses import CASE
from tests.faults.people import Message
from treering.contracts import TestEndpointResult
from treering.keys import RESULT

DEAD_LETTER_ALARM = "IngestDeadLetterAlarm"
_INGEST_SECONDS = 60.0
_TOLD_SECONDS = 15.0
LONG = CASE.columns.category[1]  # a column whose values may be long


class Stage:
    """A bench on which one scenario after the other is played."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.checker = Checker(bench)
        self._read: list[Message] = []

    def clear(self, *, whole: bool) -> Before:
        """Put everything back: no fault, good data, empty queues, alarms that are over."""
        bench = self.bench
        bench.disarm()
        bench.put_secret()
        bench.source.serve_next_week()
        bench.use_machine(whole=whole)
        bench.dead_letters()
        self.wait_for_quiet()
        bench.people.read()
        self._read = []
        return self.checker.before()

    def wait_for_quiet(self) -> None:
        """Let time pass until no alarm is left: one of the endpoint's would roll the next update back."""
        self.bench.almost_next_week()
        self.bench.until(lambda: not self._alarming(), 10, "end of the alarms")

    # -- weeks that fail in ingestion ----------------------------------------------------------------------

    def ingestion_fails(
        self, before: Before, *words: str, versions: int = 0, seconds: float = _INGEST_SECONDS
    ) -> dict[str, Any]:
        """Let the rule fire: the event lies in the dead-letter queue, people hear an alarm, no execution was started.

        The error says all the `words`; so many `versions` were stored before it. Returns the event.
        """
        when = self.bench.fire()
        queue = self.bench.outputs["IngestDeadLetterQueueUrl"]
        self.bench.until(lambda: self.bench.waiting(queue), seconds, "event in the dead-letter queue")
        self.wait_for_alarm(self._alarm)
        letters = self.bench.dead_letters()
        self.require(*self._letters(letters, when, words))
        made = len(self.checker.versions - before.versions)
        self.require(
            *(() if made == versions else (f"{made} versions were stored",)),
            *(f"the execution {execution.name} was started" for execution in self.bench.of_week(when)),
        )
        self.require(*self.checker.problems(before))
        event: dict[str, Any] = json.loads(letters[0]["Body"])
        return event

    def ingested_again(self, before: Before, event: dict[str, Any]) -> None:
        """Send the event of the dead-letter queue again: one execution; people heard of the one alarm and no more."""
        self.bench.send_event(event)
        self.ingestion_succeeds(before, datetime.fromisoformat(event["time"]), told=(f"alarm {self._alarm}",))

    def ingestion_succeeds(
        self,
        before: Before,
        when: datetime | None = None,
        *,
        told: Sequence[str] = (),
        seconds: float = _INGEST_SECONDS,
    ) -> None:
        """Let the rule fire (or look at what was sent for `when`): a version and one execution, nothing given up."""
        when = when or self.bench.fire()
        ended = self.bench.ended(self.bench.started(when, seconds))
        self.require(*_ended_as(ended, "SUCCEEDED"))
        made = self.checker.versions - before.versions
        self.require(*(() if len(made) == 1 else (f"{len(made)} versions were made",)))
        waiting = self.bench.waiting(self.bench.outputs["IngestDeadLetterQueueUrl"])
        self.require(*((f"{waiting} events lie in the dead-letter queue",) if waiting else ()))
        self.require(*self.checker.problems(before), *told_once(self.read(), *told))

    # -- executions ----------------------------------------------------------------------------------------

    def begin(self) -> str:
        """Let the rule fire; ARN of the execution that this leads to."""
        return self.bench.started(self.bench.fire())

    def run_fails(
        self,
        before: Before,
        arn: str,
        state: str,
        error: str,
        *words: str,
        endpoint: str = "kept",
        endpoint_may_fail: bool = False,
    ) -> None:
        """An execution fails with that error and these words, and people are told so once, with that state.

        The endpoint is "kept" with its configuration, or has a "new" one, or "either", or is "failed".
        """
        ended = self.bench.ended(arn)
        self.require(*_ended_as(ended, "FAILED", error, words))
        message = self._wait_for("failed", ended.arn)
        told = {name: message.content.get(name) for name in ("state", "error")}
        wanted = {"state": state, "error": ended.error}
        self.require(*(f"people read {n} {told[n]!r}, not {wanted[n]!r}" for n in wanted if told[n] != wanted[n]))
        causes = [message.content.get(name) for name in ("cause", "reason")]  # a rollout ends with the reason
        self.require(*(() if ended.cause in causes else (f"people read the cause {causes[0]!r}, not {ended.cause!r}",)))
        reason = str(message.content.get("reason", ""))
        self.require(*([f"people read a reason that is no sentence: {reason}"] if reason[:1] in ("", "{") else []))
        if endpoint == "failed":
            now = self.bench.endpoint().get("EndpointStatus")
            self.require(*(() if now == "Failed" else (f"the endpoint is {now}",)))
            return
        self.bench.until(lambda: self.bench.endpoint().get("EndpointStatus") == "InService", 60, "endpoint in service")
        if endpoint == "new":
            self.bench.source.deployed()
        self.require(*self._configuration(before, endpoint))
        self.require(*self.checker.problems(before, endpoint_may_fail=endpoint_may_fail))

    def runs_again(self, before: Before, arn: str, *, failed: int = 1, endpoint_may_fail: bool = False) -> None:
        """Start another execution with the same input: it succeeds, with a new model; each was told of once."""
        told = (*["failed"] * failed, "deployed")
        self._run_succeeded(before, self.bench.start_again(arn), told, endpoint_may_fail)

    def rolls_out_again(self, before: Before, arn: str, *, failed: int = 1, endpoint_may_fail: bool = False) -> None:
        """Start the rollout of an execution again, as `treering rollout` does: it succeeds; each was told of once."""
        ended = self.bench.ended(self.bench.start_rollout_again(arn))
        self.require(*_ended_as(ended, "SUCCEEDED"))
        self._wait_for("deployed", ended.arn)
        self.bench.source.deployed()
        self.require(*self._configuration(before, "new"))
        self.require(*self.checker.problems(before, endpoint_may_fail=endpoint_may_fail))
        self.require(*told_once(self._without_endpoint_alarms(endpoint_may_fail), *["failed"] * failed, "deployed"))

    def run_again_alone(self, before: Before, arn: str, *told: str) -> None:
        """As `runs_again`, after an execution that told nobody; `told` is what people heard otherwise."""
        self._run_succeeded(before, self.bench.start_again(arn), (*told, "deployed"), endpoint_may_fail=False)

    def run_succeeds(
        self,
        before: Before,
        when: datetime | None = None,
        *,
        tries: Sequence[str] = (),
        endpoint_may_fail: bool = False,
    ) -> Execution:
        """Let a week run: it succeeds, with a new model in service, and people are told so once.

        `tries` names the states that were tried more than once.
        """
        when = when or self.bench.fire()
        arn = self.bench.started(when)
        ended = self.run_succeeded(before, arn, endpoint_may_fail=endpoint_may_fail)
        history = self.bench.history(arn) if tries else []
        self.require(*(f"{state} was not tried again" for state in tries if _tries(history, state) < 2))
        return ended

    def run_succeeded(self, before: Before, arn: str, *, endpoint_may_fail: bool = False) -> Execution:
        """The same of an execution that runs."""
        return self._run_succeeded(before, arn, ("deployed",), endpoint_may_fail)

    def _run_succeeded(self, before: Before, arn: str, told: Sequence[str], endpoint_may_fail: bool) -> Execution:
        ended = self.bench.ended(arn)
        self.require(*_ended_as(ended, "SUCCEEDED"))
        self._wait_for("deployed", arn)
        self.bench.source.deployed()
        self.require(*self._configuration(before, "new"))
        self.require(*self.checker.problems(before, endpoint_may_fail=endpoint_may_fail))
        self.require(*told_once(self._without_endpoint_alarms(endpoint_may_fail), *told))
        return ended

    def serve_larger(self, kilobytes: int) -> None:
        """Serve the week's data with so much of them in one column."""
        source = self.bench.source
        source.table = source.table.set(LONG, "A" * (kilobytes * 1024 // len(source.table.rows)))
        source.serve(source.table.files())

    def entered(self, arn: str, state: str) -> None:
        """Wait until an execution has entered a state."""

        def there() -> bool:
            now = self.bench.describe(arn)
            events = self.bench.history(arn)
            if any(event.get("stateEnteredEventDetails", {}).get("name") == state for event in events):
                return True
            self.require(*(() if now.status == "RUNNING" else (f"the execution ended {now}, before {state}",)))
            return False

        try:
            self.bench.until(there, RUN_SECONDS, f"entering of {state}")
        except DifferenceError as difference:
            last = [event["type"] for event in self.bench.history(arn)[-4:]]
            jobs = self.bench.jobs_under_way()
            raise DifferenceError(f"{difference}; the last events are {last}, jobs under way {jobs}") from difference

    def has_left(self, arn: str, state: str) -> bool:
        """Whether an execution has left a state."""
        events = self.bench.history(arn)
        return any(event.get("stateExitedEventDetails", {}).get("name") == state for event in events)

    def delete_endpoint(self) -> None:
        """As somebody who saves money does."""
        self.bench.client("sagemaker").delete_endpoint(EndpointName=self.bench.outputs["EndpointName"])
        self.bench.until(lambda: not self.bench.endpoint(), 30, "end of the endpoint")

    def last_report(self) -> TestEndpointResult:
        """What the test of the endpoint found in the last execution that succeeded."""
        arn = next(each.arn for each in self.bench.executions() if each.status == "SUCCEEDED")
        output = json.loads(self.bench.client("stepfunctions").describe_execution(executionArn=arn)["output"])
        return TestEndpointResult.model_validate_json(self.checker.bucket.read(output["rollout"]["uri"] + RESULT))

    def wait_for_alarm(self, name: str) -> None:
        """Wait until people have read of an alarm."""
        self.bench.until(lambda: any(m.alarm == name for m in self.read()), _TOLD_SECONDS, f"message of {name}")

    # -- looking -------------------------------------------------------------------------------------------

    @staticmethod
    def require(*problems: str) -> None:
        """Raise DifferenceError if there are any."""
        if problems:
            raise DifferenceError("; ".join(problems))

    def read(self) -> list[Message]:
        """All that people have read since the scenario began."""
        self._read += self.bench.people.read()
        return self._read

    def struck(self) -> None:
        """Disarm; the scenario is worth nothing if what was armed did not happen."""
        self.require(*(f"{kind} was armed, but did not happen" for kind in self.not_struck()))

    def not_struck(self) -> list[str]:
        """Disarm; the kinds of the faults that never happened."""
        return [str(fault["kind"]) for fault in self.bench.disarm() if not fault["hits"]]

    @contextmanager
    def about(self, name: str) -> Iterator[None]:
        """What differs here is about the scenario of that name, of those that share an execution."""
        try:
            yield
        except DifferenceError as difference:
            raise DifferenceError(f"{name}: {difference}") from difference

    def _without_endpoint_alarms(self, endpoint_may_fail: bool) -> list[Message]:
        """What people have read; where the endpoint may fail for long, its own alarms may tell of that, too."""
        if not endpoint_may_fail:
            return self.read()
        alarms = {self.bench.resource(name) for name in ("EndpointStillFailingAlarm", "EndpointStillSlowAlarm")}
        return [message for message in self.read() if message.alarm not in alarms]

    def _wait_for(self, outcome: str, arn: str) -> Message:
        """Wait until people have read how an execution ended."""

        def there() -> list[Message]:
            return [m for m in self.read() if m.outcome == outcome and m.content.get("execution") == arn]

        try:
            return self.bench.until(there, _TOLD_SECONDS, f"message to people that it {outcome}")[0]
        except DifferenceError as difference:
            raise DifferenceError(f"{difference}; they read: {'; '.join(map(str, self.read()))}") from difference

    def _alarming(self) -> list[str]:
        told = self.bench.client("cloudwatch").describe_alarms()["MetricAlarms"]
        return [alarm["AlarmName"] for alarm in told if alarm["StateValue"] == "ALARM"]

    @property
    def _alarm(self) -> str:
        """The physical name of the alarm on the dead-letter queue."""
        return self.bench.resource(DEAD_LETTER_ALARM)

    def _letters(self, letters: list[dict[str, Any]], when: datetime, words: Sequence[str]) -> list[str]:
        if len(letters) != 1:
            return [f"{len(letters)} events lie in the dead-letter queue"]
        event = json.loads(letters[0]["Body"])
        said = letters[0]["MessageAttributes"]["ErrorMessage"]["StringValue"]
        problems = [f"the error does not say {word!r}: {said}" for word in words if word not in said]
        if datetime.fromisoformat(event["time"]) != when:
            problems.append(f"the event in the queue is of {event['time']}, not of {when}")
        return problems

    def _configuration(self, before: Before, endpoint: str) -> list[str]:
        now = self.bench.endpoint().get("EndpointConfigName", "")
        if endpoint == "either" or (now == before.configuration) == (endpoint == "kept"):
            return []
        return [f"the endpoint has the configuration {now}, before {before.configuration}; it should be {endpoint}"]


def _ended_as(execution: Execution, status: str, error: str = "", words: Sequence[str] = ()) -> list[str]:
    if execution.status != status or (error and execution.error != error):
        return [f"the execution ended {execution}; expected {status} {error}".rstrip()]
    return [f"the cause does not say {word!r}: {execution}" for word in words if word not in execution.cause]


def _tries(history: list[dict[str, Any]], state: str) -> int:
    """How often a state's task was scheduled."""
    inside = False
    count = 0
    for event in history:
        if event["type"] == "TaskStateEntered":
            inside = event["stateEnteredEventDetails"]["name"] == state
        elif event["type"] == "TaskScheduled" and inside:
            count += 1
    return count

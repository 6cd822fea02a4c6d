"""A task that waits for somebody's decision: nobody answers, twice, too late, or the execution is gone by then."""

import json
import time
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from tests.faults.bench import Execution
from tests.faults.scenario import Scenario
from tests.faults.stage import Stage

_GROUP = "waits"
_WHERE = "a state with .waitForTaskToken"
_NAME = "decision"


class _Waiting:
    """An execution of a tiny state machine that waits: people get a message with its token, as they would by mail."""

    def __init__(self, stage: Stage, **fields: Any) -> None:
        self._stage, self._states = stage, stage.bench.client("stepfunctions")
        machine = self._machine(stage, fields)
        self._arn = self._states.start_execution(stateMachineArn=machine)["executionArn"]
        self.token = stage.bench.until(self._sent, 10, "message with the token")

    def ended(self) -> Execution:
        return self._stage.bench.ended(self._arn, 20)

    def succeed(self) -> str:
        """Answer; "" or the error's code."""
        return _code(lambda: self._states.send_task_success(taskToken=self.token, output='{"approved": true}'))

    def fail(self) -> str:
        return _code(lambda: self._states.send_task_failure(taskToken=self.token, error="Refused", cause="too dear"))

    def beat(self) -> str:
        return _code(lambda: self._states.send_task_heartbeat(taskToken=self.token))

    def stop(self) -> None:
        self._states.stop_execution(executionArn=self._arn, error="Enough")

    def _machine(self, stage: Stage, fields: dict[str, Any]) -> str:
        deployed = self._states.describe_state_machine(stateMachineArn=stage.bench.outputs["StateMachineArn"])
        message = {"token.$": "$$.Task.Token", "outcome": "asked"}
        state = {
            "Type": "Task",
            "Resource": "arn:aws:states:::sns:publish.waitForTaskToken",
            "Parameters": {"TopicArn": stage.bench.outputs["OutcomeTopicArn"], "Message": message},
            "End": True,
            **fields,
        }
        definition = json.dumps({"StartAt": "Decide", "States": {"Decide": state}})
        name = f"{_NAME}-{time.monotonic_ns()}"
        made = self._states.create_state_machine(name=name, definition=definition, roleArn=deployed["roleArn"])
        return str(made["stateMachineArn"])

    def _sent(self) -> str:
        return next((str(m.content["token"]) for m in self._stage.read() if m.outcome == "asked"), "")


def _code(call: Callable[[], object]) -> str:
    try:
        call()
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return ""


def _scenario(name: str, fault: str, expected: str, act: Callable[[_Waiting], list[str]], **fields: Any) -> Scenario:
    """`act` answers and says what was different."""

    def play(stage: Stage) -> None:
        before = stage.clear(whole=False)
        stage.require(*act(_Waiting(stage, **fields)), *stage.checker.problems(before))

    return Scenario(f"wait-{name}", _GROUP, fault, _WHERE, expected, play, ingestion=True)


def _ends(waiting: _Waiting, status: str, error: str = "") -> list[str]:
    ended = waiting.ended()
    return [] if (ended.status, ended.error) == (status, error) else [f"it ended {ended}, expected {status} {error}"]


def _answers(got: str, expected: str) -> list[str]:
    return [] if got == expected else [f"the answer met {got or 'no error'}, expected {expected or 'none'}"]


def _late(waiting: _Waiting) -> list[str]:
    return [*_ends(waiting, "FAILED", "States.Timeout"), *_answers(waiting.succeed(), "TaskTimedOut")]


def _stopped(waiting: _Waiting) -> list[str]:
    waiting.stop()
    return [*_ends(waiting, "ABORTED", "Enough"), *_answers(waiting.succeed(), "TaskTimedOut")]


def _twice(waiting: _Waiting) -> list[str]:
    first = _answers(waiting.succeed(), "")
    return [*first, *_ends(waiting, "SUCCEEDED"), *_answers(waiting.fail(), "TaskTimedOut")]


def _beating(waiting: _Waiting) -> list[str]:
    """Two seconds of heartbeats keep a task alive that may be silent for one."""
    beats = []
    for _ in range(5):
        time.sleep(0.4)
        beats += _answers(waiting.beat(), "")
    return [*beats, *_ends(waiting, "FAILED", "States.Timeout")]


def _stranger(waiting: _Waiting) -> list[str]:
    token, waiting.token = waiting.token, "nobody's"
    wrong = _answers(waiting.succeed(), "InvalidToken")
    waiting.token = token
    return [*wrong, *_answers(waiting.succeed(), ""), *_ends(waiting, "SUCCEEDED")]


SCENARIOS = (
    _scenario(
        "never-answered",
        "nobody answers",
        "States.Timeout at its time limit",
        lambda waiting: _ends(waiting, "FAILED", "States.Timeout"),
        TimeoutSeconds=1,
    ),
    _scenario(
        "answered-late", "the answer comes after the time limit", "refused, TaskTimedOut", _late, TimeoutSeconds=1
    ),
    _scenario("answered-twice", "two answers", "the first counts, the second is refused", _twice, TimeoutSeconds=60),
    _scenario(
        "refused",
        "the answer is a failure",
        "fails with that error",
        lambda waiting: [*_answers(waiting.fail(), ""), *_ends(waiting, "FAILED", "Refused")],
        TimeoutSeconds=60,
    ),
    _scenario(
        "stopped",
        "the execution is stopped before the answer",
        "ABORTED; the answer is refused",
        _stopped,
        TimeoutSeconds=60,
    ),
    _scenario(
        "heartbeat-lost",
        "heartbeats come, then no more",
        "States.Timeout a heartbeat's time later",
        _beating,
        TimeoutSeconds=60,
        HeartbeatSeconds=1,
    ),
    _scenario("wrong-token", "an answer with a wrong token", "refused, InvalidToken", _stranger, TimeoutSeconds=60),
)

"""Scenarios that strike an execution: it succeeds all the same, or fails in one state and succeeds when run again.

Faults that strike different states share an execution, and executions that fail share the one that then succeeds: else
the suite would take an hour.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from tests.faults.definitions import Change
from tests.faults.scenario import Scenario
from tests.faults.stage import Stage

Fault = Mapping[str, Any]
RUN_ID, NOTIFY = "Create Run ID", "Notify Success"
PREPROCESS, TRAIN, EVALUATE = "Preprocess", "Train Random Forest", "Evaluate"
DEPLOY_STAGING, TEST_STAGING = "Deploy Staging Endpoint", "Test Staging Endpoint"
DEPLOY, TEST = "Deploy Endpoint", "Test Endpoint"
JOBS = {
    PREPROCESS: "*-preprocess-*",
    TRAIN: "*-train-*",
    EVALUATE: "*-evaluate-*",
    DEPLOY_STAGING: "*-deploy-staging-*",
    TEST_STAGING: "*-test-staging-*",
    DEPLOY: "*-deploy-endpoint-*",
    TEST: "*-test-endpoint-*",
}
TRIED_TWICE = [state for state in JOBS if state != DEPLOY]
_ROLLOUT = (DEPLOY_STAGING, TEST_STAGING, DEPLOY, TEST)
FOR_EVER = 10_000  # times
ENDPOINT = "treering-dev"  # and not the one in staging


@dataclass(frozen=True)
class Survived:
    """A fault after which the state `where` is tried again, and succeeds."""

    name: str
    fault: str
    where: str
    expected: str
    faults: Sequence[Fault]
    tries: Sequence[str] | None = None  # the states that are tried again; none: `where`
    group: str = ""  # where it is told of with others than those that it shares the execution with


@dataclass(frozen=True)
class Failed:
    """A fault that an execution does not survive: it ends with this error and a cause with these words.

    `endpoint` is "new" where the new model is in service. `change` alters the state machine for this execution; where
    it is `quiet`, nobody else asks the endpoint meanwhile.
    """

    name: str
    fault: str
    where: str
    expected: str
    faults: Sequence[Fault]
    error: str
    words: Sequence[str] = ()
    endpoint: str = "kept"
    change: Change | None = None
    quiet: bool = False

    @property
    def in_rollout(self) -> bool:
        """Whether the model was already found good when this happens: its rollout can be started again alone."""
        return self.where in _ROLLOUT


def api_error(service: str, action: str, code: str, status: int, times: int = 1, match: str = "") -> Fault:
    """A call is answered by an error, so many times; `match` is a part of the request."""
    fault = {"kind": "api_error", "service": service, "action": action, "code": code, "status": status, "times": times}
    return fault | ({"match": match} if match else {})


def answer_lost(service: str, action: str, match: str = "") -> Fault:
    """The call takes effect, but its answer does not arrive."""
    fault = {"kind": "api_error", "service": service, "action": action, "after": True}
    return fault | ({"match": match} if match else {})


def survive(group: str, *rows: Survived) -> tuple[Scenario, ...]:
    """One execution that meets all these faults, each in a state of its own, and succeeds."""

    def play(stage: Stage) -> None:
        before = stage.clear(whole=True)
        stage.bench.arm(*(fault for row in rows for fault in row.faults))
        tries = [state for row in rows for state in ([row.where] if row.tries is None else row.tries)]
        stage.run_succeeds(before, tries=tries)
        stage.require(*(f"{kind} was armed, but did not happen" for kind in stage.not_struck()))

    return tuple(Scenario(row.name, row.group or group, row.fault, row.where, row.expected, play) for row in rows)


def fail(group: str, *rows: Failed, prepare: Callable[[Stage], object] = lambda _stage: None) -> tuple[Scenario, ...]:
    """Executions on the same input, each of which fails for another reason, and one that then succeeds.

    A rollout that follows a failed one is started again alone: training the model once more would show nothing new, and
    where it is in service by then, find it no better than itself.
    """

    def play(stage: Stage) -> None:
        bench = stage.bench
        before = stage.clear(whole=True)
        prepare(stage)
        first = ""
        for number, row in enumerate(rows):
            alone = number > 0 and row.in_rollout and rows[number - 1].in_rollout
            told = "Roll Out" if row.in_rollout and not alone else row.where  # the weekly training's state
            bench.use_machine(whole=True, change=row.change)
            with stage.about(row.name), bench.traffic.paused() if row.quiet else nullcontext():
                bench.arm(*row.faults)
                if alone:
                    arn = bench.start_rollout_again(first)
                else:
                    arn = bench.start_again(first, f"again-{number}") if first else stage.begin()
                first = first or arn
                bench.ended(arn)
                stage.require(*(f"{kind} was armed, but did not happen" for kind in stage.not_struck()))
            with stage.about(row.name):
                stage.run_fails(before, arn, told, row.error, *row.words, endpoint=row.endpoint)
        bench.use_machine(whole=True)
        if rows[-1].in_rollout:
            stage.rolls_out_again(before, first, failed=len(rows))
        else:
            stage.runs_again(before, first, failed=len(rows))

    return tuple(Scenario(row.name, group, row.fault, row.where, _expected(row), play) for row in rows)


def _expected(row: Failed) -> str:
    serving = "the new model is in service" if row.endpoint == "new" else "the old model serves on"
    again = "rolled out" if row.in_rollout else "run"
    return f"{row.expected}; people are told once, {serving}; {again} again, it succeeds"

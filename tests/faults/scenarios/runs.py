"""Scenarios that strike an execution: it succeeds all the same, or fails in one state and succeeds when run again."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tests.faults.definitions import Change
from tests.faults.scenario import Scenario
from tests.faults.stage import Stage

Fault = Mapping[str, Any]
PREPROCESS, TRAIN, DEPLOY, TEST = "Preprocess", "Train Random Forest", "Deploy Endpoint", "Test Endpoint"
JOBS = {
    PREPROCESS: "*-preprocess-*",
    TRAIN: "*-train-*",
    DEPLOY: "*-deploy-endpoint-*",
    TEST: "*-test-endpoint-*",
}


def survives(
    name: str,
    group: str,
    fault: str,
    where: str,
    expected: str,
    faults: Sequence[Fault],
    *,
    tries: Sequence[str] = (),
    endpoint_may_fail: bool = False,
) -> Scenario:
    """The execution succeeds; the states `tries` were tried more than once."""

    def play(stage: Stage) -> None:
        before = stage.clear(whole=True)
        stage.bench.arm(*faults)
        stage.run_succeeds(before, tries=tries, endpoint_may_fail=endpoint_may_fail)
        stage.struck()

    return Scenario(name, group, fault, where, expected, play)


def fails(
    name: str,
    group: str,
    fault: str,
    where: str,
    expected: str,
    faults: Sequence[Fault],
    error: str,
    *words: str,
    endpoint: str = "kept",
    endpoint_may_fail: bool = False,
    change: Change | None = None,
    prepare: Callable[[Stage], object] = lambda _stage: None,
) -> Scenario:
    """The execution fails in the state `where` with this error and a cause with these words; run again, it succeeds.

    `change` alters the state machine for the failing execution.
    """

    def play(stage: Stage) -> None:
        before = stage.clear(whole=True)
        prepare(stage)
        stage.bench.use_machine(whole=True, change=change)
        stage.bench.arm(*faults)
        failed = stage.run_fails(before, where, error, *words, endpoint=endpoint, endpoint_may_fail=endpoint_may_fail)
        if faults:
            stage.struck()
        stage.bench.use_machine(whole=True)
        stage.runs_again(before, failed, endpoint_may_fail=endpoint_may_fail)

    told = "; people are told once, the old model serves on; run again, it succeeds"
    if endpoint == "new":
        told = "; people are told once, the new model is in service; run again, it succeeds"
    return Scenario(name, group, fault, where, expected + told, play)

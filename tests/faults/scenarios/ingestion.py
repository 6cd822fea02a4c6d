"""Scenarios that end in ingestion: the download or its content is bad, and the next try gets it right."""

from collections.abc import Callable
from contextlib import nullcontext

from tests.faults.scenario import Scenario
from tests.faults.stage import Stage

Arm = Callable[[Stage], object]
WHERE = "Ingest"


def fails(
    name: str,
    group: str,
    fault: str,
    expected: str,
    arm: Arm,
    *words: str,
    function_seconds: int | None = None,
    versions: int = 0,
    one_try: bool = False,
    waits: bool = False,
) -> Scenario:
    """The event ends in the dead-letter queue with an error that says the `words`; sent again, it succeeds.

    `function_seconds` is another time limit of the function, of which 60 s are kept for what follows the download;
    `versions` is how many dataset versions are stored before it fails. `one_try` spares Lambda's second and third try,
    where each is long.
    """

    def play(stage: Stage) -> None:
        before = stage.clear(whole=False)
        bench = stage.bench
        arm(stage)
        seconds = bench.function_seconds(function_seconds) if function_seconds else nullcontext()
        with seconds, bench.one_try() if one_try else nullcontext():
            event = stage.ingestion_fails(before, *words, versions=versions)
        bench.disarm()
        bench.source.serve(bench.source.table.files())
        bench.put_secret()
        stage.ingested_again(before, event)

    stored = "" if versions else ", nothing stored"
    told = f"; event in the dead-letter queue, one alarm{stored}; the event sent again succeeds"
    return Scenario(name, group, fault, WHERE, expected + told, play, ingestion=True, waits=waits)


def succeeds(
    name: str, group: str, fault: str, expected: str, arm: Arm, *, seconds: float = 60, waits: bool = False
) -> Scenario:
    """The data arrive all the same: one version, one execution, no alarm."""

    def play(stage: Stage) -> None:
        before = stage.clear(whole=False)
        arm(stage)
        stage.ingestion_succeeds(before, seconds=seconds)

    return Scenario(name, group, fault, WHERE, expected, play, ingestion=True, waits=waits)

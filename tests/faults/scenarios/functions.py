"""Functions are killed, run out of memory, disk or time."""

from local_cloud.kaggle import Fault
from tests.faults.scenario import Scenario
from tests.faults.scenarios.ingestion import fails
from tests.faults.stage import Stage

_GROUP = "functions"
_INGEST = "*-ingest"
_STALLED = Fault("stall", seconds=2, after_bytes=2000)  # so that the function is at work for two seconds


def _killed_once(name: str, fault: str, when: object) -> Scenario:
    """Lambda tries the event again: one version, one execution, nobody hears of it."""

    def play(stage: Stage) -> None:
        before = stage.clear(whole=False)
        stage.bench.source.plan(_STALLED)
        stage.bench.arm({"kind": "kill", "target": "function", "name": _INGEST, "when": when})
        stage.ingestion_succeeds(before)
        stage.struck()

    expected = "Lambda's second try: one version, one execution, nobody hears of it"
    return Scenario(name, _GROUP, fault, "Ingest", expected, play, ingestion=True)


def _slow_secret(stage: Stage) -> None:
    stage.bench.arm({"kind": "api_delay", "service": "secretsmanager", "seconds": 10, "times": 3})


def _small_tmp(stage: Stage) -> None:
    stage.serve_larger(900)
    stage.bench.arm({"kind": "volume", "target": "function", "name": _INGEST, "megabytes": 1, "times": 3})


SCENARIOS = (
    _killed_once("function-killed-at-start", "kill -9 of the function at its start", "start"),
    _killed_once("function-killed-in-the-middle", "kill -9 in the middle of the download", {"after_seconds": 1.5}),
    _killed_once("function-killed-at-end", "kill -9 when the execution has been started", "end"),
    fails(
        "function-killed-always",
        _GROUP,
        "kill -9 of all three tries",
        "Runtime.ExitError",
        lambda stage: stage.bench.arm(
            {"kind": "kill", "target": "function", "name": _INGEST, "when": "start", "times": 3}
        ),
        "signal: killed",
    ),
    fails(
        "function-out-of-memory",
        _GROUP,
        "the function needs more memory than it has",
        "Runtime.ExitError",
        lambda stage: stage.bench.arm(
            {"kind": "memory", "target": "function", "name": _INGEST, "megabytes": 40, "times": 3}
        ),
        "signal: killed",
    ),
    fails(
        "function-tmp-full",
        _GROUP,
        "/tmp is full",  # noqa: S108  Lambda's
        "ConfigurationError that names the setting to raise",
        _small_tmp,
        "Raise the function's ephemeral storage",
        "IngestStorageMegabytes",
    ),
    fails(
        "function-over-its-time",
        _GROUP,
        "the function takes longer than it may",
        "Lambda ends it",
        _slow_secret,
        "Task timed out after 3.00 seconds",
        function_seconds=3,
        waits=True,
    ),
)

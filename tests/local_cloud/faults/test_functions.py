"""What becomes of functions and of their events when a fault strikes them."""

import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from local_cloud.async_invocations import AsyncInvocations
from local_cloud.faults import DeliverTwice, FaultPlan, Kill, Memory, Volume
from local_cloud.images import ImageRegistry
from local_cloud.lambda_runtime import LambdaRuntime
from tests.local_cloud.test_lambda_runtime import Logs, config, credentials_for, registry  # noqa: F401

KILLED = "Error: Runtime exited with error: signal: killed"


@pytest.fixture
def plan() -> FaultPlan:
    """What the runtime under test meets."""
    return FaultPlan()


@pytest.fixture
def logs() -> Logs:
    """What it logs."""
    return Logs()


@pytest.fixture
def invoke(registry: ImageRegistry, plan: FaultPlan, logs: Logs) -> Iterator[Any]:  # noqa: F811
    """Invoke a handler of the module `handlers`."""
    runtime = LambdaRuntime(
        registry,
        endpoint_url="http://127.0.0.1:4566",
        credentials_for=credentials_for,
        write_logs=logs.write,
        faults=plan,
    )
    yield lambda handler, event=None, **changes: runtime.invoke(
        config(registry, f"handlers.{handler}", **changes), event or {}, str(uuid.uuid4())
    )
    runtime.close()


@pytest.mark.parametrize(
    ("when", "logged", "warm"),
    [
        ("start", False, False),
        ({"after_seconds": 1}, True, True),  # a cold start may take longer
        ({"when_log_says": "sleeping"}, True, False),
        ("end", True, False),
    ],
    ids=["start", "later", "log", "end"],
)
def test_a_killed_function_fails_as_one_whose_runtime_ended(
    invoke: Any, plan: FaultPlan, logs: Logs, when: Any, logged: bool, warm: bool
) -> None:
    """At its start it has not run; at its end it has done everything, and nobody hears of it."""
    if warm:
        invoke("sleep", {"seconds": 0})
    plan.arm([Kill(target="function", name="function-*-sleep", when=when)])
    killed = invoke("sleep", {"seconds": 0 if when == "end" else 8})
    (lines,) = logs.streams.values()
    again = invoke("sleep", {"seconds": 0})

    assert killed["function_error"] == "Unhandled"
    assert killed["body"]["errorType"] == "Runtime.ExitError"
    assert killed["body"]["errorMessage"].endswith(KILLED)
    assert lines.count("sleeping") == warm + logged
    assert again["body"] == "awake"
    assert not plan


def test_another_function_goes_on(invoke: Any, plan: FaultPlan) -> None:
    """A fault of jobs or of another name is none of its business."""
    plan.arm([Kill(target="function", name="other"), Kill(target="job"), Volume(megabytes=1)])

    assert invoke("sleep", {"seconds": 0})["body"] == "awake"
    assert len(plan.as_json()["armed"]) == 3


def test_a_full_tmp_fails_a_write_with_enospc_in_that_invocation_only(invoke: Any, plan: FaultPlan) -> None:
    """Also if an environment with a larger `/tmp` is ready; the next invocation has the function's own again."""
    large = {"path": "/tmp/large", "bytes": 3_000_000}  # noqa: S108
    before = invoke("write", large)
    plan.arm([Volume(target="function", megabytes=1)])
    during = invoke("write", large)
    after = invoke("write", large)

    assert before["body"] == 3_000_000
    assert during["body"]["errorType"] == "OSError"
    assert "No space left on device" in during["body"]["errorMessage"]
    assert after["body"] == 3_000_000


def test_a_function_with_less_memory_than_it_needs_is_killed(invoke: Any, plan: FaultPlan) -> None:
    """In that invocation only."""
    plan.arm([Memory(target="function", megabytes=80)])
    during = invoke("use_memory", {"mb": 120, "seconds": 5})
    after = invoke("use_memory", {"mb": 120})

    assert during["body"]["errorMessage"].endswith(KILLED)
    assert after["body"] == 120 << 20


@pytest.mark.parametrize("seconds", [0.0, 0.3])
def test_an_event_is_delivered_twice(seconds: float) -> None:
    """At the same moment or one after the other; the next event comes once."""
    plan = FaultPlan()
    calls: list[tuple[Any, float]] = []
    together = threading.Barrier(2 if seconds == 0 else 1)

    def run(_function: Any, event: Any) -> dict[str, Any]:
        calls.append((event, time.monotonic()))
        if event == "first":
            together.wait(10)
        return {"body": None}

    queue = AsyncInvocations(run, faults=plan)
    function = {"config": {"FunctionName": "f", "FunctionArn": "arn:aws:lambda:us-east-1:000000000000:function:f"}}
    plan.arm([DeliverTwice(name="g"), DeliverTwice(name="f", seconds=seconds)])
    begun = time.monotonic()
    queue.submit(function, "first")
    queue.submit(function, "second")
    deadline = time.monotonic() + 10
    while len(calls) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    queue.close()
    second_delivery = max(moment for event, moment in calls if event == "first")

    assert sorted(event for event, _ in calls) == ["first", "first", "second"]
    assert second_delivery - begun >= seconds
    assert [armed["name"] for armed in plan.as_json()["armed"]] == ["g"]

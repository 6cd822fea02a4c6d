"""Lambda's queue of asynchronous invocations: what is tried again, and how often."""

import threading
from typing import Any

import pytest

from local_cloud import request_id
from local_cloud.async_invocations import AsyncInvocations, Waits

FAILED = {"body": {"errorMessage": "no"}, "error": True}
THROTTLED = {"body": {}, "error": True, "throttle": True}
DONE = {"body": None}


def _function(**settings: int) -> dict[str, Any]:
    return {
        "config": {
            "FunctionName": "f",
            "FunctionArn": "arn:aws:lambda:us-east-1:000000000000:function:f",
            "Role": "arn:aws:iam::000000000000:role/r",
        },
        "event_invoke_configs": {"$LATEST": settings} if settings else {},
    }


def _calls(results: list[dict[str, Any]], waits: Waits, **settings: int) -> int:
    """How often a function is called that answers with these results, the last one again and again."""
    calls: list[object] = []
    ended = threading.Event()

    def run(_function: object, event: object) -> dict[str, Any]:
        calls.append(event)
        return results[min(len(calls), len(results)) - 1]

    class Watched(AsyncInvocations):
        def _process(self, invocation: Any) -> None:
            super()._process(invocation)
            ended.set()

    queue = Watched(run, waits)
    queue.submit(_function(**settings), {"a": 1})
    assert ended.wait(20)
    queue.close()
    assert set(map(str, calls)) == {"{'a': 1}"}
    return len(calls)


SOON = Waits(error=0.001, throttle=0.001)


@pytest.mark.parametrize(
    ("results", "settings", "calls"),
    [
        ([DONE], {}, 1),
        ([FAILED, DONE], {}, 2),
        ([FAILED], {}, 3),
        ([FAILED], {"MaximumRetryAttempts": 0}, 1),
        ([FAILED], {"MaximumRetryAttempts": 1}, 2),
        ([THROTTLED, THROTTLED, THROTTLED, THROTTLED, DONE], {}, 5),
        ([THROTTLED, FAILED, THROTTLED, FAILED, FAILED], {}, 5),
    ],
)
def test_calls(results: list[dict[str, Any]], settings: dict[str, int], calls: int) -> None:
    """An error is retried twice or as configured; a throttle costs no attempt."""
    assert _calls(results, SOON, **settings) == calls


def test_an_event_is_one_request_over_all_its_attempts() -> None:
    """Retries have the request ID of the first attempt; another event has another."""
    seen: list[str | None] = []
    third = threading.Event()

    def run(_function: object, event: object) -> dict[str, Any]:
        seen.append(request_id.given())
        if event == "last":
            third.set()
            return DONE
        return FAILED if len(seen) < 2 else DONE

    queue = AsyncInvocations(run, SOON)
    queue.submit(_function(), "first")
    while len(seen) < 2:
        assert not third.wait(0.01)
    with request_id.using("given-by-the-caller"):
        queue.submit(_function(), "last")
    assert third.wait(20)
    queue.close()

    assert seen[0] == seen[1] is not None
    assert seen[2] == "given-by-the-caller"


def test_an_event_that_is_too_old_is_given_up() -> None:
    """Before it would wait beyond its age."""
    assert _calls([FAILED], Waits(error=100.0), MaximumEventAgeInSeconds=60) == 1

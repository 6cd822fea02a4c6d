"""Puts an endpoint under a bounded load of single rows, and says how it bore it."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from treering.clock import Clock
from treering.contracts import LoadTest
from treering.errors import EndpointError, TreeringError
from treering.steps.endpoint_test import InvokesEndpoints
from treering.steps.payload import JSON

MOST_REQUESTS = 100_000


def run(
    endpoint_name: str,
    runtime: InvokesEndpoints,
    bodies: Sequence[bytes],
    clock: Clock,
    *,
    seconds: float,
    concurrency: int,
) -> LoadTest:
    """Send the JSON `bodies`, one after the other and again from the start, `concurrency` at a time for `seconds`.

    Ends by itself: at the time, or after MOST_REQUESTS. A request that fails is counted, whatever the reason. The
    latencies are those that the caller sees, in milliseconds, of the requests that were answered.
    """
    started = clock.monotonic()
    lock = threading.Lock()
    latencies: list[float] = []
    sent = errors = 0

    def send_until_the_end() -> None:
        nonlocal sent, errors
        while True:
            with lock:
                if clock.monotonic() - started >= seconds or sent >= MOST_REQUESTS:
                    return
                body = bodies[sent % len(bodies)]
                sent += 1
            begun = clock.monotonic()
            try:
                runtime.invoke(endpoint_name, body, JSON, JSON)
            except TreeringError:
                with lock:
                    errors += 1
            else:
                with lock:
                    latencies.append((clock.monotonic() - begun) * 1000)

    with ThreadPoolExecutor(concurrency) as pool:
        for worker in [pool.submit(send_until_the_end) for _ in range(concurrency)]:
            worker.result()
    took = max(clock.monotonic() - started, 1e-9)
    p50, p99 = np.quantile(latencies, [0.5, 0.99]) if latencies else (0.0, 0.0)
    return LoadTest(
        seconds=round(took, 3),
        concurrency=concurrency,
        requests=sent,
        errors=errors,
        requests_per_second=len(latencies) / took,
        p50_ms=float(p50),
        p99_ms=float(p99),
    )


def require_good(endpoint_name: str, load: LoadTest, max_p99_ms: float) -> None:
    """Raises EndpointError if a request failed, or the slowest hundredth took longer than allowed."""
    if load.errors or not load.requests:
        raise EndpointError(
            f"Endpoint {endpoint_name} failed {load.errors} of {load.requests} requests under a load of "
            f"{load.concurrency} at a time. See the log group /aws/sagemaker/Endpoints/{endpoint_name}."
        )
    if load.p99_ms > max_p99_ms:
        raise EndpointError(
            f"Endpoint {endpoint_name} is too slow under a load of {load.concurrency} at a time: p99 is "
            f"{load.p99_ms:.0f} ms, at most {max_p99_ms:.0f} ms is allowed (EndpointLatencyThresholdMilliseconds)."
        )

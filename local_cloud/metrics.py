"""The metrics that AWS's services publish about themselves, in the emulator's CloudWatch.

Points stand at the machine's time; when the cloud's clock is moved forward, all of them age by as much, so that
statistics and alarms see the cloud's time.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ministack.services import cloudwatch, sqs

from local_cloud.messages import scope_of

Point = Mapping[str, Any]  # a datum as the emulator stores it: Timestamp, Value, Count (1 where it is missing), …

_QUEUE_SECONDS = 60  # SQS publishes its metrics every minute
_DIGITS = 3  # that count of a value that many requests share, such as a latency
# Step Functions Developer Guide, "Monitoring Step Functions metrics using Amazon CloudWatch"
_EXECUTION_METRICS = {
    "RUNNING": "ExecutionsStarted",
    "SUCCEEDED": "ExecutionsSucceeded",
    "FAILED": "ExecutionsFailed",
    "TIMED_OUT": "ExecutionsTimedOut",
    "ABORTED": "ExecutionsAborted",
}


@dataclass(frozen=True)
class Metric:
    """One metric: its dimensions are pairs of name and value."""

    namespace: str
    name: str
    unit: str
    dimensions: tuple[tuple[str, str], ...]


class Measurements:
    """Collects measurements of one account and region, and publishes those of equal value as one point with a count.

    A point for each request would soon be more than anyone looks at; CloudWatch, too, keeps distributions.
    """

    def __init__(self, account: str, region: str) -> None:
        self._account, self._region = account, region
        self._added: deque[Iterable[tuple[Metric, float]]] = deque()

    def add(self, metrics: Iterable[tuple[Metric, float]]) -> None:
        """Note measurements, to be published at the next look; an iterator is asked then, and nobody waits for it."""
        self._added.append(metrics)

    def publish(self) -> None:
        """Publish what was noted until now. Called by one thread at a time."""
        collected: dict[Metric, Counter[float]] = {}
        for _ in range(len(self._added)):
            for metric, value in self._added.popleft():
                collected.setdefault(metric, Counter())[float(f"{value:.{_DIGITS}g}")] += 1
        now = time.time()
        with scope_of(self._account, self._region):
            for metric, values in collected.items():
                dimensions = dict(metric.dimensions)
                bucket = cloudwatch._metric_bucket((metric.namespace, metric.name, cloudwatch._dims_key(dimensions)))
                common = {"Timestamp": now, "Unit": metric.unit, "Dimensions": dimensions}
                bucket.extend({**common, "Value": value, "Count": float(times)} for value, times in values.items())


def age(seconds: float) -> None:
    """Put all that was measured so far that much further back: the cloud's clock has been moved."""
    for points in list(cloudwatch._metrics._data.values()):
        for point in points:
            point["Timestamp"] -= seconds


def points_of(namespace: str, name: str, dimensions: Mapping[str, str]) -> list[Point]:
    """Return what was published of a metric, in the current account and region."""
    return list(cloudwatch._metrics.get((namespace, name, cloudwatch._dims_key(dimensions))) or [])


def statistic(name: str) -> Callable[[list[Point]], float | None] | None:
    """Return what computes a statistic (``Sum``, ``p99.9``, …) of a period's points; None for one not known here.

    It gives None where the points have no such statistic.
    """
    if name in ("Sum", "SampleCount", "Minimum", "Maximum", "Average"):
        return lambda points: cloudwatch._calc_stats(points).get(name)
    if cloudwatch._is_percentile_stat(name):
        return lambda points: cloudwatch._stat_value({}, name, points) if points else None
    return None


def publish_execution_metric(state_machine_arn: str, status: str) -> None:
    """Count an execution that has taken a status, in ``AWS/States``."""
    metric = _EXECUTION_METRICS.get(status)
    if metric:
        cloudwatch.record_metric("AWS/States", metric, 1, "Count", {"StateMachineArn": state_machine_arn})


def publish_queue_metrics() -> None:
    """Publish how many messages each queue holds: every minute, and at once when the number has changed."""
    metric = ("AWS/SQS", "ApproximateNumberOfMessagesVisible")
    for (account, region, _url), queue in list(sqs._queues._data.items()):
        with scope_of(account, region):
            sqs._refresh_counts(queue)
            visible = float(queue["attributes"].get("ApproximateNumberOfMessages", 0))
            dimensions = {"QueueName": queue["name"]}
            last = points_of(*metric, dimensions)[-1:]
            fresh = bool(last) and time.time() - last[0]["Timestamp"] < _QUEUE_SECONDS
            if not (fresh and last[0]["Value"] == visible):
                cloudwatch.record_metric(*metric, visible, "Count", dimensions)

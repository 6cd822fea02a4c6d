"""CloudWatch alarms: the metrics that AWS services publish about themselves, and the evaluation of alarms.

Evaluated are metric alarms with a plain statistic, per period, over the evaluation periods, with the datapoints to
alarm and the treatment of missing data
(https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/AlarmThatSendsEmail.html). It stands in for the
emulator's evaluation, which looks at a metric of every dimension at once. Metrics live on the machine's clock; when the
cloud's clock is moved forward, what was measured before lies that much further back, so that an alarm of one week is
over in the next.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from ministack.services import cloudwatch, sqs

from local_cloud.iam import AccessDeniedError
from local_cloud.messages import NoSuchTargetError, check_service_may_publish, scope_of

Point = Mapping[str, Any]  # a datum as the emulator stores it: Timestamp, Value, …

_logger = logging.getLogger(__name__)
_TICK_SECONDS = 0.5
_CLOUDWATCH = "cloudwatch.amazonaws.com"

_STATISTICS = frozenset({"Sum", "SampleCount", "Minimum", "Maximum", "Average"})
_PUBLISH_SECONDS = 60  # SQS publishes its metrics every minute
_COMPARISONS = {
    "GreaterThanOrEqualToThreshold": lambda value, threshold: value >= threshold,
    "GreaterThanThreshold": lambda value, threshold: value > threshold,
    "LessThanThreshold": lambda value, threshold: value < threshold,
    "LessThanOrEqualToThreshold": lambda value, threshold: value <= threshold,
}
# Step Functions Developer Guide, "Monitoring Step Functions metrics using Amazon CloudWatch"
_EXECUTION_METRICS = {
    "RUNNING": "ExecutionsStarted",
    "SUCCEEDED": "ExecutionsSucceeded",
    "FAILED": "ExecutionsFailed",
    "TIMED_OUT": "ExecutionsTimedOut",
    "ABORTED": "ExecutionsAborted",
}


class Alarms:
    """Publishes queues' metrics and evaluates alarms twice a second.

    ``flush`` brings states and messages to the disk: whoever was told is not told again by the next cloud.
    """

    def __init__(self, flush: Callable[[], object] = lambda: None) -> None:
        self._flush = flush
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="alarms", daemon=True)

    def install(self) -> None:
        """Evaluate alarms here wherever the emulator would."""
        cloudwatch._evaluate_alarm = evaluate

    def start(self) -> None:
        """Start evaluating."""
        self._thread.start()

    def close(self) -> None:
        """Stop evaluating."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)

    def _run(self) -> None:
        while not self._stop.wait(_TICK_SECONDS):
            try:
                if look():
                    self._flush()
            except Exception:  # one broken alarm must not silence the others for good
                _logger.exception("evaluating alarms failed; trying again in %s s", _TICK_SECONDS)


def age(seconds: float) -> None:
    """Put all that was measured so far that much further back: the cloud's clock has been moved."""
    for points in list(cloudwatch._metrics._data.values()):
        for point in points:
            point["Timestamp"] -= seconds


def look() -> bool:
    """Publish the queues' metrics, then evaluate every alarm; say whether one has changed its state."""
    _publish_queue_metrics()
    changed = False
    for (account, region, _name), alarm in list(cloudwatch._alarms._data.items()):
        with scope_of(account, region):
            changed = evaluate(alarm) or changed
    return changed


def publish_execution_metric(state_machine_arn: str, status: str) -> None:
    """Count an execution that has taken a status, in ``AWS/States``."""
    metric = _EXECUTION_METRICS.get(status)
    if metric:
        cloudwatch.record_metric("AWS/States", metric, 1, "Count", {"StateMachineArn": state_machine_arn})


def evaluate(alarm: dict[str, Any]) -> bool:
    """Set an alarm's state from its metric, and perform its actions when the state changes; say whether it did."""
    if alarm.get("Statistic") not in _STATISTICS or alarm.get("ComparisonOperator") not in _COMPARISONS:
        return False
    state, reason = state_of(alarm, _points(alarm), time.time())
    before = alarm["StateValue"]
    if state is None or state == before:
        return False
    alarm.update(StateValue=state, StateReason=reason, StateUpdatedTimestamp=int(time.time()))
    cloudwatch._record_history(alarm["AlarmName"], before, state, reason)
    cloudwatch._dispatch_alarm_actions(_permitted(alarm), before, state, reason)
    return True


def _permitted(alarm: Mapping[str, Any]) -> dict[str, Any]:
    """Return the alarm with only those topics as actions whose policy lets CloudWatch publish."""
    permitted = dict(alarm)
    for kind in ("AlarmActions", "OKActions", "InsufficientDataActions"):
        permitted[kind] = [topic for topic in alarm.get(kind) or [] if _may_publish(topic, alarm["AlarmArn"])]
    return permitted


def _may_publish(topic_arn: str, alarm_arn: str) -> bool:
    try:
        # CloudWatch publishes for the topic's owner, whom a topic's default policy lets in.
        check_service_may_publish(topic_arn, service=_CLOUDWATCH, source_arn=alarm_arn, as_owner=True)
    except (AccessDeniedError, NoSuchTargetError) as refused:
        _logger.error("alarm %s tells nobody: %s", alarm_arn, refused)
        return False
    return True


def state_of(alarm: Mapping[str, Any], points: Sequence[Point], now: float) -> tuple[str | None, str]:
    """Return the state of an alarm (None: keep it) and its reason, given the metric's points.

    ``now`` and the points' ``Timestamp`` are seconds since the epoch.
    """
    periods = int(alarm.get("EvaluationPeriods", 1))
    needed = int(alarm.get("DatapointsToAlarm") or periods)
    treatment = alarm.get("TreatMissingData") or "missing"
    breaching, missing = 0, 0
    for datapoints in _by_period(points, int(alarm.get("Period", 60)), periods, now):
        statistics = cloudwatch._calc_stats(datapoints)
        if not statistics:
            missing += 1
        elif _COMPARISONS[alarm["ComparisonOperator"]](statistics[alarm["Statistic"]], alarm["Threshold"]):
            breaching += 1
    if missing == periods and treatment in ("missing", "ignore"):
        if treatment == "ignore":
            return None, ""
        return "INSUFFICIENT_DATA", f"Insufficient Data: {missing} datapoints were unknown."
    if treatment == "breaching":
        breaching += missing
    condition = f"{alarm['Statistic']} of {alarm['MetricName']} {alarm['ComparisonOperator']} {alarm['Threshold']}"
    if breaching >= needed:
        return "ALARM", f"Threshold Crossed: {breaching} out of the last {periods} datapoints breached: {condition}"
    return "OK", f"Threshold not crossed: {breaching} out of the last {periods} datapoints breached: {condition}"


def _by_period(points: Sequence[Point], period: int, periods: int, now: float) -> Iterator[list[Point]]:
    for number in range(periods):
        end = now - number * period
        yield [point for point in points if end - period < point["Timestamp"] <= end]


def _points(alarm: Mapping[str, Any]) -> list[Point]:
    dimensions = cloudwatch._dims_from_list(alarm.get("Dimensions") or [])
    return _metric(alarm["Namespace"], alarm["MetricName"], dimensions)


def _metric(namespace: str, name: str, dimensions: Mapping[str, str]) -> list[Point]:
    return list(cloudwatch._metrics.get((namespace, name, cloudwatch._dims_key(dimensions))) or [])


def _publish_queue_metrics() -> None:
    """Publish how many messages each queue holds: every minute, and at once when the number has changed."""
    metric = ("AWS/SQS", "ApproximateNumberOfMessagesVisible")
    for (account, region, _url), queue in list(sqs._queues._data.items()):
        with scope_of(account, region):
            sqs._refresh_counts(queue)
            visible = float(queue["attributes"].get("ApproximateNumberOfMessages", 0))
            dimensions = {"QueueName": queue["name"]}
            last = _metric(*metric, dimensions)[-1:]
            fresh = bool(last) and time.time() - last[0]["Timestamp"] < _PUBLISH_SECONDS
            if not (fresh and last[0]["Value"] == visible):
                cloudwatch.record_metric(*metric, visible, "Count", dimensions)

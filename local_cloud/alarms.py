"""CloudWatch alarms: their evaluation, and what a change of state brings: actions, an event, composite alarms.

It stands in for the emulator's evaluation, which looks at a metric of every dimension at once, once a minute. Alarms
here look twice a second, so that a state is seconds old.
"""

from __future__ import annotations

import json
import logging
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from ministack.services import cloudwatch

from local_cloud.alarm_states import state_of, statistic_of
from local_cloud.event_targets import put_event
from local_cloud.iam import AccessDeniedError
from local_cloud.messages import NoSuchTargetError, check_service_may_publish, scope_of
from local_cloud.metrics import Measurements, points_of, publish_queue_metrics

_logger = logging.getLogger(__name__)
_TICK_SECONDS = 0.5
_CLOUDWATCH = "cloudwatch.amazonaws.com"
_ACTIONS = ("AlarmActions", "OKActions", "InsufficientDataActions")

_changing = threading.Lock()  # a change is one thread's to tell; nothing is told while it is held
_on_change: list[Callable[[], object]] = []
_dispatch_actions: Callable[..., object] = cloudwatch._dispatch_alarm_actions


class Alarms:
    """Publishes services' metrics and evaluates alarms twice a second.

    ``flush`` brings states and messages to the disk: whoever was told is not told again by the next cloud.
    """

    def __init__(self, measurements: Measurements, flush: Callable[[], object] = lambda: None) -> None:
        self._measurements, self._flush = measurements, flush
        self._looking = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="alarms", daemon=True)

    def install(self, changed: Callable[[], object] = lambda: None) -> None:
        """Evaluate alarms here wherever the emulator would, and act here on every change of state.

        ``changed`` is called at once after each change: a state that is set by hand lasts half a second.
        """
        _on_change.append(changed)
        cloudwatch._evaluate_alarm = evaluate
        cloudwatch._dispatch_alarm_actions = tell

    def start(self) -> None:
        """Start evaluating."""
        self._thread.start()

    def close(self) -> None:
        """Stop evaluating."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)

    def look(self) -> None:
        """Publish what was measured, then evaluate every alarm."""
        with self._looking:
            self._measurements.publish()
            publish_queue_metrics()
            changed = False
            for (account, region, _name), alarm in list(cloudwatch._alarms._data.items()):
                with scope_of(account, region):
                    changed = evaluate(alarm) or changed
        if changed:
            self._flush()

    def _run(self) -> None:
        while not self._stop.wait(_TICK_SECONDS):
            try:
                self.look()
            except Exception:  # one broken alarm must not silence the others for good
                _logger.exception("evaluating alarms failed; trying again in %s s", _TICK_SECONDS)


def state(name: str) -> str | None:
    """Return the state of an alarm of the current account and region; None where there is no such alarm."""
    alarm = cloudwatch._alarms.get(name) or cloudwatch._composite_alarms.get(name)
    return str(alarm["StateValue"]) if alarm else None


def evaluate(alarm: dict[str, Any]) -> bool:
    """Set an alarm's state from its metric, and act on a change; say whether there was one."""
    if not alarm.get("MetricName") or not alarm.get("Namespace"):
        return False
    dimensions = cloudwatch._dims_from_list(alarm.get("Dimensions") or [])
    with _changing:
        points = points_of(alarm["Namespace"], alarm["MetricName"], dimensions)
        now, reason = state_of(alarm, points, time.time())
        before = alarm["StateValue"]
        if now is None or now == before:
            return False
        alarm.update(StateValue=now, StateReason=reason, StateUpdatedTimestamp=int(time.time()))
    cloudwatch._record_history(alarm["AlarmName"], before, now, reason)
    tell(alarm, before, now, reason)
    cloudwatch._evaluate_parent_alarms(alarm)
    return True


def tell(alarm: dict[str, Any], before: str, now: str, reason: str) -> None:
    """Perform an alarm's actions for a change of its state, and put the event on the default bus."""
    for changed in _on_change:
        changed()
    _dispatch_actions(_permitted(alarm), before, now, reason)
    detail = _event(alarm, before, now, reason)
    try:
        put_event("aws.cloudwatch", "CloudWatch Alarm State Change", detail, [alarm["AlarmArn"]])
    except Exception:
        _logger.exception("the event of alarm %s is lost", alarm["AlarmArn"])


def _event(alarm: Mapping[str, Any], before: str, now: str, reason: str) -> dict[str, Any]:
    """Return the event's detail ("Alarm events and EventBridge" of the CloudWatch User Guide)."""
    moment = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "+0000")
    detail: dict[str, Any] = {
        "alarmName": alarm["AlarmName"],
        "configuration": {"description": alarm.get("AlarmDescription") or ""},
        "previousState": {"value": before},
        "state": {"value": now, "reason": reason, "timestamp": moment},
    }
    if alarm.get("MetricName"):
        metric = {
            "namespace": alarm["Namespace"],
            "name": alarm["MetricName"],
            "dimensions": {one["Name"]: one["Value"] for one in alarm.get("Dimensions") or []},
        }
        period, stat = int(alarm.get("Period", 60)), statistic_of(alarm)
        of_metric = {"metric": metric, "period": period, "stat": stat}
        detail["configuration"]["metrics"] = [{"id": str(uuid.uuid4()), "metricStat": of_metric, "returnData": True}]
        data = {"version": "1.0", "queryDate": moment, "statistic": stat, "period": period}
        detail["state"]["reasonData"] = json.dumps({**data, "threshold": alarm.get("Threshold")})
    return detail


def _permitted(alarm: Mapping[str, Any]) -> dict[str, Any]:
    """Return the alarm with only those topics as actions whose policy lets CloudWatch publish."""
    permitted = dict(alarm)
    for kind in _ACTIONS:
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

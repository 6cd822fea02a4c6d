"""Which state an alarm has, given its metric's points: periods, datapoints to alarm, missing data.

CloudWatch User Guide, "Configuring how CloudWatch alarms treat missing data"
(https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from local_cloud.metrics import Point, statistic

_COMPARISONS: dict[str, tuple[str, Callable[[float, float], bool]]] = {
    "GreaterThanOrEqualToThreshold": ("greater than or equal to", lambda value, threshold: value >= threshold),
    "GreaterThanThreshold": ("greater than", lambda value, threshold: value > threshold),
    "LessThanThreshold": ("less than", lambda value, threshold: value < threshold),
    "LessThanOrEqualToThreshold": ("less than or equal to", lambda value, threshold: value <= threshold),
}
# "CloudWatch attempts to retrieve a higher number of data points than the number specified as Evaluation Periods. The
# exact number … depends on the length of the alarm period": in the page's example 5 for 3 periods.
_MORE_PERIODS = 2


@dataclass(frozen=True)
class _Datapoint:
    """One period's statistic; ``number`` counts the periods back from now."""

    number: int
    value: float
    breaching: bool


def statistic_of(alarm: Mapping[str, Any]) -> str:
    """Return an alarm's statistic; of one that watches a percentile, the percentile."""
    return str(alarm.get("ExtendedStatistic") or alarm.get("Statistic") or "")


def state_of(alarm: Mapping[str, Any], points: Sequence[Point], now: float) -> tuple[str | None, str]:
    """Return the state of an alarm (None: keep it) and its reason, given the metric's points.

    ``now`` and the points' ``Timestamp`` are seconds since the epoch. Periods end now, and not at full minutes.
    """
    if alarm.get("ComparisonOperator") not in _COMPARISONS or statistic(statistic_of(alarm)) is None:
        return None, ""
    periods = int(alarm.get("EvaluationPeriods", 1))
    needed = int(alarm.get("DatapointsToAlarm") or periods)
    found = _datapoints(alarm, points, periods + _MORE_PERIODS, now)[:periods]  # the latest, with as few gaps as may be
    missing = periods - len(found)
    breaching = sum(datapoint.breaching for datapoint in found)
    treatment = alarm.get("TreatMissingData") or "missing"
    if treatment == "breaching":
        breaching += missing
    elif missing and treatment in ("missing", "ignore") and breaching == len(found) < needed:
        # only breaching datapoints, and not enough of them
        if treatment == "ignore":
            return None, ""
        if not found or found[-1].number + 1 < needed:  # else it has gone on long enough, "even if … missing"
            return "INSUFFICIENT_DATA", f"Insufficient Data: {missing} datapoint{_s(missing)} {_were(missing)} unknown."
        breaching = needed
    state = "ALARM" if breaching >= needed else "OK"
    return state, _reason(alarm, state, found, needed if state == "ALARM" else periods - needed + 1, now)


def _datapoints(alarm: Mapping[str, Any], points: Sequence[Point], most: int, now: float) -> list[_Datapoint]:
    """Return the datapoints of so many periods, the latest first; periods without points have none."""
    period = int(alarm.get("Period", 60))
    by_period: dict[int, list[Point]] = {}
    for point in points:
        number = int((now - point["Timestamp"]) // period)
        if 0 <= number < most:
            by_period.setdefault(number, []).append(point)
    compute = statistic(statistic_of(alarm))
    _words, breaches = _COMPARISONS[alarm["ComparisonOperator"]]
    found = []
    for number in sorted(by_period):
        value = compute(by_period[number]) if compute is not None else None
        if value is not None:
            found.append(_Datapoint(number, value, breaches(value, float(alarm["Threshold"]))))
    return found


def _reason(alarm: Mapping[str, Any], state: str, found: Sequence[_Datapoint], least: int, now: float) -> str:
    """Return the reason as CloudWatch words it ("Alarm events and EventBridge" of its user guide)."""
    if not found:
        missing, treated = int(alarm.get("EvaluationPeriods", 1)), "Breaching" if state == "ALARM" else "NonBreaching"
        return (
            f"Threshold Crossed: no datapoints were received for {missing} period{_s(missing)} and {missing} missing "
            f"datapoint{_s(missing)} {_were(missing)} treated as [{treated}]."
        )
    period, alarmed = int(alarm.get("Period", 60)), state == "ALARM"
    crossed = [datapoint for datapoint in found if datapoint.breaching == alarmed]
    listed = ", ".join(f"{one.value} ({_begin(now - (one.number + 1) * period)})" for one in crossed)
    return (
        f"Threshold Crossed: {len(crossed)} out of the last {len(found)} datapoints [{listed}] {_were(len(crossed))}"
        f"{'' if alarmed else ' not'} {_COMPARISONS[alarm['ComparisonOperator']][0]} the threshold "
        f"({float(alarm['Threshold'])}) (minimum {least} datapoint{_s(least)} for "
        f"{'OK -> ALARM' if alarmed else 'ALARM -> OK'} transition)."
    )


def _begin(instant: float) -> str:
    return datetime.fromtimestamp(instant, UTC).strftime("%d/%m/%y %H:%M:%S")


def _s(number: int) -> str:
    return "" if number == 1 else "s"


def _were(number: int) -> str:
    return "was" if number == 1 else "were"

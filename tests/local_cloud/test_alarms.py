"""Alarms follow their metric, per period and over the evaluation periods."""

import pytest

from local_cloud.alarms import state_of

NOW = 1_000_000.0
ALARM = {
    "MetricName": "Failures",
    "Statistic": "Sum",
    "Period": 60,
    "EvaluationPeriods": 3,
    "Threshold": 2.0,
    "ComparisonOperator": "GreaterThanOrEqualToThreshold",
}


def points(*values: tuple[float, float]) -> list[dict[str, float]]:
    """Data points from (seconds ago, value)."""
    return [{"Timestamp": NOW - ago, "Value": value} for ago, value in values]


@pytest.mark.parametrize(
    ("data", "settings", "state"),
    [
        (points((10, 1), (20, 1), (70, 2), (130, 2)), {}, "ALARM"),
        (points((10, 1), (70, 2), (130, 2)), {}, "OK"),
        (points((10, 1), (70, 2), (130, 2)), {"DatapointsToAlarm": 2}, "ALARM"),
        (points((500, 9)), {}, "INSUFFICIENT_DATA"),
        (points((500, 9)), {"TreatMissingData": "notBreaching"}, "OK"),
        (points((500, 9)), {"TreatMissingData": "breaching"}, "ALARM"),
        (points((500, 9)), {"TreatMissingData": "ignore"}, None),
        (points((10, 5)), {"EvaluationPeriods": 1, "Statistic": "Average", "Threshold": 5.5}, "OK"),
        (points((10, 5)), {"EvaluationPeriods": 1, "ComparisonOperator": "LessThanThreshold", "Threshold": 6}, "ALARM"),
    ],
)
def test_state(data: list[dict[str, float]], settings: dict[str, object], state: str | None) -> None:
    """Breaching periods are counted against the datapoints to alarm; missing ones as the alarm says."""
    assert state_of({**ALARM, **settings}, data, NOW)[0] == state

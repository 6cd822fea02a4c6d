"""Alarms follow their metric, per period and over the evaluation periods."""

import pytest

from local_cloud.alarm_states import state_of

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
        (points((10, 9)), {"EvaluationPeriods": 1, "Statistic": "TM(10%:90%)"}, None),
    ],
)
def test_state(data: list[dict[str, float]], settings: dict[str, object], state: str | None) -> None:
    """Breaching periods are counted against the datapoints to alarm; missing ones as the alarm says."""
    assert state_of({**ALARM, **settings}, data, NOW)[0] == state


@pytest.mark.parametrize("treatment", ["missing", "ignore", "breaching", "notBreaching"])
@pytest.mark.parametrize(
    ("datapoints", "needed", "expected"),
    [
        # the tables of "Configuring how CloudWatch alarms treat missing data", the oldest datapoint first
        ("0-X-X", 3, ("OK", "OK", "OK", "OK")),
        ("0----", 3, ("OK", "OK", "OK", "OK")),
        ("-----", 3, ("INSUFFICIENT_DATA", None, "ALARM", "OK")),
        ("0XX-X", 3, ("ALARM", "ALARM", "ALARM", "ALARM")),
        ("----X", 3, ("INSUFFICIENT_DATA", None, "ALARM", "OK")),
        ("X----", 3, ("ALARM", None, "ALARM", "OK")),
        ("0-X-X", 2, ("ALARM", "ALARM", "ALARM", "ALARM")),
        ("00X0X", 2, ("ALARM", "ALARM", "ALARM", "ALARM")),
        ("0-X--", 2, ("OK", "OK", "ALARM", "OK")),
        ("----0", 2, ("OK", "OK", "ALARM", "OK")),
        ("----X", 2, ("INSUFFICIENT_DATA", None, "ALARM", "OK")),
    ],
)
def test_missing_data_is_treated_as_in_the_user_guide(
    datapoints: str, needed: int, expected: tuple[str | None, ...], treatment: str
) -> None:
    """Real datapoints of the last five periods count first; only what is then missing of three is filled in."""
    ago = {4 - index: mark for index, mark in enumerate(datapoints) if mark != "-"}
    data = points(*((number * 60 + 5, 9.0 if mark == "X" else 0.0) for number, mark in ago.items()))
    state, _reason = state_of({**ALARM, "DatapointsToAlarm": needed, "TreatMissingData": treatment}, data, NOW)

    assert state == expected[["missing", "ignore", "breaching", "notBreaching"].index(treatment)]


def test_a_percentile_counts_each_value_as_often_as_it_was_measured() -> None:
    """One slow request of two hundred does not move p99, three do; a point stands for `Count` requests."""
    alarm = {**ALARM, "Statistic": "Average", "ExtendedStatistic": "p99", "EvaluationPeriods": 1, "Threshold": 100.0}
    fast = {"Timestamp": NOW - 5, "Value": 10.0, "Count": 199.0}
    one, three = ({"Timestamp": NOW - 5, "Value": 5000.0, "Count": count} for count in (1.0, 3.0))

    assert state_of(alarm, [fast, one], NOW)[0] == "OK"
    assert state_of(alarm, [fast, three], NOW)[0] == "ALARM"


def test_the_reason_is_worded_as_cloudwatch_words_it() -> None:
    """With the datapoints, when their periods began, and the threshold."""
    alarm = {**ALARM, "EvaluationPeriods": 1, "TreatMissingData": "notBreaching"}
    breached, quiet, none = (state_of(alarm, data, NOW)[1] for data in (points((10, 5)), points((10, 1)), []))

    assert breached == (
        "Threshold Crossed: 1 out of the last 1 datapoints [5.0 (12/01/70 13:45:40)] was greater than or equal to the "
        "threshold (2.0) (minimum 1 datapoint for OK -> ALARM transition)."
    )
    assert "was not greater than or equal to the threshold (2.0) (minimum 1 datapoint for ALARM -> OK" in quiet
    assert none == (
        "Threshold Crossed: no datapoints were received for 1 period and 1 missing datapoint was treated as "
        "[NonBreaching]."
    )

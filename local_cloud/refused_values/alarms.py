"""What CloudWatch refuses in measurements and alarms, in its words: asked of by its API and by templates.

The emulator stores what it is given. Of an alarm's rules the API reference tells, and of the words those who have
measured them (https://github.com/badmintoncryer/cdk-preflight, rules/cloudwatch).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ministack.services import cloudwatch

from local_cloud.aws_models import LOADER

Fields = Mapping[str, Any]
Answer = tuple[int, dict[str, str], bytes]

_SHORT_PERIODS = (10, 20, 30)  # seconds
_HOUR, _DAY, _WEEK = 3600, 86400, 604800
_MOST_ACTIONS = 5
_ACTIONS = ("AlarmActions", "OKActions", "InsufficientDataActions")
_PERCENTILE = re.compile(r"p(\d+)(\.\d+)?")
_LARGEST_VALUE = 2.0**360
_NUMBER = re.compile(r"MetricData\.member\.\d+\.(Value|(Values|Counts)\.member\.\d+|StatisticValues\.\w+)")
_UNIT = re.compile(r"MetricData\.member\.\d+\.Unit")


def install() -> None:
    """Let PutMetricData and PutMetricAlarm refuse what they refuse on AWS."""
    cloudwatch._put_metric_data = _checked(cloudwatch._put_metric_data, data_problem, "InvalidParameterValue")
    cloudwatch._put_metric_alarm = _checked(cloudwatch._put_metric_alarm, _request_problem, "ValidationError")


def data_problem(request: Fields) -> str | None:
    """Say why PutMetricData refuses a request; None where it takes it.

    "Values must be in the range of -2^360 to 2^360. In addition, special values (for example, NaN, +Infinity,
    -Infinity) are not supported" (https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDatum.html);
    the words are those of https://github.com/getmoto/moto/issues/3880 and
    https://github.com/micrometer-metrics/micrometer/issues/1645.
    """
    units = _shapes()["StandardUnit"]["enum"]
    for place, value in request.items():
        if _NUMBER.fullmatch(place) and not -_LARGEST_VALUE <= float(value) <= _LARGEST_VALUE:  # NaN is not either
            return f"The value {_as_java(float(value))} for parameter {place} is invalid."
        if _UNIT.fullmatch(place) and value not in units:
            return f"The parameter {place} must be a value in the set [ {', '.join(units)} ]."
    return None


def alarm_problem(alarm: Fields) -> str | None:
    """Say why PutMetricAlarm refuses an alarm on a metric; None where it takes it.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html; AWS's words are not known
    where the statistic is missing or given twice.
    """
    extended = alarm.get("ExtendedStatistic")
    if bool(alarm.get("Statistic")) == bool(extended):
        return "You must specify either Statistic or ExtendedStatistic, but not both"
    percentile = _PERCENTILE.fullmatch(extended or "")
    if percentile and int(percentile[1]) > 100:  # p100.5 is taken
        return f"The value {extended} for parameter ExtendedStatistic is not supported."
    if alarm.get("Period") in (None, ""):
        return "Period must not be null"
    period, periods = _whole(alarm["Period"]), _whole(alarm.get("EvaluationPeriods") or 1)
    if period not in _SHORT_PERIODS and (period < 1 or period % 60):
        return "Period must be 10, 20, 30 or a multiple of 60"
    if _whole(alarm.get("DatapointsToAlarm") or 1) > periods:
        return "DatapointsToAlarm must be less than or equal to EvaluationPeriods"
    longest = _WEEK if period >= _HOUR else _DAY
    if periods * period > longest:
        return f"EvaluationPeriods * Period must be <= {longest}"
    for kind in _ACTIONS:
        if len(alarm.get(kind) or ()) > _MOST_ACTIONS:
            return (
                f"1 validation error detected: Value '[{', '.join(alarm[kind])}]' at '{kind[0].lower()}{kind[1:]}' "
                f"failed to satisfy constraint: Member must have length less than or equal to {_MOST_ACTIONS}"
            )
    return None


@functools.cache
def _shapes() -> dict[str, Any]:
    """Read CloudWatch's own description of its requests."""
    shapes: dict[str, Any] = LOADER.load_service_model("cloudwatch", "service-2")["shapes"]
    return shapes


def _checked(
    handle: Callable[..., Answer], problem_of: Callable[[Fields], str | None], code: str
) -> Callable[..., Answer]:
    def checked(params: Fields, data: Fields, is_cbor: bool, is_json: bool = False) -> Answer:
        request = dict(_flat(data)) if is_cbor or is_json else {name: _first(value) for name, value in params.items()}
        problem = problem_of(request)
        if problem:
            refusal: Answer = cloudwatch._error(code, problem, 400, use_json=is_json, use_cbor=is_cbor)
            return refusal
        return handle(params, data, is_cbor, is_json)

    return checked


def _request_problem(request: Fields) -> str | None:
    """Judge the request for an alarm on one metric, enumerations included; the emulator has no other."""
    shapes = _shapes()
    for name, member in shapes["PutMetricAlarmInput"]["members"].items():
        known = shapes[member["shape"]].get("enum")
        if known and name in request and request[name] not in known:
            return (
                f"1 validation error detected: Value '{request[name]}' at '{name[0].lower()}{name[1:]}' failed to "
                f"satisfy constraint: Member must satisfy enum value set: [{', '.join(known)}]"
            )
    if not request.get("MetricName"):
        return None
    lists = {
        kind: [value for name, value in request.items() if name.startswith(f"{kind}.member.")] for kind in _ACTIONS
    }
    return alarm_problem({**request, **lists})


def _flat(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Give each value of a request under the name that it has in the Query protocol."""
    if isinstance(value, Mapping):
        for name, below in value.items():
            yield from _flat(below, f"{place}.{name}" if place else name)
    elif isinstance(value, list):
        for number, below in enumerate(value, 1):
            yield from _flat(below, f"{place}.member.{number}")
    elif value is not None:
        yield place, value


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, list) else value


def _whole(value: Any) -> int:
    """Read a whole number, which a template and the Query protocol may have as text."""
    return int(float(value))


def _as_java(value: float) -> str:
    return {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}.get(str(value), str(value))

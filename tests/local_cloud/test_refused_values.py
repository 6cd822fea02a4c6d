"""Values that a service refuses: by its API and in a template alike, in its words."""

import asyncio
import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from ministack.services import cloudwatch, eventbridge, s3

from local_cloud.cloudformation import buckets, notifications
from local_cloud.refused_values import alarms, rules
from local_cloud.refused_values import buckets as bucket_values
from local_cloud.refused_values.topics import guard_topics

TOPIC = "arn:aws:sns:us-east-1:000000000000:topic"
QUEUE = "arn:aws:sqs:us-east-1:000000000000:queue"
MACHINE = "arn:aws:states:us-east-1:000000000000:stateMachine:machine"
DAILY = {"ScheduleExpression": "rate(1 day)"}
ALARM = {
    "AlarmName": "alarm",
    "MetricName": "m",
    "Namespace": "n",
    "Statistic": "Sum",
    "Period": 60,
    "EvaluationPeriods": 2,
    "Threshold": 1,
    "ComparisonOperator": "GreaterThanThreshold",
}


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The emulator with our rules, for one test."""
    for module, names in (
        (eventbridge, ("_put_rule", "_put_targets")),
        (cloudwatch, ("_put_metric_alarm", "_put_metric_data")),
        (s3, ("_lifecycle_rules_error", "_put_bucket_tagging")),
    ):
        for name in names:
            monkeypatch.setattr(module, name, getattr(module, name))
    for values in (bucket_values, rules, alarms):
        values.install()
    yield
    eventbridge._rules.clear()
    eventbridge._targets.clear()
    cloudwatch._alarms.clear()
    cloudwatch._metrics.clear()


def provision(wrapper: Any, properties: dict[str, Any]) -> None:
    """Create a resource with handlers that only check it."""
    made = ("id", {})
    handlers = wrapper({name: lambda *_arguments: made for name in ("create", "update", "delete")})
    handlers["create"]("It", properties, "stack")


def of_topics(action: str, **parameters: str) -> tuple[int, str]:
    """Status and body of a request to SNS; the service behind takes everything."""

    async def takes(*_request: object) -> tuple[int, dict[str, str], bytes]:
        return 200, {}, b"taken"

    body = urlencode({"Action": action, **parameters}).encode()
    status, _headers, answer = asyncio.run(guard_topics(takes)("POST", "/", {}, body, {}))
    return status, answer.decode()


@pytest.mark.parametrize(
    ("schedule", "taken"),
    [
        ("rate(1 hour)", True),
        ("rate(5 minutes)", True),
        ("rate(1 hours)", False),
        ("rate(2 hour)", False),
        ("rate(0 hours)", False),
        ("cron(0 6 ? * MON *)", True),
        ("cron(0/15 0-23 ? JAN-DEC 1-7 *)", True),
        ("cron(59 23 L 12 ? 2500)", True),
        ("cron(0 6 ? * MON#1 *)", True),
        ("cron(0 25 ? * MON *)", False),
        ("cron(60 6 ? * MON *)", False),
        ("cron(0 6 32 * ? *)", False),
        ("cron(0 6 1 0 ? *)", False),
        ("cron(0 6 ? * 0 *)", False),
        ("0 6 * * 1", False),
    ],
)
def test_a_schedule_is_within_its_ranges(schedule: str, taken: bool) -> None:
    """One hour, two hours; hours are 0 to 23, days of the week 1 to 7; years are not held to theirs."""
    status, _headers, body = eventbridge._put_rule({"Name": "rule", "ScheduleExpression": schedule})

    assert (status == 200) == taken
    if not taken:
        assert b"Parameter ScheduleExpression is not valid." in body
        with pytest.raises(ValueError, match="Parameter ScheduleExpression is not valid"):
            provision(notifications.rule_handlers, {"ScheduleExpression": schedule})


@pytest.mark.parametrize(
    ("rule", "problem"),
    [
        ({}, "Parameter(s) EventPattern or ScheduleExpression must be specified."),
        ({"EventPattern": {"source": "aws.sagemaker"}}, "Event pattern is not valid. Reason: "),
        ({"EventPattern": {"source": [{"prefixx": "a"}]}}, "Event pattern is not valid. Reason: "),
        ({"EventPattern": {"source": ["x"]}, "EventBusName": "none"}, "Event bus none does not exist."),
        (
            {**DAILY, "Targets": [{"Id": "a", "Arn": QUEUE}, {"Id": "a", "Arn": TOPIC}]},
            "Parameter targets is not valid. Reason: More than one target with Id 'a' is provided.",
        ),
        ({**DAILY, "Targets": [{"Id": "a", "Arn": MACHINE}]}, f"RoleArn is required for target {MACHINE}."),
        (
            {**DAILY, "Targets": [{"Id": "a", "Arn": QUEUE, "Input": "hello"}]},
            "JSON syntax error in input for target a",
        ),
        (
            {**DAILY, "Targets": [{"Id": "a", "Arn": QUEUE, "Input": "{}", "InputPath": "$.x"}]},
            "Only one of Input, InputPath, or InputTransformer must be provided for target a.",
        ),
    ],
)
def test_a_rule_of_a_template_is_checked_when_it_is_created(rule: dict[str, Any], problem: str) -> None:
    """As PutRule and PutTargets check it; a rule that they take is made."""
    with pytest.raises(ValueError, match=f"^{re.escape(problem)}"):
        provision(notifications.rule_handlers, rule)
    provision(notifications.rule_handlers, {"EventPattern": {"source": ["x"], "detail": {"a": [{"prefix": "b"}]}}})
    provision(notifications.rule_handlers, {**DAILY, "Targets": [{"Id": "a", "Arn": QUEUE, "Input": '"hello"'}]})


def test_a_target_is_refused_by_the_api_too() -> None:
    """With the code of AWS."""
    eventbridge._put_rule({"Name": "rule", **DAILY})
    status, headers, _body = eventbridge._put_targets({"Rule": "rule", "Targets": [{"Id": "a", "Arn": MACHINE}]})
    taken, *_rest = eventbridge._put_targets({"Rule": "rule", "Targets": [{"Id": "a", "Arn": QUEUE}]})

    assert (status, headers["x-amzn-errortype"], taken) == (400, "ValidationException", 200)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"Period": 10}, None),
        ({"Period": 20}, None),
        ({"Period": "120"}, None),
        ({"Statistic": None, "ExtendedStatistic": "p100.5"}, None),
        ({"Period": 86400, "EvaluationPeriods": 7}, None),
        ({"Period": 90}, "Period must be 10, 20, 30 or a multiple of 60"),
        ({"Period": 45}, "Period must be 10, 20, 30 or a multiple of 60"),
        ({"Period": None}, "Period must not be null"),
        ({"Statistic": None}, "You must specify either Statistic or ExtendedStatistic, but not both"),
        ({"ExtendedStatistic": "p99"}, "You must specify either Statistic or ExtendedStatistic, but not both"),
        (
            {"Statistic": None, "ExtendedStatistic": "p101"},
            "The value p101 for parameter ExtendedStatistic is not supported.",
        ),
        ({"DatapointsToAlarm": 3}, "DatapointsToAlarm must be less than or equal to EvaluationPeriods"),
        ({"Period": 600, "EvaluationPeriods": 145}, "EvaluationPeriods * Period must be <= 86400"),
        ({"Period": 86400, "EvaluationPeriods": 8}, "EvaluationPeriods * Period must be <= 604800"),
        (
            {"OKActions": [TOPIC] * 6},
            f"1 validation error detected: Value '[{', '.join([TOPIC] * 6)}]' at 'oKActions' failed to satisfy "
            "constraint: Member must have length less than or equal to 5",
        ),
    ],
)
def test_an_alarm_that_cloudwatch_refuses(settings: dict[str, Any], problem: str | None) -> None:
    """In a template and in both forms of a request; what it takes is made."""
    alarm = {name: value for name, value in {**ALARM, **settings}.items() if value is not None}
    form = {name: [str(value)] for name, value in alarm.items() if not isinstance(value, list)}
    form |= {f"OKActions.member.{number}": [action] for number, action in enumerate(alarm.get("OKActions", []), 1)}
    status, _headers, body = cloudwatch._put_metric_alarm({}, alarm, False, True)
    query_status, *_rest = cloudwatch._put_metric_alarm(form, {}, False)

    if problem is None:
        provision(notifications.alarm_handlers, alarm)
        assert (status, query_status) == (200, 200)
    else:
        with pytest.raises(ValueError, match=f"^{re.escape(problem)}$"):
            provision(notifications.alarm_handlers, alarm)
        assert (status, query_status) == (400, 400)
        assert json.loads(body) == {"__type": "ValidationError", "message": problem}


@pytest.mark.parametrize(
    ("name", "value"), [("Unit", "GB"), ("Statistic", "p99"), ("ComparisonOperator", "GreaterThan")]
)
def test_an_alarm_has_what_the_api_enumerates(name: str, value: str) -> None:
    """In a template, CloudFormation's schema sees to it."""
    status, _headers, body = cloudwatch._put_metric_alarm({}, {**ALARM, name: value}, False, True)

    assert status == 400
    assert json.loads(body)["message"].startswith(
        f"1 validation error detected: Value '{value}' at '{name[0].lower()}{name[1:]}' failed to satisfy constraint: "
        "Member must satisfy enum value set: ["
    )


@pytest.mark.parametrize(
    ("datum", "problem"),
    [
        ({"Value": 1.5, "Unit": "Count"}, None),
        ({"Values": [1, -2.0], "Counts": [1, 2]}, None),
        ({"StatisticValues": {"SampleCount": 1, "Sum": 1, "Minimum": 1, "Maximum": 1}}, None),
        ({"Value": float("nan")}, "The value NaN for parameter MetricData.member.1.Value is invalid."),
        ({"Value": float("inf")}, "The value Infinity for parameter MetricData.member.1.Value is invalid."),
        ({"Values": [1, 1e200]}, "The value 1e+200 for parameter MetricData.member.1.Values.member.2 is invalid."),
        (
            {"Value": 1, "Unit": "Counts"},
            "The parameter MetricData.member.1.Unit must be a value in the set [ Seconds, ",
        ),
    ],
)
def test_a_measurement_that_cloudwatch_refuses(datum: dict[str, Any], problem: str | None) -> None:
    """Special values, those beyond 2^360, and a unit that there is not; nothing of the request is kept."""
    request = {"Namespace": "n", "MetricData": [{"MetricName": "m", **datum}]}
    status, _headers, body = cloudwatch._put_metric_data({}, request, False, True)
    answer = json.loads(body)

    assert (status == 200) == (problem is None) == bool(list(cloudwatch._metrics))
    if problem:
        assert answer["__type"] == "InvalidParameterValue"
        assert answer["message"].startswith(problem)


@pytest.mark.parametrize(
    ("action", "request_", "problem"),
    [
        ("Publish", {"Message": "m"}, None),
        ("Publish", {"Message": "m", "Subject": "x" * 100}, None),
        ("Publish", {"Message": "m", "Subject": "ä"}, None),
        ("Publish", {"Message": "m", "Subject": "x" * 101}, "Invalid parameter: Subject"),
        ("Publish", {"Message": "m", "Subject": "two\nlines"}, "Invalid parameter: Subject"),
        ("Publish", {"Message": "m", "Subject": "\x07"}, "Invalid parameter: Subject"),
        ("Publish", {"Message": "m", "Subject": ""}, "Invalid parameter: Subject"),
        ("Publish", {"Message": "", "Subject": "s"}, "Invalid parameter: Empty message"),
        ("Subscribe", {"Protocol": "email", "Endpoint": "somebody@example.com"}, None),
        ("Subscribe", {"Protocol": "sqs", "Endpoint": QUEUE}, None),
        ("Subscribe", {"Protocol": "email", "Endpoint": "nobody"}, "Invalid parameter: Email address"),
        ("Subscribe", {"Protocol": "sqs", "Endpoint": "http://queue"}, "Invalid parameter: SQS endpoint ARN"),
        (
            "Subscribe",
            {"Protocol": "https", "Endpoint": "http://example.com"},
            "Invalid parameter: Endpoint must match the specified protocol",
        ),
        (
            "Subscribe",
            {
                "Protocol": "sqs",
                "Endpoint": QUEUE,
                "Attributes.entry.1.key": "FilterPolicy",
                "Attributes.entry.1.value": '{"kind": "a"}',
            },
            "Invalid parameter: Attributes Reason: FilterPolicy: &quot;kind&quot; must be an object or an array",
        ),
        ("CreateTopic", {"Name": "a-topic_1"}, None),
        ("CreateTopic", {"Name": "a topic"}, "Invalid parameter: Topic Name"),
        (
            "CreateTopic",
            {"Name": "a", "Attributes.entry.1.key": "DisplayName", "Attributes.entry.1.value": "x" * 101},
            "Invalid parameter: Attributes Reason: DisplayName",
        ),
    ],
)
def test_what_sns_refuses(action: str, request_: dict[str, str], problem: str | None) -> None:
    """Nobody would be told of it; the rest passes to the service."""
    status, answer = of_topics(action, TopicArn=TOPIC, **request_)

    if problem is None:
        assert (status, answer) == (200, "taken")
    else:
        assert status == 400
        assert f"<Code>InvalidParameter</Code><Message>{problem}</Message>" in answer


@pytest.mark.parametrize(
    ("wrapper", "properties", "problem"),
    [
        (notifications.topic_handlers, {"TopicName": "a topic"}, "Invalid parameter: Topic Name"),
        (
            notifications.topic_handlers,
            {"DisplayName": "x" * 101},
            "Invalid parameter: Attributes Reason: DisplayName",
        ),
        (
            notifications.topic_handlers,
            {"Subscription": [{"Protocol": "email", "Endpoint": "nobody"}]},
            "Invalid parameter: Email address",
        ),
        (buckets.bucket_handlers, {"BucketName": "a..b"}, "The specified bucket is not valid"),
        (buckets.bucket_handlers, {"BucketName": "ab"}, "The specified bucket is not valid"),
        (notifications.queue_handlers, {"QueueName": "a queue"}, "Can only include alphanumeric characters"),
        (notifications.queue_handlers, {"QueueName": "a" * 81}, "Can only include alphanumeric characters"),
    ],
)
def test_what_a_template_may_not_name(wrapper: Any, properties: dict[str, Any], problem: str) -> None:
    """Before anything is made."""
    with pytest.raises(ValueError, match=problem):
        provision(wrapper, properties)


@pytest.mark.parametrize(
    ("rules", "problem"),
    [
        ([{"ID": "a", "Status": "Enabled", "Expiration": {"Days": 1}}], None),
        (
            [{"ID": "a", "Status": "Enabled", "Filter": {"Prefix": "a/"}}],
            "At least one action needs to be specified in a rule",
        ),
        (
            [{"ID": "a", "Status": "Enabled", "Expiration": {"Days": days}} for days in (1, 2)],
            "Rule ID must be unique. Found same ID for more than one rule",
        ),
    ],
)
def test_a_lifecycle_that_s3_refuses(rules: list[dict[str, Any]], problem: str | None) -> None:
    """Templates put theirs by the same way."""
    refused = s3._lifecycle_rules_error(rules)

    assert (problem is None) == (refused is None)
    if refused:
        assert problem is not None
        assert problem in refused[2].decode()


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        (("a", "a"), "Cannot provide multiple Tags with the same key"),
        (("aws:a",), "System tags cannot be added/updated by requester"),
    ],
)
def test_tags_that_s3_refuses(keys: tuple[str, ...], problem: str) -> None:
    """One key twice, and AWS's own prefix."""
    tags = "".join(f"<Tag><Key>{key}</Key><Value>x</Value></Tag>" for key in keys)
    status, _headers, body = s3._put_bucket_tagging("bucket", f"<Tagging><TagSet>{tags}</TagSet></Tagging>".encode())

    assert status == 400
    assert problem in body.decode()

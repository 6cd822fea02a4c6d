"""The cloud's clock can be moved, and its schedules follow it."""

import json
import urllib.error
from datetime import datetime, timedelta

import pytest


def _move(cloud, to: datetime, **more: bool) -> dict:
    return cloud.call("clock", {"now": to.isoformat(), **more})


def test_a_moved_clock_fires_the_last_due_time_of_a_rule(cloud) -> None:
    """The event carries the scheduled instant and the rule, and reaches the function, which stores it."""
    _move(cloud, datetime.fromisoformat("2030-01-02T12:00:00Z"), fire=False)  # a Wednesday
    answer = _move(cloud, datetime.fromisoformat("2030-01-23T12:00:00Z"))
    s3, bucket = cloud.client("s3"), cloud.output("BucketName")
    key = "events/2030-01-21T06:00:00Z.json"
    stored = cloud.eventually(lambda: s3.list_objects_v2(Bucket=bucket, Prefix=key).get("Contents"))
    event = json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
    earlier = s3.list_objects_v2(Bucket=bucket, Prefix="events/2030-01-14").get("Contents")

    assert [(firing["rule"], firing["time"]) for firing in answer["fired"]] == [
        (cloud.output("RuleName"), "2030-01-21T06:00:00Z")
    ]
    assert stored
    assert (event["source"], event["detail-type"], event["time"]) == (
        "aws.events",
        "Scheduled Event",
        "2030-01-21T06:00:00Z",
    )
    assert event["resources"] == [answer["fired"][0]["rule_arn"]]
    assert earlier is None


def test_nothing_fires_twice(cloud) -> None:
    """Moving on to just before the next due time fires nothing."""
    now = datetime.fromisoformat(cloud.call("clock")["now"])
    answer = _move(cloud, now + timedelta(minutes=1))

    assert answer["fired"] == []


def test_the_clock_does_not_go_back(cloud) -> None:
    """Unless it is set without firing anything."""
    now = datetime.fromisoformat(cloud.call("clock")["now"])
    with pytest.raises(urllib.error.HTTPError) as refused:
        _move(cloud, now - timedelta(days=1))

    assert "cannot go back" in json.load(refused.value)["error"]
    assert _move(cloud, now - timedelta(days=1), fire=False)["fired"] == []


def test_a_disabled_rule_does_not_fire(cloud) -> None:
    """Until it is enabled again."""
    events, rule = cloud.client("events"), cloud.output("RuleName")
    _move(cloud, datetime.fromisoformat("2031-01-01T00:00:00Z"), fire=False)
    events.disable_rule(Name=rule)
    while_disabled = _move(cloud, datetime.fromisoformat("2031-01-10T00:00:00Z"))
    events.enable_rule(Name=rule)
    afterwards = _move(cloud, datetime.fromisoformat("2031-01-17T00:00:00Z"))

    assert while_disabled["fired"] == []
    assert [firing["time"] for firing in afterwards["fired"]] == ["2031-01-13T06:00:00Z"]


def test_an_event_that_its_target_may_not_get_goes_to_the_dead_letter_queue(cloud) -> None:
    """With the rule, the target and the error, and without retries."""
    events, sqs = cloud.client("events"), cloud.client("sqs")
    queue = sqs.create_queue(QueueName="undelivered")["QueueUrl"]
    queue_arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue_arn,
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": policy})
    rule_arn = events.put_rule(Name="refused", ScheduleExpression="rate(1 day)")["RuleArn"]
    function = "arn:aws:lambda:us-east-1:000000000000:function:sample-fail"
    target = {"Id": "fail", "Arn": function, "DeadLetterConfig": {"Arn": queue_arn}}
    events.put_targets(Rule="refused", Targets=[target])
    now = datetime.fromisoformat(cloud.call("clock")["now"])
    fired = _move(cloud, now + timedelta(days=1, minutes=1))["fired"]
    letters = cloud.eventually(lambda: cloud.messages(queue))
    events.remove_targets(Rule="refused", Ids=["fail"])
    events.delete_rule(Name="refused")
    attributes = {name: value["StringValue"] for name, value in letters[0]["MessageAttributes"].items()}

    assert "refused" in {firing["rule"] for firing in fired}
    assert attributes["ERROR_CODE"] == "NO_PERMISSIONS"
    assert (attributes["RULE_ARN"], attributes["TARGET_ARN"]) == (rule_arn, function)
    assert json.loads(letters[0]["Body"])["resources"] == [rule_arn]


def test_an_alarm_of_one_week_is_over_in_the_next(cloud) -> None:
    """What was measured before the clock was moved lies that much further back, so a later failure alarms again."""
    cloudwatch = cloud.client("cloudwatch")
    metric = {"Namespace": "Weekly", "MetricName": "Failures"}
    cloudwatch.put_metric_alarm(
        AlarmName="weekly",
        **metric,
        Statistic="Sum",
        Period=300,
        EvaluationPeriods=1,
        Threshold=0,
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="notBreaching",
    )

    def state() -> str:
        return cloudwatch.describe_alarms(AlarmNames=["weekly"])["MetricAlarms"][0]["StateValue"]

    cloudwatch.put_metric_data(Namespace="Weekly", MetricData=[{"MetricName": "Failures", "Value": 1}])
    alarmed = cloud.eventually(lambda: state() == "ALARM")
    _move(cloud, datetime.fromisoformat(cloud.call("clock")["now"]) + timedelta(hours=1))
    over = cloud.eventually(lambda: state() == "OK", seconds=10)
    cloudwatch.delete_alarms(AlarmNames=["weekly"])

    assert alarmed
    assert over

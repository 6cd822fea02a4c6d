"""Real traffic, its metrics, alarms on them, and an endpoint's update that they watch, in a whole cloud."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.local_cloud.guardrails.conftest import Hosting


def _stages(told: list[dict[str, Any]], config: str) -> list[str]:
    """The stages of updates to a configuration."""
    updates = [detail["PendingDeploymentSummary"] for detail in told]
    return [
        update["ProductionVariants"][0]["VariantStatus"][0]["Status"]
        for update in updates
        if update["EndpointConfigName"] == config
    ]


def test_a_good_model_gets_all_traffic(hosting: Hosting) -> None:
    """In the cloud's time: whoever moves its clock need not wait."""
    hosting.update("better", ["slow", "errors"])
    canary = hosting.bakes()
    both = hosting.ask(40)
    hosting.call("clock", {"now": canary["next"]})
    full = hosting.eventually(lambda: (now := hosting.bakes())["next"] != canary["next"] and now)
    alone = hosting.ask(5)
    hosting.call("clock", {"now": full["next"]})
    end = hosting.settled()
    told = hosting.told("aws.sagemaker", lambda found: len(_stages(found, "better")) >= 4)

    assert canary["waiting"][0]["endpoint"] == "grove"
    assert canary["waiting"][0]["message"].startswith("Baking for 600 seconds (WaitIntervalInSeconds)")
    assert set(both) == {"good", "better"}
    assert alone == {"better": 5}
    assert end["EndpointConfigName"] == "better"
    assert "FailureReason" not in end
    assert hosting.call("waiting")["next"] is None
    assert sorted(_stages(told, "better")) == ["ActivatingTraffic", "ActivatingTraffic", "Baking", "Baking"]


@pytest.mark.parametrize(("model", "alarm", "bad"), [("broken", "errors", "500"), ("slow", "slow", "slow")])
def test_a_bad_model_is_taken_back(hosting: Hosting, model: str, alarm: str, bad: str) -> None:
    """Requests that go wrong at the canary set off the alarm within seconds; the old model answers all again."""
    hosting.update(model, ["slow", "errors"])
    hosting.bakes()
    seen = hosting.ask(30)
    end = hosting.settled()
    served = hosting.ask(5)
    told = hosting.told("aws.cloudwatch", lambda found: any(one["state"]["value"] == "ALARM" for one in found))

    assert seen[bad] > 0
    assert (end["EndpointStatus"], end["EndpointConfigName"]) == ("InService", "good")
    assert f"these CloudWatch alarms are in the state ALARM: {alarm}." in end["FailureReason"]
    assert served == {"good": 5}
    detail = next(one for one in told if one["state"]["value"] == "ALARM")
    assert detail["alarmName"] == alarm
    assert detail["previousState"]["value"] == "OK"
    assert detail["configuration"]["metrics"][0]["metricStat"]["metric"]["dimensions"] == {
        "EndpointName": "grove",
        "VariantName": "main",
    }


def test_a_slow_model_that_no_alarm_looks_at_stays(hosting: Hosting) -> None:
    """It is the alarm that takes a model back, and nothing else."""
    hosting.update("slow", ["errors"])
    hosting.bakes()
    seen = hosting.ask(30)
    hosting.pass_minutes(60)
    end = hosting.settled()
    served = hosting.ask(5)

    assert seen["slow"] > 0
    assert (end["EndpointStatus"], end["EndpointConfigName"]) == ("InService", "slow")
    assert "FailureReason" not in end
    assert served == {"slow": 5}


def test_a_leap_of_the_clock_misses_no_alarm(hosting: Hosting) -> None:
    """Errors up to the moment before count, although all of it is long ago afterwards."""
    hosting.update("broken", ["errors"])
    hosting.bakes()
    seen = hosting.ask(20)
    hosting.pass_minutes(60)
    end = hosting.settled()

    assert seen["500"] > 0
    assert end["EndpointConfigName"] == "good"
    assert "ALARM: errors" in end["FailureReason"]


def test_metrics_can_be_asked_for(hosting: Hosting) -> None:
    """By variant, and by variant and endpoint configuration."""
    hosting.ask(10)
    now = datetime.now(UTC)

    def total(**dimensions: str) -> float:
        found = hosting.client("cloudwatch").get_metric_statistics(
            Namespace="AWS/SageMaker",
            MetricName="Invocations",
            Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
            StartTime=now - timedelta(minutes=5),
            EndTime=now + timedelta(minutes=5),
            Period=3600,
            Statistics=["Sum"],
        )
        return sum(point["Sum"] for point in found["Datapoints"])

    at = {"EndpointName": "grove", "VariantName": "main"}

    assert hosting.eventually(lambda: total(**at) >= 10)
    assert hosting.eventually(lambda: total(**at, EndpointConfigName="good") >= 10)
    assert total(**at, EndpointConfigName="none") == 0


def test_captured_data_are_written_with_the_model_s_role(hosting: Hosting) -> None:
    """Within seconds; the role may write there and nowhere else."""
    hosting.ask(3)
    s3, bucket = hosting.client("s3"), hosting.outputs["Bucket"]
    prefix = "captured/grove/main/"
    look = lambda: s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents")  # noqa: E731
    found = hosting.eventually(look)
    line = s3.get_object(Bucket=bucket, Key=found[-1]["Key"])["Body"].read().decode().splitlines()[-1]
    usage = json.dumps(hosting.call("permissions"))

    assert json.loads(line)["captureData"]["endpointOutput"]["encoding"] == "BASE64"
    assert "s3:PutObject" in usage


def test_who_names_alarms_must_be_allowed_to_see_them(hosting: Hosting) -> None:
    """cloudwatch:DescribeAlarms is asked of the caller for each alarm."""
    session = hosting.client("sts").assume_role(RoleArn=hosting.outputs["Deployer"], RoleSessionName="test")
    keys = session["Credentials"]
    deployer = (keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])
    with pytest.raises(ClientError, match=r"not authorized to perform: cloudwatch:DescribeAlarms on .*alarm:slow"):
        hosting.update("better", ["errors", "slow"], deployer)
    hosting.update("better", ["errors"], deployer)

    assert hosting.described()["EndpointStatus"] == "Updating"


def test_an_alarm_set_by_hand_takes_an_update_back(hosting: Hosting) -> None:
    """As in a drill on AWS; its event is on the bus, too."""
    hosting.update("better", ["errors"])
    hosting.bakes()
    hosting.client("cloudwatch").set_alarm_state(AlarmName="errors", StateValue="ALARM", StateReason="a drill")
    end = hosting.settled()

    assert end["EndpointConfigName"] == "good"
    assert hosting.told("aws.cloudwatch", lambda found: any(one["state"]["reason"] == "a drill" for one in found))

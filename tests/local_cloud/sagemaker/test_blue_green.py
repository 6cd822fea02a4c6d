"""An update moves traffic to the new fleet as its guardrails say, and back."""

import pytest
from botocore.exceptions import ClientError

from local_cloud.faults import Answer
from tests.local_cloud.sagemaker.test_endpoints import (
    config,
    create,
    invoke,
    serving,  # noqa: F401  a fixture
    settled,
)
from tests.local_cloud.sagemaker.test_restart import restart  # noqa: F401  a fixture

TWO = {"InitialInstanceCount": 2, "VariantName": "main"}
SIZE = {"CANARY": "CanarySize", "LINEAR": "LinearStepSize"}


def policy(shifting="ALL_AT_ONCE", percent=50, alarms=(), wait=600, termination=300, timeout=3600, **size):
    """A DeploymentConfig."""
    routing = {"Type": shifting, "WaitIntervalInSeconds": wait}
    if shifting in SIZE:
        routing[SIZE[shifting]] = size or {"Type": "CAPACITY_PERCENT", "Value": percent}
    made = {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": routing,
            "TerminationWaitInSeconds": termination,
            "MaximumExecutionTimeoutInSeconds": timeout,
        }
    }
    if alarms:
        made["AutoRollbackConfiguration"] = {"Alarms": [{"AlarmName": name} for name in alarms]}
    return made


def begin(cloud, instances=2, **given):
    """An endpoint that serves `oak`, and an update to `elm` under way."""
    variant = {"InitialInstanceCount": instances, "VariantName": "main"}
    config(cloud, "oak-config", "oak", **variant)
    config(cloud, "elm-config", "elm", **variant)
    cloud.sagemaker.create_endpoint(EndpointName="grove", EndpointConfigName="oak-config")
    settled(cloud)
    cloud.alarms.update(dict.fromkeys(given.get("alarms", ()), "OK"))
    update(cloud, **given)


def update(cloud, name="elm-config", **given):
    """Updates the endpoint with guardrails."""
    cloud.sagemaker.update_endpoint(EndpointName="grove", EndpointConfigName=name, DeploymentConfig=policy(**given))


def described(cloud):
    """The endpoint."""
    return cloud.sagemaker.describe_endpoint(EndpointName="grove")


def stage(cloud):
    """What DescribeEndpoint says of the new fleet: status, instances with traffic, message."""
    pending = described(cloud).get("PendingDeploymentSummary")
    if pending is None:
        return None
    variant = pending["ProductionVariants"][0]
    status = variant["VariantStatus"][0]
    return status["Status"], variant["CurrentInstanceCount"], status.get("StatusMessage", "")


def baking(cloud, instances=None):
    """The stage once the new fleet bakes (with so many instances)."""
    return cloud.until(lambda: stage(cloud), lambda now: now and now[0] == "Baking" and instances in (None, now[1]))


def answers(cloud, times=40):
    """The words of the models that answer so many requests."""
    return {invoke(cloud)["Body"].read().split()[0].decode() for _ in range(times)}


def waiting(cloud):
    """What waits for the cloud's clock."""
    return cloud.service._cloud.waits.as_json()["waiting"]


def test_all_at_once_bakes_before_the_old_fleet_goes(serving):  # noqa: F811
    """All traffic is the new fleet's at once; the endpoint is Updating, with its old configuration, until it baked."""
    begin(serving)
    now = baking(serving)
    meanwhile, served = described(serving), answers(serving, 5)
    waits = waiting(serving)
    serving.pass_time(301)
    after = settled(serving)

    assert now[:2] == ("Baking", 2)
    assert now[2] == (
        "Baking for 300 seconds (TerminationWaitInSeconds) with traffic enabled on full capacity of 2 instance(s)."
    )
    assert (meanwhile["EndpointStatus"], meanwhile["EndpointConfigName"]) == ("Updating", "oak-config")
    assert meanwhile["PendingDeploymentSummary"]["EndpointConfigName"] == "elm-config"
    assert served == {"elm"}
    assert [(wait["endpoint"], wait["endpoint_config"], wait["status"]) for wait in waits] == [
        ("grove", "elm-config", "Baking")
    ]
    assert (after["EndpointStatus"], after["EndpointConfigName"]) == ("InService", "elm-config")
    assert after["LastDeploymentConfig"] == policy()
    assert waiting(serving) == []
    assert serving.told("Endpoint", "Creating", "InService", "Updating", "InService")


def test_a_canary_takes_its_share_then_all(serving):  # noqa: F811
    """Both fleets answer while the canary bakes; then the new one alone, which bakes, too."""
    begin(serving, shifting="CANARY", percent=10)
    canary, both = baking(serving, 1), answers(serving)
    serving.pass_time(601)
    full, after = baking(serving, 2), answers(serving, 5)
    serving.pass_time(301)
    end = settled(serving)

    assert canary[2] == (
        "Baking for 600 seconds (WaitIntervalInSeconds) with traffic enabled on canary capacity of 1 instance(s)."
    )
    assert both == {"oak", "elm"}
    assert "TerminationWaitInSeconds" in full[2]
    assert after == {"elm"}
    assert end["EndpointConfigName"] == "elm-config"


def test_a_linear_update_takes_step_by_step(serving):  # noqa: F811
    """Each step adds its part of the instances."""
    begin(serving, instances=3, shifting="LINEAR", percent=33)
    seen = []
    for instances in (1, 2, 3):
        seen.append(baking(serving, instances)[1])
        serving.pass_time(601)
    end = settled(serving)

    assert seen == [1, 2, 3]
    assert end["EndpointConfigName"] == "elm-config"


def test_one_leap_of_the_clock_passes_all_steps(serving):  # noqa: F811
    """Steps count from the end of the one before, not from when somebody looked."""
    begin(serving, instances=10, shifting="LINEAR", percent=10, wait=60, alarms=["errors"])
    baking(serving)
    serving.pass_time(9 * 60 + 301)

    assert settled(serving)["EndpointConfigName"] == "elm-config"


def test_an_alarm_takes_the_update_back(serving):  # noqa: F811
    """Traffic is the old fleet's at once, the reason names the alarm, and the next update works."""
    cloud = serving
    begin(cloud, shifting="CANARY", alarms=["slow", "errors"])
    baking(cloud)
    cloud.alarms["errors"] = "ALARM"
    end, served = settled(cloud), answers(cloud)
    cloud.alarms["errors"] = "OK"
    told = cloud.told("Endpoint", "Creating", "InService", "Updating", "RollingBack", "InService")
    update(cloud, alarms=["errors"], termination=0)
    again = settled(cloud)

    assert (end["EndpointStatus"], end["EndpointConfigName"]) == ("InService", "oak-config")
    assert end["FailureReason"] == (
        "The update to elm-config was rolled back, since these CloudWatch alarms are in the state ALARM: errors. "
        "Baking for 600 seconds (WaitIntervalInSeconds) with traffic enabled on canary capacity of 1 instance(s)."
    )
    assert "PendingDeploymentSummary" not in end
    assert served == {"oak"}
    assert told
    assert again["EndpointConfigName"] == "elm-config"
    assert "FailureReason" not in again


def test_an_alarm_is_not_missed_when_the_clock_leaps(serving):  # noqa: F811
    """Whoever moves the clock past all baking finds the update rolled back, though the alarm is over then."""
    begin(serving, alarms=["errors"])
    baking(serving)
    serving.clock.on_move(lambda _seconds: serving.alarms.update(errors="OK"))
    serving.alarms["errors"] = "ALARM"
    serving.pass_time(3000)

    assert settled(serving)["EndpointConfigName"] == "oak-config"


def test_an_alarm_that_is_on_before_the_update_lets_no_traffic_over(serving):  # noqa: F811
    """The new fleet starts, and goes again."""
    begin(serving, alarms=["errors"])
    baking(serving)
    serving.pass_time(301)
    settled(serving)
    serving.alarms["errors"] = "ALARM"
    update(serving, "oak-config", alarms=["errors"])
    end = settled(serving)

    assert end["EndpointConfigName"] == "elm-config"
    assert end["FailureReason"].endswith("ALARM: errors. The new fleet took no traffic yet.")
    assert (
        serving.metric("Invocations", EndpointName="grove", VariantName="main", EndpointConfigName="oak-config") == []
    )


def test_a_deployment_that_takes_too_long_is_rolled_back(serving):  # noqa: F811
    """What starting took counts, too."""
    serving.image.program("serve", (serving.image.folder / "serve").read_text().replace(
        'word = open', 'time.sleep(1.5 if "elm" in open("/opt/ml/model/word").read() else 0)\nword = open', 1
    ))  # fmt: skip
    begin(serving, termination=599, timeout=600)
    baking(serving)
    serving.pass_time(599)
    end = settled(serving)

    assert end["EndpointConfigName"] == "oak-config"
    assert "it took longer than its MaximumExecutionTimeoutInSeconds" in end["FailureReason"]


def test_only_the_new_model_can_be_made_to_fail(serving):  # noqa: F811
    """A fault for one configuration strikes its fleet; the old one answers as ever."""
    begin(serving, shifting="CANARY")
    baking(serving)
    serving.faults.arm([Answer(name="grove", config="elm-*", status=500, times=None)])
    good, bad = 0, 0
    for _ in range(40):
        try:
            good += invoke(serving)["Body"].read().startswith(b"oak")
        except ClientError as error:
            bad += error.response["OriginalStatusCode"] == 500

    def errors(name):
        return sum(
            serving.metric("Invocation5XXErrors", EndpointName="grove", VariantName="main", EndpointConfigName=name)
        )

    assert good > 0
    assert bad > 0
    assert good + bad == 40
    assert (errors("oak-config"), errors("elm-config")) == (0, bad)


def test_a_restart_in_the_middle_ends_with_the_old_model(serving, restart):  # noqa: F811
    """The cloud that comes back serves what was in service, and says that the update was lost."""
    begin(serving)
    baking(serving)
    again = restart()
    served, end = answers(again, 3), settled(again)

    assert served == {"oak"}
    assert (end["EndpointStatus"], end["EndpointConfigName"]) == ("InService", "oak-config")
    assert end["FailureReason"].startswith("The update was rolled back: the instances that it had started were lost.")
    assert end["LastDeploymentConfig"] == policy()


def test_the_configuration_given_at_creation_can_be_retained(serving):  # noqa: F811
    """CreateEndpoint keeps it; UpdateEndpoint with RetainDeploymentConfig uses it, and no other with it."""
    cloud = serving
    config(cloud, "oak-config", "oak", **TWO)
    config(cloud, "elm-config", "elm", **TWO)
    given = policy("CANARY")
    cloud.sagemaker.create_endpoint(EndpointName="grove", EndpointConfigName="oak-config", DeploymentConfig=given)
    created = settled(cloud)
    names = {"EndpointName": "grove", "EndpointConfigName": "elm-config", "RetainDeploymentConfig": True}
    with pytest.raises(ClientError, match="either a DeploymentConfig or RetainDeploymentConfig"):
        cloud.sagemaker.update_endpoint(**names, DeploymentConfig=given)
    cloud.sagemaker.update_endpoint(**names)

    assert created["LastDeploymentConfig"] == given
    assert baking(cloud, 1)[2].endswith("canary capacity of 1 instance(s).")


@pytest.mark.parametrize(
    ("instances", "given", "words"),
    [
        (1, {"shifting": "CANARY"}, "CanarySize must be at most 50%"),
        (2, {"shifting": "CANARY", "percent": 60}, "CanarySize must be at most 50%"),
        (3, {"shifting": "CANARY", "Type": "INSTANCE_COUNT", "Value": 2}, "CanarySize must be at most 50%"),
        (2, {"shifting": "LINEAR", "percent": 9}, "LinearStepSize must be between 10% and 50%"),
        (1, {"shifting": "LINEAR"}, "LinearStepSize must be between 10% and 50%"),
        (
            2,
            {"shifting": "CANARY", "wait": 3000, "termination": 600},
            "MaximumExecutionTimeoutInSeconds .3600. must be",
        ),
        (2, {"alarms": ["nobody"]}, "CloudWatch alarms that do not exist: nobody"),
        (2, {"alarms": [f"a{n}" for n in range(11)]}, "length less than or equal to 10"),
    ],
)
def test_what_cannot_be_carried_out_is_refused(serving, instances, given, words):  # noqa: F811
    """Sizes, times and alarms are checked before anything starts; the endpoint stays as it is."""
    variant = {"InitialInstanceCount": instances, "VariantName": "main"}
    config(serving, "oak-config", "oak", **variant)
    serving.sagemaker.create_endpoint(EndpointName="grove", EndpointConfigName="oak-config")
    settled(serving)
    with pytest.raises(ClientError, match=words) as refused:
        update(serving, "oak-config", **given)

    assert refused.value.response["Error"]["Code"] == "ValidationException"
    assert described(serving)["EndpointStatus"] == "InService"


def test_sizes_belong_to_their_type_and_variants_keep_their_names(serving):  # noqa: F811
    """CANARY needs CanarySize, ALL_AT_ONCE takes none; with a policy the names of the variants are the same."""
    create(serving)  # its variant is called voak
    config(serving, "elm-config", "elm")
    names = {"EndpointName": "grove", "EndpointConfigName": "elm-config"}
    bare = policy()
    bare["BlueGreenUpdatePolicy"]["TrafficRoutingConfiguration"]["Type"] = "CANARY"
    with pytest.raises(ClientError, match="variants of the same names as the old one: velm instead of voak"):
        serving.sagemaker.update_endpoint(**names, DeploymentConfig=policy())
    with pytest.raises(ClientError, match="CanarySize must be given for the traffic routing type CANARY"):
        serving.sagemaker.update_endpoint(**names | {"EndpointConfigName": "oak-config"}, DeploymentConfig=bare)
    serving.sagemaker.update_endpoint(**names)

    assert settled(serving)["EndpointConfigName"] == "elm-config"

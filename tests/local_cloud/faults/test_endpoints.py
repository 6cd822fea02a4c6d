"""What becomes of endpoints when a fault strikes them."""

import contextlib
import time
from types import SimpleNamespace

import pytest
from botocore.exceptions import ClientError

from local_cloud.faults import Answer, Capacity, Kill, Ping, strikes
from local_cloud.sagemaker.serving import UNHEALTHY_PINGS
from tests.local_cloud.sagemaker.test_endpoints import (
    SERVE,
    config,
    create,
    invoke,
    serving,  # noqa: F401  a fixture
    settled,
)


def update(cloud, word):
    """Updates the endpoint to a model that answers with a word; returns what it is then."""
    config(cloud, f"{word}-config", word)
    cloud.sagemaker.update_endpoint(EndpointName="grove", EndpointConfigName=f"{word}-config")
    return settled(cloud)


def answers(cloud):
    """The first word that the endpoint answers, or None while it does not."""
    with contextlib.suppress(ClientError):
        return invoke(cloud)["Body"].read().split()[0].decode()
    return None


def test_without_capacity_an_endpoint_is_not_made_and_an_update_comes_back(serving) -> None:  # noqa: F811
    """Failed, then in service with what it had; the reason is SageMaker's."""
    serving.faults.arm([Capacity(target="job", times=None), Capacity(name="grove")])
    failed = create(serving)
    serving.sagemaker.delete_endpoint(EndpointName="grove")
    serving.until(lambda: serving.sagemaker.list_endpoints()["Endpoints"], lambda found: not found)
    serving.sagemaker.create_endpoint(EndpointName="grove", EndpointConfigName="oak-config")
    made = settled(serving)
    serving.faults.arm([Capacity(name="gro*")])
    updated = update(serving, "elm")

    assert failed["EndpointStatus"] == "Failed"
    assert failed["FailureReason"] == (
        "Unable to provision requested ML compute capacity due to InsufficientInstanceCapacity error. "
        "Please retry using a different ML instance type or after some time."
    )
    assert (made["EndpointStatus"], "FailureReason" in made) == ("InService", False)
    assert (updated["EndpointStatus"], updated["EndpointConfigName"]) == ("InService", "oak-config")
    assert updated["FailureReason"] == failed["FailureReason"]
    assert answers(serving) == "oak"


@pytest.mark.parametrize("status", [503, "stall"])
def test_an_update_whose_health_checks_fail_is_rolled_back(serving, status) -> None:  # noqa: F811
    """Whatever the container answers; the time to wait can be made short."""
    create(serving)
    serving.faults.arm([Ping(name="grove", status=status, times=None, give_up_seconds=0.2)])
    endpoint = update(serving, "elm")

    assert (endpoint["EndpointStatus"], endpoint["EndpointConfigName"]) == ("InService", "oak-config")
    assert "did not pass the ping health check" in endpoint["FailureReason"]
    assert answers(serving) == "oak"
    assert serving.faults.as_json()["armed"][0]["hits"] >= 1


def test_a_container_that_is_not_healthy_at_once_gets_into_service(serving) -> None:  # noqa: F811
    """So many health checks fail, the next one counts."""
    serving.faults.arm([Ping(times=5), Ping(name="another")])

    assert create(serving)["EndpointStatus"] == "InService"
    assert [spent["hits"] for spent in serving.faults.as_json()["spent"]] == [5]


def test_a_container_in_service_that_fails_its_health_checks_is_started_again(serving, monkeypatch) -> None:  # noqa: F811
    """Its own answers do not matter; the endpoint serves again afterwards."""
    monkeypatch.setattr("local_cloud.sagemaker.serving.PING_EVERY_SECONDS", 0.05)
    serving.image.program("serve", SERVE.replace("word = open", "print('begun', flush=True)\n    word = open", 1))
    create(serving)
    log = next(serving.state_dir.glob("sagemaker/endpoints/grove/*/*/log"))
    serving.faults.arm([Ping(during="service", times=UNHEALTHY_PINGS)])
    serving.until(lambda: bool(serving.faults), lambda armed: not armed)
    serving.until(lambda: log.read_text().count("begun"), lambda begun: begun == 2)
    again = serving.until(lambda: answers(serving), bool)

    assert again == "oak"


@pytest.mark.parametrize("when", [{"after_seconds": 600}, {"when_log_says": "POST /invocations"}], ids=["later", "log"])
def test_a_killed_container_is_started_again(serving, when, monkeypatch) -> None:  # noqa: F811
    """The endpoint stays in service; who asks meanwhile gets an error."""
    now = [0.0]  # stands still until the container is in service
    monkeypatch.setattr(strikes, "time", SimpleNamespace(monotonic=lambda: now[0]))
    serving.faults.arm([Kill(target="endpoint", name="grove", when=when)])
    assert create(serving)["EndpointStatus"] == "InService"
    now[0] = 600.0
    serving.until(lambda: (answers(serving), bool(serving.faults))[1], lambda armed: not armed)
    again = serving.until(lambda: answers(serving), bool)

    assert again == "oak"
    assert settled(serving)["EndpointStatus"] == "InService"


def test_a_container_that_is_killed_at_its_start_fails_the_deployment(serving) -> None:  # noqa: F811
    """With the exit code of SIGKILL."""
    serving.faults.arm([Kill(target="endpoint")])
    endpoint = create(serving)

    assert endpoint["EndpointStatus"] == "Failed"
    assert "137" in endpoint["FailureReason"]


def test_an_invocation_gets_the_answer_that_was_armed(serving) -> None:  # noqa: F811
    """An error as SageMaker reports it, a body instead of the model's, then the model's again."""
    create(serving)
    serving.faults.arm([Answer(status=503, body="too busy"), Answer(body="nonsense", content_type="text/html")])
    with pytest.raises(ClientError) as failed:
        invoke(serving)
    instead = invoke(serving)

    assert failed.value.response["Error"]["Code"] == "ModelError"
    assert failed.value.response["OriginalStatusCode"] == 503
    assert failed.value.response["OriginalMessage"] == "too busy"
    assert (instead["Body"].read(), instead["ContentType"]) == (b"nonsense", "text/html")
    assert answers(serving) == "oak"


def test_an_answer_can_come_late(serving) -> None:  # noqa: F811
    """It is the container's own."""
    create(serving)
    serving.faults.arm([Answer(seconds=0.5)])
    begun = time.monotonic()

    assert answers(serving) == "oak"
    assert time.monotonic() - begun >= 0.5
    assert not serving.faults


def test_an_answer_that_comes_too_late_is_an_error(serving, monkeypatch) -> None:  # noqa: F811
    """SageMaker waits no longer, and says so."""
    create(serving)
    monkeypatch.setattr("local_cloud.sagemaker.serving.INVOCATION_TIMEOUT_SECONDS", 0.3)
    serving.faults.arm([Answer(seconds=0.4)])
    with pytest.raises(ClientError) as failed:
        invoke(serving)

    assert "Your invocation timed out" in failed.value.response["Error"]["Message"]


def test_faults_can_be_for_one_configuration_or_variant(serving) -> None:  # noqa: F811
    """Containers of others are spared, at their start as in service."""
    create(serving)
    serving.faults.arm([
        Kill(target="endpoint", config="oak-*"),
        Ping(config="elm-config", variant="voak", times=None),
        Answer(config="elm-*", body="changed", times=None),
        Answer(variant="voak", body="never", times=None),
    ])  # fmt: skip
    before = answers(serving)
    updated = update(serving, "elm")

    assert before == "never"
    assert (updated["EndpointStatus"], updated["EndpointConfigName"]) == ("InService", "elm-config")
    assert answers(serving) == "changed"
    assert [fault["hits"] for fault in serving.faults.as_json()["armed"]] == [0, 0, 1, 1]

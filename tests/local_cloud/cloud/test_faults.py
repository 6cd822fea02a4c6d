"""Faults that are armed over HTTP strike the functions, events and jobs of a deployed application."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.local_cloud.cloud.conftest import Cloud


@pytest.fixture(autouse=True)
def nothing_armed(cloud: Cloud) -> Iterator[None]:
    """Other tests meet no fault of these."""
    yield
    cloud.call("faults", method="DELETE")


def lines(cloud: Cloud, function: str, text: str) -> list[str]:
    """The lines of a function's log that begin with a text."""
    logs = cloud.client("logs")
    events = logs.filter_log_events(logGroupName=f"/aws/lambda/{function}")["events"]
    return [event["message"] for event in events if event["message"].startswith(text)]


def test_a_function_is_killed_once(cloud: Cloud) -> None:
    """The next invocation is served."""
    cloud.call("faults", {"kind": "kill", "target": "function", "name": "sample-*", "when": "start"})
    event = json.dumps({"time": "killed"})
    answers = [cloud.client("lambda").invoke(FunctionName="sample-keep", Payload=event) for _ in range(2)]

    assert [answer.get("FunctionError") for answer in answers] == ["Unhandled", None]
    assert json.load(answers[0]["Payload"])["errorType"] == "Runtime.ExitError"
    assert cloud.call("faults")["armed"] == []


def test_an_event_is_delivered_twice_with_one_request_id(cloud: Cloud) -> None:
    """As Lambda may do with every asynchronous event."""
    cloud.call("faults", {"kind": "deliver_twice", "name": "sample-keep", "seconds": 0.05})
    before = len(lines(cloud, "sample-keep", "START"))
    event = json.dumps({"time": "twice"})
    cloud.client("lambda").invoke(FunctionName="sample-keep", Payload=event, InvocationType="Event")
    started = cloud.eventually(lambda: (found := lines(cloud, "sample-keep", "START")[before:])[1:] and found)

    assert len(started) == 2
    assert len(set(started)) == 1


def test_a_job_finds_no_capacity(cloud: Cloud) -> None:
    """SageMaker's jobs are told by the same list."""
    image = cloud.client("lambda").get_function(FunctionName="sample-keep")["Code"]["ImageUri"]
    role = cloud.client("iam").get_role(RoleName="sample-job")["Role"]["Arn"]
    sagemaker = cloud.client("sagemaker")
    cluster = {"InstanceCount": 1, "InstanceType": "ml.t3.medium", "VolumeSizeInGB": 1}
    cloud.call("faults", [{"kind": "capacity", "name": "poor-*"}])
    sagemaker.create_processing_job(
        ProcessingJobName="poor-job",
        RoleArn=role,
        AppSpecification={"ImageUri": image, "ContainerEntrypoint": ["true"]},
        ProcessingResources={"ClusterConfig": cluster},
    )

    def ended() -> dict[str, Any] | None:
        job: dict[str, Any] = sagemaker.describe_processing_job(ProcessingJobName="poor-job")
        return job if job["ProcessingJobStatus"] != "InProgress" else None

    job = cloud.eventually(ended)

    assert job["FailureReason"].startswith("CapacityError: ")

"""A cloud with an endpoint that serves the model `good`, alarms on it, and configurations to update it to."""

import json
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_cloud.deploy import deploy
from tests.local_cloud.clients import client
from tests.local_cloud.cloud_process import RunningCloud, start_cloud

APPLICATION = Path(__file__).parent / "application"
ENDPOINT = "grove"


@dataclass
class Hosting:
    """The cloud, and what a caller of the endpoint does."""

    running: RunningCloud
    outputs: dict[str, str]

    def client(self, service: str, keys: tuple[str, ...] | None = None) -> Any:
        """A client, the administrator's unless keys are given."""
        file = self.running.file
        return client(service, file.endpoint, file.region, *(keys or (file.access_key_id, file.secret_access_key)))

    def call(self, path: str, body: object = None) -> dict[str, Any]:
        """The answer of one of the cloud's own paths."""
        url = f"{self.running.file.endpoint}/_local_cloud/{path}"
        request = urllib.request.Request(url, data=None if body is None else json.dumps(body).encode())
        with urllib.request.urlopen(request) as answer:
            content: dict[str, Any] = json.load(answer)
            return content

    def pass_minutes(self, minutes: float) -> None:
        """Move the cloud's clock."""
        now = datetime.fromisoformat(self.call("clock")["now"])
        self.call("clock", {"now": (now + timedelta(minutes=minutes, seconds=1)).isoformat()})

    def finish(self) -> None:
        """Let an update that is under way come to its end."""

        def finished() -> bool:
            if self.call("waiting")["waiting"]:
                self.pass_minutes(10)
            return bool(self.described()["EndpointStatus"] == "InService")

        assert self.eventually(finished, 60), self.described()

    def update(self, config: str, alarms: list[str], keys: tuple[str, ...] | None = None) -> None:
        """Update the endpoint by a canary of half its instances, ten minutes, then five."""
        policy = {
            "TrafficRoutingConfiguration": {
                "Type": "CANARY",
                "CanarySize": {"Type": "INSTANCE_COUNT", "Value": 1},
                "WaitIntervalInSeconds": 600,
            },
            "TerminationWaitInSeconds": 300,
            "MaximumExecutionTimeoutInSeconds": 3600,
        }
        self.client("sagemaker", keys).update_endpoint(
            EndpointName=ENDPOINT,
            EndpointConfigName=config,
            DeploymentConfig={
                "BlueGreenUpdatePolicy": policy,
                "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": name} for name in alarms]},
            },
        )

    def described(self) -> dict[str, Any]:
        """The endpoint."""
        found: dict[str, Any] = self.client("sagemaker").describe_endpoint(EndpointName=ENDPOINT)
        return found

    def settled(self) -> dict[str, Any]:
        """The endpoint when nothing goes on."""
        found = self.eventually(lambda: (now := self.described())["EndpointStatus"] == "InService" and now)
        assert found, self.described()
        return dict(found)

    def bakes(self) -> dict[str, Any]:
        """What waits for the clock, once the new fleet bakes."""
        found = self.eventually(lambda: (now := self.call("waiting"))["waiting"] and now)
        assert found, self.described()
        return dict(found)

    def ask(self, times: int = 1) -> dict[str, int]:
        """What the endpoint answers to so many requests: a model's name or an error's status."""
        runtime, found = self.client("sagemaker-runtime"), []
        for _ in range(times):
            try:
                found.append(runtime.invoke_endpoint(EndpointName=ENDPOINT, Body=b"x")["Body"].read().decode())
            except ClientError as error:
                found.append(str(error.response["OriginalStatusCode"]))
        return {one: found.count(one) for one in set(found)}

    def alarm(self, name: str) -> str:
        """An alarm's state."""
        found = self.client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"]
        return str(found[0]["StateValue"])

    def events(self) -> list[dict[str, Any]]:
        """The events on the queue, taken out of it."""
        sqs, found = self.client("sqs"), []
        while batch := sqs.receive_message(QueueUrl=self.outputs["Alarms"], MaxNumberOfMessages=10).get("Messages"):
            for message in batch:
                sqs.delete_message(QueueUrl=self.outputs["Alarms"], ReceiptHandle=message["ReceiptHandle"])
                found.append(json.loads(message["Body"]))
        return found

    def told(self, source: str, enough: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
        """What the events of a source say, taken out of the queue, once it is enough: they come a little later."""
        found: list[dict[str, Any]] = []

        def look() -> bool:
            found.extend(event["detail"] for event in self.events() if event["source"] == source)
            return enough(found)

        assert self.eventually(look), found
        return found

    @staticmethod
    def eventually(look: Callable[[], Any], seconds: float = 30.0) -> Any:
        """The first true value of `look`, or its last one when time is up."""
        deadline = time.monotonic() + seconds
        while not (value := look()) and time.monotonic() < deadline:
            time.sleep(0.05)
        return value


@pytest.fixture(scope="session")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosting]:
    """One cloud for all tests of this folder."""
    state = tmp_path_factory.mktemp("cloud")
    running = start_cloud(state, retry_seconds=0.05)
    try:
        outputs = dict(deploy(APPLICATION / "template.yaml", running.file, state, stack_name="guardrails").outputs)
        cloud = Hosting(running, outputs)
        sagemaker = cloud.client("sagemaker")
        for name in ("good", "better", "slow", "broken"):
            container = {"Image": outputs["JobImage"], "Environment": {"NAME": name}}
            sagemaker.create_model(ModelName=name, ExecutionRoleArn=outputs["ModelRole"], PrimaryContainer=container)
            variant = {
                "VariantName": "main",
                "ModelName": name,
                "InstanceType": "ml.t2.medium",
                "InitialInstanceCount": 2,
            }
            capture = {
                "InitialSamplingPercentage": 100,
                "DestinationS3Uri": f"s3://{outputs['Bucket']}/captured",
                "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
            }
            sagemaker.create_endpoint_config(
                EndpointConfigName=name, ProductionVariants=[variant], DataCaptureConfig=capture
            )
        sagemaker.create_endpoint(EndpointName=ENDPOINT, EndpointConfigName="good")
        cloud.settled()
        yield cloud
    finally:
        running.stop()


@pytest.fixture
def hosting(deployed: Hosting) -> Iterator[Hosting]:
    """The endpoint serves `good`, no alarm is on, and no event is left over."""
    yield deployed
    deployed.finish()
    if deployed.settled()["EndpointConfigName"] != "good":
        deployed.client("sagemaker").update_endpoint(EndpointName=ENDPOINT, EndpointConfigName="good")
        deployed.settled()
    deployed.pass_minutes(10)  # what alarms have seen is long ago
    assert deployed.eventually(lambda: {deployed.alarm("slow"), deployed.alarm("errors")} == {"OK"})
    deployed.events()

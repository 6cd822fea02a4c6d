"""One local cloud with the test application deployed, for all tests of this folder."""

import json
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3
import pytest

from local_cloud.deploy import Deployment, Progress, deploy
from tests.local_cloud.clients import client
from tests.local_cloud.cloud.stack import Stack
from tests.local_cloud.cloud_process import RunningCloud, start_cloud

APPLICATION = Path(__file__).parent / "application"


@dataclass
class Cloud:
    """A running cloud with the application, and clients of it."""

    running: RunningCloud
    state: Path
    deployment: Deployment
    progress: list[Progress]

    @property
    def endpoint(self) -> str:
        """URL of the cloud."""
        return self.running.file.endpoint

    @cached_property
    def administrator(self) -> boto3.Session:
        """Session with the administrator's credentials."""
        file = self.running.file
        return boto3.Session(file.access_key_id, file.secret_access_key, region_name=file.region)

    def client(self, service: str, session: boto3.Session | None = None) -> Any:
        """Client of a service, the administrator's unless another session is given."""
        found = (session or self.administrator).get_credentials().get_frozen_credentials()
        keys = [key for key in found[:3] if key]  # the last of them a session's token
        return client(service, self.endpoint, self.running.file.region, *keys)

    def output(self, name: str) -> str:
        """An output of the stack."""
        return self.deployment.outputs[name]

    def call(self, path: str, body: object = None, method: str | None = None) -> dict[str, Any]:
        """Answer of one of the cloud's own paths; POST when there is a body, GET otherwise, unless it is said."""
        request = urllib.request.Request(
            f"{self.endpoint}/_local_cloud/{path}",
            data=None if body is None else json.dumps(body).encode(),
            method=method,
        )
        with urllib.request.urlopen(request) as answer:
            content: dict[str, Any] = json.load(answer)
            return content

    def messages(self, queue_url: str) -> list[dict[str, Any]]:
        """Messages that are in a queue now, taken out of it."""
        sqs = self.client("sqs")
        found = sqs.receive_message(
            QueueUrl=queue_url, MaxNumberOfMessages=10, MessageAttributeNames=["All"], WaitTimeSeconds=0
        ).get("Messages", [])
        for message in found:
            sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])
        return found

    @staticmethod
    def eventually(look: Callable[[], Any], seconds: float = 30.0) -> Any:
        """First true value of `look`, or its last one when time is up."""
        deadline = time.monotonic() + seconds
        while True:
            value = look()
            if value or time.monotonic() > deadline:
                return value
            time.sleep(0.05)


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """The cloud; failed asynchronous invocations are retried after a twentieth of a second."""
    state = tmp_path_factory.mktemp("cloud")
    running = start_cloud(state, retry_seconds=0.05)
    try:
        progress: list[Progress] = []
        template = APPLICATION / "template.yaml"
        deployment = deploy(
            template,
            running.file,
            state,
            stack_name="sample",
            parameters={"Email": "somebody@example.com"},
            report=progress.append,
        )
        yield Cloud(running, state, deployment, progress)
    finally:
        running.stop()


@pytest.fixture
def stack(cloud: Cloud, request: pytest.FixtureRequest) -> Iterator[Stack]:
    """A stack of the test's own, gone afterwards."""
    made = Stack(cloud, f"stack-{abs(hash(request.node.name))}")
    yield made
    made.cloudformation.delete_stack(StackName=made.name)

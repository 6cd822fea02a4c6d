"""A local SageMaker whose faults a test arms, and a whole local cloud that is asked over HTTP."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.local_cloud.clients import client
from tests.local_cloud.cloud_process import RunningCloud, start_cloud
from tests.local_cloud.sagemaker.conftest import aws_endpoint, cloud  # noqa: F401  fixtures


@dataclass
class Whole:
    """A running local cloud."""

    running: RunningCloud

    def client(self, service: str, tries: int = 1) -> Any:
        """Client of a service that tries a call so often."""
        file = self.running.file
        keys = (file.access_key_id, file.secret_access_key)
        return client(service, file.endpoint, file.region, *keys, tries=tries, read_seconds=20)

    def faults(self, method: str, body: object = None) -> tuple[int, Any]:
        """Status and answer of the path of the faults."""
        request = urllib.request.Request(
            f"{self.running.file.endpoint}/_local_cloud/faults",
            data=None if body is None else json.dumps(body).encode(),
            method=method,
        )
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as refused:
            return refused.code, json.load(refused)

    def arm(self, **fault: Any) -> None:
        """Arm one fault."""
        status, answer = self.faults("POST", fault)
        assert status == 200, answer

    def spent(self) -> list[str]:
        """The kinds of the faults that have struck as often as they were to."""
        return [fault["kind"] for fault in self.faults("GET")[1]["spent"]]


@pytest.fixture(scope="session")
def one_cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCloud]:
    """One cloud for all tests of this folder."""
    running = start_cloud(tmp_path_factory.mktemp("cloud"), retry_seconds=0.05)
    yield running
    running.stop()


@pytest.fixture
def whole(one_cloud: RunningCloud) -> Iterator[Whole]:
    """The cloud, in which nothing is armed."""
    whole = Whole(one_cloud)
    yield whole
    whole.faults("DELETE")

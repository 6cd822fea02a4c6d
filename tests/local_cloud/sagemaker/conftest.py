"""The local SageMaker over a real object store, with an image of a few scripts."""

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import textwrap
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse

from local_cloud.clock import Clock
from local_cloud.faults import FaultPlan
from local_cloud.sagemaker import RoleNotAssumableError, SageMakerEnvironment, SageMakerService
from local_cloud.sandbox import Mount
from local_cloud.waits import ClockWaits

REGION, ACCOUNT, BUCKET = "us-east-1", "000000000000", "forest"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/job"
IMAGE = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/jobs:1"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_SESSION_TOKEN": "token"}


@dataclass
class Image:
    """An image whose programs are the files of one folder."""

    folder: Path
    uri: str = "000000000000.dkr.ecr.us-east-1.amazonaws.com/programs:1"
    env: dict[str, str] = field(default_factory=lambda: {"PATH": "/opt/program/bin:/usr/bin:/bin"})
    workdir: str = "/opt/program"
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)
    engine_image: None = None

    @property
    def mounts(self) -> list[Mount]:
        """The folder, where PATH finds it."""
        return [Mount(self.folder, "/opt/program/bin", read_only=True)]

    def program(self, name: str, text: str) -> None:
        """Adds a program; one without a first line of its own is a shell script."""
        text = textwrap.dedent(text).strip() + "\n"
        path = self.folder / name
        path.write_text(text if text.startswith("#!") else f"#!/bin/sh\n{text}")
        path.chmod(0o755)


class Body:
    """What botocore reads a response from."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self, *_: Any, **__: Any) -> Iterator[bytes]:
        """Everything at once."""
        yield self._content

    def read(self, *_: Any, **__: Any) -> bytes:
        """Everything, then nothing."""
        content, self._content = self._content, b""
        return content


@dataclass
class Cloud:
    """What a test needs: the service, clients that talk to it, the store, and the image."""

    service: SageMakerService
    sagemaker: Any
    runtime: Any
    s3: Any
    logs: Any
    image: Image
    state_dir: Path
    sessions: list[tuple[str, str]]
    changes: list[tuple[str, str]]
    faults: FaultPlan
    clock: Clock
    alarms: dict[str, str]
    measured: list[tuple[str, str, Any, float]]

    def pass_time(self, seconds: float) -> None:
        """Moves the cloud's clock."""
        self.clock.move_to(self.clock.now() + timedelta(seconds=seconds))

    def metric(self, name: str, **dimensions: str) -> list[float]:
        """What was measured of a metric with exactly these dimensions."""
        found = list(self.measured)
        return [value for metric, _unit, given, value in found if (metric, dict(given)) == (name, dimensions)]

    def put(self, key: str, content: str | bytes) -> str:
        """Stores an object; returns its URI."""
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=content)
        return f"s3://{BUCKET}/{key}"

    def get(self, key: str) -> bytes:
        """An object's content."""
        content: bytes = self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        return content

    def keys(self, prefix: str) -> list[str]:
        """The keys below a prefix."""
        listed = self.s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])
        return sorted(item["Key"].removeprefix(prefix) for item in listed)

    def processing(self, name: str, *argv: str, **overrides: Any) -> dict[str, Any]:
        """Starts a processing job."""
        request: dict[str, Any] = {
            "ProcessingJobName": name,
            "RoleArn": ROLE,
            "AppSpecification": {"ImageUri": IMAGE, "ContainerEntrypoint": list(argv)},
            "ProcessingResources": {
                "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 10}
            },
        }
        started: dict[str, Any] = self.sagemaker.create_processing_job(**(request | overrides))
        return started

    def training(self, name: str, **overrides: Any) -> dict[str, Any]:
        """Starts a training job."""
        request: dict[str, Any] = {
            "TrainingJobName": name,
            "RoleArn": ROLE,
            "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
            "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/models/"},
            "ResourceConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 10},
            "StoppingCondition": {"MaxRuntimeInSeconds": 600},
        }
        started: dict[str, Any] = self.sagemaker.create_training_job(**(request | overrides))
        return started

    def processed(self, name: str) -> dict[str, Any]:
        """A processing job when it has ended."""
        return self.until(
            lambda: self.sagemaker.describe_processing_job(ProcessingJobName=name),
            lambda job: job["ProcessingJobStatus"] in ("Completed", "Failed", "Stopped"),
        )

    def trained(self, name: str) -> dict[str, Any]:
        """A training job when it has ended."""
        return self.until(
            lambda: self.sagemaker.describe_training_job(TrainingJobName=name),
            lambda job: job["TrainingJobStatus"] in ("Completed", "Failed", "Stopped"),
        )

    def told(self, kind: str, *statuses: str) -> list[str]:
        """The statuses of a kind that the hook was told of, once they are these (it is told after the change)."""
        look = lambda: [status for changed, status in self.changes if changed == kind]  # noqa: E731
        seen: list[str] = self.until(look, lambda seen: seen == list(statuses))
        return seen

    def log(self, group: str) -> str:
        """All lines of a log group."""
        streams = self.logs.describe_log_streams(logGroupName=group)["logStreams"]
        lines = []
        for stream in streams:
            name = stream["logStreamName"]
            events = self.logs.get_log_events(logGroupName=group, logStreamName=name, startFromHead=True)["events"]
            lines += [event["message"] for event in events]
        return "\n".join(lines)

    @staticmethod
    def until(look: Callable[[], Any], done: Callable[[Any], bool], seconds: float = 30) -> Any:
        """Looks until it is done; a test that waits longer than this fails."""
        deadline = time.monotonic() + seconds
        while not done(seen := look()):
            assert time.monotonic() < deadline, f"still {seen}"
            time.sleep(0.02)
        return seen


@pytest.fixture(scope="session")
def aws_endpoint() -> Iterator[str]:
    """An emulator of S3 and CloudWatch Logs."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    variables = {"GATEWAY_PORT": str(port), "BIND_HOST": "127.0.0.1", "SERVICES": "s3,logs,sts,iam"}
    process = subprocess.Popen(
        [sys.executable, "-m", "ministack"],
        env=os.environ | variables,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    for _ in range(300):
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/_ministack/health") as answer:
            if answer.status == 200:
                break
        time.sleep(0.1)
    yield url
    process.terminate()
    process.wait(10)


def connect(client: Any, service: SageMakerService) -> Any:
    """Lets a client's requests go to the service instead of over the network."""

    def answer(request: Any, **_: Any) -> AWSResponse:
        path = "/" + request.url.split("://", 1)[1].partition("/")[2].partition("?")[0]
        headers = {
            name: value.decode() if isinstance(value, bytes) else str(value) for name, value in request.headers.items()
        }
        body = request.body if isinstance(request.body, bytes) else (request.body or "").encode()
        status, answered, content = asyncio.run(service.handle(request.method, path, headers, body, {}))
        return AWSResponse(
            request.url, status, {name.lower(): value for name, value in answered.items()}, Body(content)
        )

    client.meta.events.register("before-send", answer)
    return client


@pytest.fixture
def cloud(aws_endpoint: str, tmp_path: Path) -> Iterator[Cloud]:
    """The local SageMaker with short graces, an empty bucket and an image without programs."""
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": REGION}
    s3 = boto3.client("s3", endpoint_url=aws_endpoint, **keys)
    s3.create_bucket(Bucket=BUCKET)
    folder = tmp_path / "image"
    folder.mkdir()
    (folder / "python").symlink_to(sys.executable)
    image = Image(folder)
    sessions: list[tuple[str, str]] = []
    changes: list[tuple[str, str]] = []

    def credentials(role_arn: str, session_name: str) -> dict[str, str]:
        if role_arn.endswith("/nobody"):
            raise RoleNotAssumableError(f"role {role_arn} does not exist")
        sessions.append((role_arn, session_name))
        return CREDENTIALS

    def resolve(uri: str) -> Image:
        if uri != IMAGE:
            raise LookupError(f"nobody pushed {uri}")
        return image

    clock, alarms, measured = Clock(), {}, []
    environment = SageMakerEnvironment(
        alarm_state=alarms.get,
        measure=lambda measurements: measured.extend(measurements),
        waits=ClockWaits(clock),
        endpoint_url=lambda: aws_endpoint,
        credentials_for_role=credentials,
        own_credentials=lambda: CREDENTIALS,
        resolve_image=resolve,
        state_dir=tmp_path / "state",
        region=REGION,
        account_id=ACCOUNT,
        job_grace_seconds=3.0,
        serving_grace_seconds=3.0,
    )
    service = SageMakerService(environment)
    service.on_state_change(
        lambda kind, item: changes.append((kind, item.get(f"{kind}Status") or item.get("SecondaryStatus") or "made"))
    )
    made = Cloud(
        service=service,
        sagemaker=connect(boto3.client("sagemaker", **keys), service),
        runtime=connect(boto3.client("sagemaker-runtime", **keys), service),
        s3=s3,
        logs=boto3.client("logs", endpoint_url=aws_endpoint, **keys),
        image=image,
        state_dir=tmp_path / "state",
        sessions=sessions,
        changes=changes,
        faults=environment.faults,
        clock=clock,
        alarms=alarms,
        measured=measured,
    )
    yield made
    service.close()
    for item in s3.list_objects_v2(Bucket=BUCKET).get("Contents", []):
        s3.delete_object(Bucket=BUCKET, Key=item["Key"])
    s3.delete_bucket(Bucket=BUCKET)

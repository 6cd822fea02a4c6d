"""A cloud that is killed with -9 while it does one of everything, and the one that comes back in its directory."""

from __future__ import annotations

import io
import json
import os
import signal
import tarfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from cli import cloud as clouds
from local_cloud.deploy import Deployment, deploy
from local_cloud.state_directory import read_cloud
from tests.local_cloud.clients import client
from tests.local_cloud.cloud_process import RunningCloud, start_cloud

APPLICATION = Path(__file__).parent / "application"
ENDPOINT = "durable-endpoint"
PATIENCE = 60.0


def eventually(look: Callable[[], Any], seconds: float = PATIENCE) -> Any:
    """The first true value of `look`, or its last one when time is up."""
    deadline = time.monotonic() + seconds
    while not (value := look()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return value


@dataclass
class Life:
    """A running cloud in a state directory."""

    running: RunningCloud
    state: Path

    @classmethod
    def begin(cls, state: Path) -> Life:
        """Start a cloud; failed asynchronous events are tried again soon."""
        return cls(start_cloud(state, retry_seconds=0.05), state)

    def deploy(self, **parameters: str) -> Deployment:
        """Deploy the application."""
        template = APPLICATION / "template.yaml"
        return deploy(template, self.running.file, self.state, stack_name="durable", parameters=parameters)

    def client(self, service: str, key: tuple[str, str] | None = None) -> Any:
        """A client of a service, the administrator's unless a key is given."""
        file = self.running.file
        keys = key or (file.access_key_id, file.secret_access_key)
        return client(service, file.endpoint, file.region, *keys, read_seconds=PATIENCE)

    @cached_property
    def s3(self) -> Any:
        """Client of S3."""
        return self.client("s3")

    @cached_property
    def states(self) -> Any:
        """Client of Step Functions."""
        return self.client("stepfunctions")

    @cached_property
    def sagemaker(self) -> Any:
        """Client of SageMaker."""
        return self.client("sagemaker")

    def start(self, machine: str, way: str, **more: Any) -> str:
        """Start an execution that goes a way; it has the way's name."""
        text = json.dumps({"way": way, **more})
        return str(self.states.start_execution(stateMachineArn=machine, name=way, input=text)["executionArn"])

    def history(self, execution: str) -> list[dict[str, Any]]:
        """An execution's events."""
        events: list[dict[str, Any]] = self.states.get_execution_history(executionArn=execution)["events"]
        return events

    def reached(self, execution: str, event_type: str) -> dict[str, Any]:
        """The event of a type, once it is there."""
        found = eventually(lambda: next((e for e in self.history(execution) if e["type"] == event_type), None))
        assert found, [event["type"] for event in self.history(execution)]
        return dict(found)

    def ended(self, execution: str) -> dict[str, Any]:
        """The description of an execution, once it has ended."""
        assert eventually(lambda: self.states.describe_execution(executionArn=execution)["status"] != "RUNNING")
        return dict(self.states.describe_execution(executionArn=execution))

    def keys(self, bucket: str, prefix: str) -> list[str]:
        """The objects below a prefix."""
        return [item["Key"] for item in self.s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])]

    def messages(self, queue: str) -> list[dict[str, Any]]:
        """The messages in a queue, taken out of it."""
        sqs = self.client("sqs")
        found = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=0).get("Messages", [])
        for message in found:
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        return [json.loads(message["Body"]) for message in found]

    def predict(self) -> bytes:
        """What the endpoint answers."""
        content: bytes = (
            self.client("sagemaker-runtime").invoke_endpoint(EndpointName=ENDPOINT, Body=b"x")["Body"].read()
        )
        return content

    def kill(self) -> set[int]:
        """Kill the cloud with -9; gives the processes that it had started."""
        assert self.running.process is not None
        pid = self.running.process.pid
        started = descendants(pid)
        os.kill(pid, signal.SIGKILL)
        self.running.process.wait()
        return started


@dataclass
class Story:
    """What was there before the cloud was killed, and the cloud after it."""

    outputs: dict[str, str]
    before: dict[str, Any] = field(default_factory=dict)
    executions: dict[str, str] = field(default_factory=dict)
    left_behind: set[int] = field(default_factory=set)
    endpoint_url: str = ""
    said_of_the_killed: str = ""
    after: Life | None = None

    @property
    def life(self) -> Life:
        """The cloud that came back."""
        assert self.after is not None
        return self.after


def tell(state: Path) -> Story:
    """Live through it: everything under way, `kill -9`, the next cloud."""
    first = Life.begin(state)
    try:
        outputs = dict(first.deploy().outputs)
        story = Story(outputs, endpoint_url=first.running.file.endpoint)
        _keep_things(first, story)
        _serve(first, outputs)
        _start_executions(first, story)
        _queue_events(first, outputs)
        assert eventually(lambda: first.keys(outputs["Bucket"], "calls/hanging/"))
        first.sagemaker.update_endpoint(EndpointName=ENDPOINT, EndpointConfigName="slow")
        story.before["updating"] = first.sagemaker.describe_endpoint(EndpointName=ENDPOINT)["EndpointStatus"]
    except BaseException:
        first.running.stop()
        raise
    started = first.kill()
    story.said_of_the_killed = clouds.killed(state) if read_cloud(state) is None else "it seems to run"
    eventually(lambda: not _running(started), 20)
    story.left_behind = _running(started)
    _two_weeks_pass(state)
    story.after = Life.begin(state)
    story.after.s3.put_object(Bucket=outputs["Bucket"], Key="go", Body=b"")
    return story


def _keep_things(life: Life, story: Story) -> None:
    """Resources of every kind, an execution and a job that have ended, a schedule that has fired."""
    bucket = story.outputs["Bucket"]
    for body in (b"one", b"two"):
        life.s3.put_object(Bucket=bucket, Key="kept/a.txt", Body=body, ContentType="text/plain", Metadata={"by": "me"})
    life.client("secretsmanager").put_secret_value(SecretId=story.outputs["Secret"], SecretString="after")
    iam = life.client("iam")
    iam.create_user(UserName="somebody")
    iam.attach_user_policy(UserName="somebody", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    key = iam.create_access_key(UserName="somebody")["AccessKey"]
    story.before["key"] = (key["AccessKeyId"], key["SecretAccessKey"])
    arn = story.executions["ended"] = life.start(story.outputs["Machine"], "ended")
    story.before["ended"] = (life.ended(arn), life.history(arn))
    job = _job(story.outputs, "durable-ended", "true")
    life.sagemaker.create_processing_job(**job, Tags=[{"Key": "a", "Value": "1"}])
    life.sagemaker.get_waiter("processing_job_completed_or_stopped").wait(
        ProcessingJobName="durable-ended", WaiterConfig={"Delay": 0, "MaxAttempts": 600}
    )
    story.before["job"] = _plain(life.sagemaker.describe_processing_job(ProcessingJobName="durable-ended"))
    clock = clouds.load(life.state)
    assert clock is not None
    now = clock.now()
    monday = (now + timedelta(days=7 - now.weekday())).replace(hour=6, minute=0, second=0, microsecond=0)
    story.before["fired"] = clock.move_clock(monday)["fired"]
    assert eventually(lambda: life.keys(bucket, "calls/scheduled/"))
    log = life.client("logs").filter_log_events(logGroupName="/aws/lambda/durable-work")["events"]
    story.before["log"] = [event["message"] for event in log]
    time.sleep(1.5)  # logs reach the disk within a second


def _job(outputs: dict[str, str], name: str, *command: str) -> dict[str, Any]:
    return {
        "ProcessingJobName": name,
        "RoleArn": outputs["JobRole"],
        "AppSpecification": {"ImageUri": outputs["JobImage"], "ContainerEntrypoint": list(command)},
        "ProcessingResources": {
            "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.t3.medium", "VolumeSizeInGB": 1}
        },
    }


def _serve(life: Life, outputs: dict[str, str]) -> None:
    """An endpoint in service with the model `old`, and configurations to update it to."""
    for name, slow in (("old", "0"), ("slow", "120"), ("new", "0")):
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w:gz") as tar:
            member = tarfile.TarInfo("model.txt")
            member.size = len(name)
            tar.addfile(member, io.BytesIO(name.encode()))
        life.s3.put_object(Bucket=outputs["Bucket"], Key=f"models/{name}.tar.gz", Body=archive.getvalue())
        url = f"s3://{outputs['Bucket']}/models/{name}.tar.gz"
        container = {"Image": outputs["JobImage"], "ModelDataUrl": url, "Environment": {"SLOW": slow}}
        life.sagemaker.create_model(ModelName=name, ExecutionRoleArn=outputs["JobRole"], PrimaryContainer=container)
        variant = {"VariantName": "all", "ModelName": name, "InstanceType": "ml.t2.medium", "InitialInstanceCount": 1}
        life.sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
    life.sagemaker.create_endpoint(EndpointName=ENDPOINT, EndpointConfigName="old")
    assert eventually(lambda: status(life) == "InService")
    assert life.predict() == b"old"


def status(life: Life) -> str:
    """The endpoint's status."""
    return str(life.sagemaker.describe_endpoint(EndpointName=ENDPOINT)["EndpointStatus"])


def _start_executions(life: Life, story: Story) -> None:
    """An execution in each kind of state."""
    machine = story.outputs["Machine"]
    story.executions.update({way: life.start(machine, way) for way in ("call", "job", "ask")})
    story.executions["pause"] = life.start(machine, "pause", seconds=8)
    life.reached(story.executions["job"], "TaskSubmitted")
    life.reached(story.executions["pause"], "WaitStateEntered")
    life.reached(story.executions["ask"], "TaskSubmitted")
    (question,) = eventually(lambda: life.messages(story.outputs["Questions"]))
    story.before["token"] = question["token"]
    assert eventually(lambda: life.keys(story.outputs["Bucket"], "calls/called/"))


def _queue_events(life: Life, outputs: dict[str, str]) -> None:
    """One event whose function runs, and three that wait, since no more of it may run at once."""
    functions = life.client("lambda")
    functions.put_function_concurrency(FunctionName=outputs["Function"], ReservedConcurrentExecutions=2)
    for payload in ({"name": "hanging", "hang": True}, *({"name": f"waiting-{number}"} for number in range(3))):
        text = json.dumps(payload).encode()
        functions.invoke(FunctionName=outputs["Function"], InvocationType="Event", Payload=text)


def _two_weeks_pass(state: Path) -> None:
    """While no cloud runs, two instants of the schedule go by."""
    file = state / "clock.json"
    content = json.loads(file.read_text())
    file.write_text(json.dumps({"offset_seconds": content["offset_seconds"] + 14 * 86400}))


def descendants(pid: int) -> set[int]:
    """All processes that a process has started, directly or not."""
    parents: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents.setdefault(int(path.read_text().rpartition(")")[2].split()[1]), []).append(int(path.parent.name))
        except OSError:
            continue
    found, waiting = set(), [pid]
    while waiting:
        children = parents.get(waiting.pop(), [])
        found.update(children)
        waiting += children
    return found


def _running(pids: set[int]) -> set[int]:
    return {pid for pid in pids if clouds.alive(pid)}


def refusal(call: Callable[[], Any]) -> str:
    """The error that a call is refused with; empty where it is not."""
    try:
        call()
    except ClientError as error:
        return str(error)
    return ""


def _plain(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


def job(life: Life, name: str) -> dict[str, Any]:
    """A processing job as it is described."""
    return _plain(life.sagemaker.describe_processing_job(ProcessingJobName=name))


def in_the_future(instant: datetime) -> bool:
    """Whether an instant is later than real time."""
    return instant > datetime.now(UTC)

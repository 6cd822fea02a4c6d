"""The application itself: the cloud of `treering up` is killed while a model is trained, and started again."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli import cloud as clouds
from cli.stack import Stack, read
from tests.local_cloud.durability.commands import PATIENCE, start, treering
from tests.local_cloud.durability.story import descendants, eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    """A state folder; what is up in it is ended."""
    yield tmp_path
    treering("down", state=tmp_path)


def _up(state: Path, source: Path) -> tuple[clouds.Cloud, Stack, str]:
    done = treering("up", "--source", str(source), "--parameter", "LoadTestSeconds=0", state=state)
    assert done.returncode == 0, done.stdout + done.stderr
    cloud = clouds.find(state / "cloud")
    assert cloud is not None
    stack = read(cloud, "treering")
    assert stack is not None
    return cloud, stack, done.stdout + done.stderr


def _listen(cloud: clouds.Cloud, stack: Stack) -> str:
    """A queue that gets what people are told; gives its URL."""
    sqs = cloud.client("sqs")
    url = str(sqs.create_queue(QueueName="people")["QueueUrl"])
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    allow = {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage"}
    policy = {"Version": "2012-10-17", "Statement": [{**allow, "Resource": arn}]}
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(policy)})
    topic = stack.output("OutcomeTopicArn")
    cloud.client("sns").subscribe(
        TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"}
    )
    return url


def _told(cloud: clouds.Cloud, url: str) -> list[dict[str, Any]]:
    """What people were told since the last look, by the state machine."""
    sqs = cloud.client("sqs")
    bodies = []
    for message in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        bodies.append(json.loads(message["Body"]))
    return [body for body in bodies if "outcome" in body]


def _training(cloud: clouds.Cloud) -> str:
    """The name of the training job that runs; empty where none does."""
    listed = cloud.client("sagemaker").list_training_jobs(StatusEquals="InProgress")["TrainingJobSummaries"]
    return str(listed[0]["TrainingJobName"]) if listed else ""


def test_a_run_killed_while_it_trains_goes_on(state: Path, thin_source: Path) -> None:
    """The lost job has failed, its state trains once more, the run ends well, and people are told of it once.

    That the next one succeeds, and the same in every other state, is seen by `make faults`.
    """
    cloud, stack, _ = _up(state, thin_source)
    queue = _listen(cloud, stack)
    run = start("run", state=state)
    job = eventually(lambda: _training(cloud), PATIENCE)
    children = descendants(cloud.pid)
    os.kill(cloud.pid, signal.SIGKILL)
    _, run_err = run.communicate(timeout=PATIENCE)
    status = treering("status", state=state)
    again, stack, said = _up(state, thin_source)
    states, sagemaker = again.client("stepfunctions"), again.client("sagemaker")
    (execution,) = states.list_executions(stateMachineArn=stack.state_machine)["executions"]
    arn = execution["executionArn"]
    eventually(lambda: states.describe_execution(executionArn=arn)["status"] != "RUNNING", PATIENCE)
    events = states.get_execution_history(executionArn=arn, maxResults=1000)["events"]
    trained = {
        one["TrainingJobName"]: sagemaker.describe_training_job(TrainingJobName=one["TrainingJobName"])
        for one in sagemaker.list_training_jobs()["TrainingJobSummaries"]
    }
    told = eventually(lambda: _told(again, queue), 10)

    assert run.returncode == 1
    assert "does not answer any more" in run_err
    assert not {pid for pid in children if clouds.alive(pid)}
    assert "was killed" in status.stdout
    assert "starting it again with all that it had" in said
    assert again.endpoint == cloud.endpoint
    assert states.describe_execution(executionArn=arn)["status"] == "SUCCEEDED"
    assert [event["id"] for event in events] == list(range(1, len(events) + 1))
    assert sorted(one["TrainingJobStatus"] for one in trained.values()) == ["Completed", "Failed"]
    assert trained[job]["FailureReason"].startswith("InternalServerError")
    assert [one["execution"] for one in told] == [arn]
    assert told[0]["outcome"] == "deployed"

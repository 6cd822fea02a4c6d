"""A cloud that was killed with -9 in the middle of everything comes back with it, and goes on."""

import json
import math
from collections.abc import Iterator
from typing import Any

import pytest

from tests.local_cloud.durability import story as stories
from tests.local_cloud.durability.story import ENDPOINT, Life, Story, eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """The story so far: killed, and started again."""
    told = stories.tell(tmp_path_factory.mktemp("durable"))
    yield told
    told.life.running.stop()


@pytest.fixture
def life(story: Story) -> Life:
    """The cloud that came back."""
    return story.life


def _details(event: dict[str, Any]) -> dict[str, Any]:
    return next(value for key, value in event.items() if key.endswith("EventDetails"))


def test_no_process_is_left_and_the_commands_know(story: Story) -> None:
    """Functions, jobs and servers end with their cloud; what it leaves is told apart from a cloud that runs."""
    assert story.left_behind == set()
    assert "was killed" in story.said_of_the_killed


def test_it_answers_where_it_did(story: Story, life: Life) -> None:
    """The port and the administrator's keys stay, so that a shell that talked to it still does; the clock goes on."""
    clock = stories.clouds.load(life.state)
    assert clock is not None

    assert life.running.file.endpoint == story.endpoint_url
    assert stories.in_the_future(clock.now())


def test_resources_are_as_they_were(story: Story, life: Life) -> None:
    """Objects with versions and metadata, secrets, users with their keys, roles, rules, log events."""
    bucket = story.outputs["Bucket"]
    kept = life.s3.get_object(Bucket=bucket, Key="kept/a.txt")
    versions = life.s3.list_object_versions(Bucket=bucket, Prefix="kept/")["Versions"]
    secret = life.client("secretsmanager").get_secret_value(SecretId=story.outputs["Secret"])
    caller = life.client("sts", story.before["key"]).get_caller_identity()
    rules = life.client("events").list_rules()["Rules"]
    log = life.client("logs").filter_log_events(logGroupName="/aws/lambda/durable-work")["events"]

    assert (kept["Body"].read(), kept["ContentType"], kept["Metadata"]) == (b"two", "text/plain", {"by": "me"})
    assert len(versions) == 2
    assert secret["SecretString"] == "after"
    assert caller["Arn"].endswith("user/somebody")
    assert any(rule.get("ScheduleExpression") for rule in rules)
    assert [event["message"] for event in log][: len(story.before["log"])] == story.before["log"]


def test_a_deployment_finds_nothing_to_change(life: Life) -> None:
    """The stack is there, and as the template says."""
    assert not life.deploy().changed


def test_what_had_ended_stays_as_it_was(story: Story, life: Life) -> None:
    """Executions with their history, jobs with their description and tags; a job's name stays taken."""
    arn = story.executions["ended"]
    described, history = story.before["ended"]
    job = stories.job(life, "durable-ended")
    tags = life.sagemaker.list_tags(ResourceArn=job["ProcessingJobArn"])["Tags"]

    assert life.ended(arn)["output"] == described["output"]
    assert life.history(arn) == history
    assert job == story.before["job"]
    assert tags == [{"Key": "a", "Value": "1"}]
    assert "ResourceInUse" in stories.refusal(
        lambda: life.sagemaker.create_processing_job(
            **{name: job[name] for name in ("ProcessingJobName", "RoleArn", "AppSpecification", "ProcessingResources")}
        )
    )


def test_a_function_that_was_lost_is_called_again_by_retry(story: Story, life: Life) -> None:
    """The call got no answer: the task failed with a name that its Retry knows, and the second call ended well."""
    described = life.ended(story.executions["call"])
    failed = [_details(event) for event in life.history(story.executions["call"]) if event["type"] == "TaskFailed"]

    assert described["status"] == "SUCCEEDED", (described, failed)
    assert failed[0]["error"] == "Lambda.SdkClientException"
    assert len(life.keys(story.outputs["Bucket"], "calls/called/")) == 2


def test_a_job_that_ran_has_failed_and_its_state_catches_it(story: Story, life: Life) -> None:
    """Its instance is gone: SageMaker's own error, which the state machine hears of as on AWS."""
    described = life.ended(story.executions["job"])
    job = stories.job(life, "durable-job-job")

    assert job["ProcessingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("InternalServerError")
    assert json.loads(described["output"])["failure"]["Error"] == "States.TaskFailed"
    assert "InternalServerError" in json.loads(described["output"])["failure"]["Cause"]


def test_a_wait_goes_on_to_its_end(story: Story, life: Life) -> None:
    """In one history, in which the state was entered once."""
    described = life.ended(story.executions["pause"])
    types = [event["type"] for event in life.history(story.executions["pause"])]

    assert described["status"] == "SUCCEEDED"
    assert types.count("WaitStateEntered") == types.count("WaitStateExited") == types.count("ExecutionStarted") == 1


def test_a_token_of_before_is_answered(story: Story, life: Life) -> None:
    """The question is not asked again, and SendTaskSuccess with the old token ends the wait."""
    asked_again = life.messages(story.outputs["Questions"])
    life.states.send_task_heartbeat(taskToken=story.before["token"])
    life.states.send_task_success(taskToken=story.before["token"], output='{"yes": true}')
    described = life.ended(story.executions["ask"])

    assert asked_again == []
    assert json.loads(described["output"])["answer"] == {"yes": True}


def test_people_are_told_once_of_each(story: Story, life: Life) -> None:
    """One message for each execution, whatever was killed in between."""
    for way in ("call", "job", "pause", "ended", "ask"):
        life.ended(story.executions[way])
    told: list[str] = []

    def hear(how_many: float) -> bool:
        told.extend(message["way"] for message in life.messages(story.outputs["Listener"]))
        return len(told) >= how_many

    eventually(lambda: hear(5), 20)
    eventually(lambda: hear(math.inf), 1)  # what would be one too many

    assert sorted(told) == ["ask", "call", "ended", "job", "pause"]


def test_events_that_waited_for_a_function_arrive(story: Story, life: Life) -> None:
    """At least once; those that had not begun, once."""
    bucket = story.outputs["Bucket"]
    expected = {"hanging": 2, "waiting-0": 1, "waiting-1": 1, "waiting-2": 1}
    eventually(lambda: all(life.keys(bucket, f"calls/{name}/") for name in expected))
    eventually(lambda: len(life.keys(bucket, "calls/hanging/")) == 2)

    assert {name: len(life.keys(bucket, f"calls/{name}/")) for name in expected} == expected
    assert eventually(lambda: not list((life.state / "events" / "functions").iterdir()), 10)


def test_a_schedule_does_not_catch_up(story: Story, life: Life) -> None:
    """Two instants went by while no cloud ran; only the one before counted."""
    assert len(story.before["fired"]) == 1
    assert len(life.keys(story.outputs["Bucket"], "calls/scheduled/")) == 1


def test_the_endpoint_serves_the_model_that_was_in_service(story: Story, life: Life) -> None:
    """The update that was under way is rolled back, and says so; the next one goes through."""
    answered = life.predict()
    eventually(lambda: stories.status(life) == "InService")
    described = life.sagemaker.describe_endpoint(EndpointName=ENDPOINT)
    life.sagemaker.update_endpoint(EndpointName=ENDPOINT, EndpointConfigName="new")
    eventually(lambda: stories.status(life) == "InService")

    assert story.before["updating"] == "Updating"
    assert answered == b"old"
    assert described["EndpointConfigName"] == "old"
    assert "rolled back" in described["FailureReason"]
    assert life.predict() == b"new"

"""Faults of calls of AWS's API, as the SDK meets them at the port of a whole local cloud."""

import asyncio
import socket
import time
import uuid
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from local_cloud.faults import Fault, FaultPlan, Kill
from local_cloud.faults.api import FaultyApi
from tests.local_cloud.faults.conftest import Whole

CALLS = {
    "s3": ("ListBuckets", "list_buckets", {}),
    "lambda": ("ListFunctions", "list_functions", {}),
    "sagemaker": ("ListTrainingJobs", "list_training_jobs", {}),
    "sagemaker-runtime": ("InvokeEndpoint", "invoke_endpoint", {"EndpointName": "e", "Body": b"1"}),
    "stepfunctions": ("ListStateMachines", "list_state_machines", {}),
    "secretsmanager": ("ListSecrets", "list_secrets", {}),
    "sns": ("ListTopics", "list_topics", {}),
    "sqs": ("ListQueues", "list_queues", {}),
    "events": ("ListRules", "list_rules", {}),
    "cloudwatch": ("DescribeAlarms", "describe_alarms", {}),
    "cloudformation": ("ListStacks", "list_stacks", {}),
    "logs": ("DescribeLogGroups", "describe_log_groups", {}),
    "sts": ("GetCallerIdentity", "get_caller_identity", {}),
}


def bucket(whole: Whole) -> str:
    """A new bucket."""
    name = f"bucket-{uuid.uuid4().hex[:12]}"
    whole.client("s3").create_bucket(Bucket=name)
    return name


def keys(whole: Whole, name: str) -> list[str]:
    """The keys of a bucket."""
    return [item["Key"] for item in whole.client("s3").list_objects_v2(Bucket=name).get("Contents", [])]


@pytest.mark.parametrize("armed", [[], [Kill(target="job")]])
def test_without_a_fault_of_the_api_requests_pass_untouched(armed: list[Fault]) -> None:
    """Not even read: the API gets the very request, and answers it itself."""
    passed: list[object] = []

    async def aws(*request: object) -> None:
        passed.extend(request)

    async def receive() -> dict[str, Any]:
        raise AssertionError("nobody else reads the request")

    async def send(_message: object) -> None:
        raise AssertionError("nobody else answers it")

    plan = FaultPlan()
    plan.arm(armed)
    scope = {"type": "http"}
    asyncio.run(FaultyApi(aws, plan)(scope, receive, send))

    assert [id(one) for one in passed] == [id(scope), id(receive), id(send)]


@pytest.mark.parametrize("service", CALLS)
def test_a_call_gets_the_error_that_was_armed_in_the_protocol_of_its_service(whole: Whole, service: str) -> None:
    """The SDK reads code, message and status; the next call is served."""
    action, method, arguments = CALLS[service]
    whole.arm(kind="api_error", service=service, action=action, code="SlowDown", message="Not so <fast>", status=503)
    call = getattr(whole.client(service), method)
    with pytest.raises(ClientError) as failed:
        call(**arguments)

    assert failed.value.operation_name == action
    assert failed.value.response["Error"]["Code"] == "SlowDown"
    assert failed.value.response["Error"]["Message"] == "Not so <fast>"
    assert failed.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
    assert failed.value.response["ResponseMetadata"]["RequestId"]
    assert whole.spent() == ["api_error"]
    if service != "sagemaker-runtime":  # there is no endpoint to ask
        call(**arguments)


def test_without_a_code_it_is_the_error_that_the_service_has_for_failures_of_its_own(whole: Whole) -> None:
    """InternalError of S3, InternalFailure elsewhere; both with status 500."""
    whole.arm(kind="api_error", times=2)
    errors = []
    for call in (whole.client("s3").list_buckets, whole.client("sqs").list_queues):
        with pytest.raises(ClientError) as failed:
            call()
        errors.append(
            (failed.value.response["Error"]["Code"], failed.value.response["ResponseMetadata"]["HTTPStatusCode"])
        )

    assert errors == [("InternalError", 500), ("InternalFailure", 500)]


def test_only_what_matches_fails(whole: Whole) -> None:
    """Service, action and a text of the path, the query or the body."""
    name = bucket(whole)
    s3 = whole.client("s3")
    whole.arm(kind="api_error", service="s3", action="PutObject", match="model.tar.gz", code="AccessDenied")
    s3.put_object(Bucket=name, Key="data.csv", Body=b"1")
    s3.list_objects_v2(Bucket=name, Prefix="model.tar.gz")
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.put_object(Bucket=name, Key="a/model.tar.gz", Body=b"1")
    whole.arm(kind="api_error", service="sqs", match="special", code="AccessDenied")
    whole.client("sqs").create_queue(QueueName="plain")
    with pytest.raises(ClientError, match="AccessDenied"):
        whole.client("sqs").create_queue(QueueName="special")

    assert keys(whole, name) == ["data.csv"]


def test_an_sdk_that_tries_again_gets_through(whole: Whole) -> None:
    """Two failures cost two of three tries; the third takes effect, body and all."""
    name = bucket(whole)
    whole.arm(kind="api_error", service="s3", action="PutObject", times=2)
    whole.client("s3", tries=3).put_object(Bucket=name, Key="a", Body=b"x" * 100_000)

    assert len(whole.client("s3").get_object(Bucket=name, Key="a")["Body"].read()) == 100_000
    assert whole.spent() == ["api_error"]


@pytest.mark.parametrize("body", [b"", b"x" * 3_000_000])
def test_a_call_whose_answer_is_lost_took_effect(whole: Whole, body: bytes) -> None:
    """The caller sees a broken connection, the bucket has the object."""
    name = bucket(whole)
    whole.arm(kind="api_error", service="s3", action="PutObject", after=True)
    with pytest.raises(BotoCoreError):
        whole.client("s3").put_object(Bucket=name, Key="a", Body=body)

    assert keys(whole, name) == ["a"]


def test_an_sdk_repeats_a_call_whose_answer_was_lost(whole: Whole) -> None:
    """So that what must not happen twice has to be safe against it: here two messages lie in the queue."""
    url = whole.client("sqs").create_queue(QueueName=f"queue-{uuid.uuid4().hex[:8]}")["QueueUrl"]
    whole.arm(kind="api_error", service="sqs", action="SendMessage", after=True)
    whole.client("sqs", tries=2).send_message(QueueUrl=url, MessageBody="once")
    attributes = whole.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]

    assert attributes["ApproximateNumberOfMessages"] == "2"


def test_a_late_call_takes_effect_late(whole: Whole) -> None:
    """The others do not wait for it."""
    whole.arm(kind="api_delay", service="sqs", action="ListQueues", seconds=0.6)
    begun = time.monotonic()
    whole.client("s3").list_buckets()
    whole.client("sqs").list_queues()

    assert time.monotonic() - begun >= 0.6
    assert whole.spent() == ["api_delay"]


def test_a_head_request_gets_an_answer_without_body(whole: Whole) -> None:
    """Whether it fails or its answer is lost; the connection is not out of step afterwards."""
    name = bucket(whole)
    s3 = whole.client("s3")
    s3.put_object(Bucket=name, Key="a", Body=b"1")
    whole.arm(kind="api_error", service="s3", action="HeadObject", status=503)
    whole.arm(kind="api_error", service="s3", action="HeadObject", after=True)
    for _ in range(2):
        with pytest.raises((ClientError, BotoCoreError)):
            s3.head_object(Bucket=name, Key="a")

    assert s3.head_object(Bucket=name, Key="a")["ContentLength"] == 1


def test_of_a_list_all_or_none_is_armed(whole: Whole) -> None:
    """The answer says what is wrong with one of them."""
    good, bad = {"kind": "capacity"}, {"kind": "capacity", "times": 0}
    status, refused = whole.faults("POST", [good, bad])
    _, before = whole.faults("GET")
    _, armed = whole.faults("POST", [good, good])
    _, after = whole.faults("GET")
    _, cleared = whole.faults("DELETE")

    assert (status, before["armed"]) == (400, [])
    assert refused["error"] == "capacity: times is 0, but must be a whole number of at least 1, or null for ever"
    assert [fault["left"] for fault in armed["armed"]] == [1, 1]
    assert after["armed"] == armed["armed"]
    assert cleared == {"cleared": 2}
    assert whole.faults("GET")[1] == {"armed": [], "spent": []}


@pytest.mark.parametrize("body", ["kill", 3])
def test_what_is_neither_a_fault_nor_a_list_is_refused(whole: Whole, body: Any) -> None:
    """Also by its form."""
    assert whole.faults("POST", body) == (400, {"error": "the body is no JSON object and no list"})


def test_the_connection_of_a_lost_answer_is_closed(whole: Whole) -> None:
    """In the middle of the answer: somebody who waits for the rest gets an end, no silence."""
    whole.arm(kind="api_error", after=True)
    host, _, port = whole.running.file.endpoint.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(b"GET /bucket HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = b"".join(iter(lambda: connection.recv(1000), b""))
    head, _, rest = answer.partition(b"\r\n\r\n")

    assert b"content-length: 1" in head
    assert rest == b""
    assert whole.spent() == ["api_error"]

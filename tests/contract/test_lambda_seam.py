"""Functions through the emulator's own API and CloudFormation, with our runtime behind them."""

import base64
import json
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from local_cloud.images import ImageRegistry

HERE = Path(__file__).parent
HANDLER = """
import os, time
import boto3

def echo(event, context):
    print("event", event)
    return {"event": event, "version": os.environ.get("VERSION")}

def fail(event, context):
    raise ValueError("no")

def sleep(event, context):
    time.sleep(event["seconds"])

def request_id(event, context):
    print("id", context.aws_request_id)
    if event.get("fail"):
        raise ValueError("no")
    return context.aws_request_id

def who_am_i(event, context):
    return boto3.client("sts").get_caller_identity()["Arn"]

def read_secret(event, context):
    return boto3.client("secretsmanager").list_secrets()["SecretList"]
"""
TRUST = {
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]
}
WRITE_LOGS = {
    "Statement": [{"Effect": "Allow", "Action": ["logs:*", "sqs:SendMessage", "sns:Publish"], "Resource": "*"}]
}

SOON = {"Delay": 0.05, "MaxAttempts": 100}

Client = Callable[[str], Any]


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """The state directory and the URIs of two versions of an image."""
    folder, state = tmp_path_factory.mktemp("image"), tmp_path_factory.mktemp("state")
    (folder / "handlers.py").write_text(HANDLER)
    registry, uris = ImageRegistry(state), []
    for version in ("1", "2"):
        (folder / "Dockerfile").write_text(
            f"FROM public.ecr.aws/lambda/python:3.12\nENV VERSION={version}\nCOPY handlers.py ./\n"
        )
        uris.append(registry.build("handlers", dockerfile=folder / "Dockerfile", context=folder).uri)
    return state, uris


@pytest.fixture(scope="module")
def client(images: tuple[Path, list[str]]) -> Iterator[Client]:
    """Make clients of the emulator, which runs as a process of its own."""
    process = subprocess.Popen(
        [sys.executable, str(HERE / "lambda_cloud.py"), str(images[0])],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=HERE.parent.parent,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(HERE.parent.parent)},
    )
    assert process.stdout is not None
    assert process.stdin is not None
    port = int(process.stdout.readline())
    config = Config(retries={"total_max_attempts": 1}, read_timeout=30)

    def make(service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=f"http://127.0.0.1:{port}",
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=config,
        )

    yield make
    process.stdin.close()
    process.wait(timeout=20)


@pytest.fixture(scope="module")
def role(client: Client) -> str:
    """ARN of a role that Lambda may assume and that may write logs."""
    iam = client("iam")
    arn: str = iam.create_role(RoleName="function", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
    iam.put_role_policy(RoleName="function", PolicyName="logs", PolicyDocument=json.dumps(WRITE_LOGS))
    return arn


@pytest.fixture
def create(client: Client, images: tuple[Path, list[str]], role: str) -> Iterator[Callable[..., str]]:
    """Create a function for a handler, wait until it is active unless told not to, and return its name."""
    names: list[str] = []

    def make(handler: str, wait: bool = True, **properties: Any) -> str:
        name = f"{handler.replace('_', '-')}-{uuid.uuid4().hex[:8]}"
        request = {
            "FunctionName": name,
            "Role": role,
            "PackageType": "Image",
            "Code": {"ImageUri": images[1][0]},
            "ImageConfig": {"Command": [f"handlers.{handler}"]},
            "Timeout": 20,
            "MemorySize": 256,
        } | properties
        client("lambda").create_function(**request)
        names.append(name)
        if wait:
            client("lambda").get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig=SOON)
        return name

    yield make
    for name in names:
        client("lambda").delete_function(FunctionName=name)


def invoke(client: Client, name: str, event: object = None, **options: Any) -> tuple[Any, Any]:
    """Invoke a function; returns its payload and the whole answer."""
    answer = client("lambda").invoke(FunctionName=name, Payload=json.dumps(event or {}), **options)
    body = answer["Payload"].read()
    return (json.loads(body) if body else None), answer


def test_synchronous_invocation(client: Client, create: Callable[..., str]) -> None:
    """Invoke answers the handler's value, status 200 and, when asked, the end of the log; no error header."""
    name = create("echo")
    body, answer = invoke(client, name, {"x": [1, "é"]}, LogType="Tail")

    assert body == {"event": {"x": [1, "é"]}, "version": "1"}
    assert (answer["StatusCode"], answer.get("FunctionError")) == (200, None)
    assert "event {'x'" in base64.b64decode(answer["LogResult"]).decode()


def test_error_has_the_function_error_header(client: Client, create: Callable[..., str]) -> None:
    """An exception is status 200 with X-Amz-Function-Error: Unhandled and the error as payload."""
    body, answer = invoke(client, create("fail"))

    assert (answer["StatusCode"], answer["FunctionError"]) == (200, "Unhandled")
    assert (body["errorType"], body["errorMessage"]) == ("ValueError", "no")


def test_function_acts_as_its_role(client: Client, create: Callable[..., str], role: str) -> None:
    """The function's SDK reaches the local cloud as a session of the function's role, with that role's permissions."""
    name = create("who_am_i")
    arn, _ = invoke(client, name)
    denied, _ = invoke(client, create("read_secret"))

    assert arn == f"arn:aws:sts::000000000000:assumed-role/function/{name}"
    assert "AccessDenied" in denied["errorMessage"]


def test_log_group_holds_the_invocation(client: Client, create: Callable[..., str]) -> None:
    """The lines of warm invocations gather in one stream of /aws/lambda/<name>."""
    name = create("echo")
    invoke(client, name)
    invoke(client, name)
    logs = client("logs")
    group = f"/aws/lambda/{name}"
    (stream,) = logs.describe_log_streams(logGroupName=group)["logStreams"]
    events = logs.get_log_events(logGroupName=group, logStreamName=stream["logStreamName"])["events"]
    words = [event["message"].split()[0] for event in events]

    assert "/[$LATEST]" in stream["logStreamName"]
    assert words == ["START", "event", "END", "REPORT"] * 2


def test_role_without_permission_for_logs_writes_none(client: Client, create: Callable[..., str]) -> None:
    """As on AWS a function runs without a log when its role may not write one."""
    iam = client("iam")
    arn = iam.create_role(RoleName="silent", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
    name = create("echo", Role=arn)
    body, _ = invoke(client, name)

    assert body["version"] == "1"
    assert not client("logs").describe_log_groups(logGroupNamePrefix=f"/aws/lambda/{name}")["logGroups"]


def test_update_of_the_code_takes_effect_when_it_is_done(
    client: Client, create: Callable[..., str], images: tuple[Path, list[str]]
) -> None:
    """While LastUpdateStatus is InProgress a function runs its old code; boto3's waiter sees the end."""
    name = create("echo")
    updating = client("lambda").update_function_code(FunctionName=name, ImageUri=images[1][1])
    before, _ = invoke(client, name)
    client("lambda").get_waiter("function_updated_v2").wait(FunctionName=name, WaiterConfig=SOON)
    after, _ = invoke(client, name)

    assert (updating["State"], updating["LastUpdateStatus"]) == ("Active", "InProgress")
    assert (before["version"], after["version"]) == ("1", "2")


def test_a_pending_function_cannot_be_invoked(
    client: Client, create: Callable[..., str], images: tuple[Path, list[str]]
) -> None:
    """A function that is being created takes no invocation, update or publication: ResourceConflictException."""
    functions = client("lambda")
    name = create("echo", wait=False)
    for call in (
        lambda: functions.invoke(FunctionName=name),
        lambda: functions.invoke(FunctionName=name, InvocationType="Event"),
        lambda: functions.update_function_code(FunctionName=name, ImageUri=images[1][1]),
        lambda: functions.publish_version(FunctionName=name),
    ):
        with pytest.raises(functions.exceptions.ResourceConflictException, match="state: Pending"):
            call()
    functions.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig=SOON)

    assert invoke(client, name)[0]["version"] == "1"


def test_one_update_at_a_time(client: Client, create: Callable[..., str]) -> None:
    """An update during another one is refused; what the first changed is kept."""
    name, functions = create("echo"), client("lambda")
    functions.update_function_configuration(FunctionName=name, Environment={"Variables": {"VERSION": "mine"}})
    with pytest.raises(functions.exceptions.ResourceConflictException, match=f"in progress for resource: .*{name}"):
        functions.update_function_configuration(FunctionName=name, Timeout=9)
    functions.get_waiter("function_updated_v2").wait(FunctionName=name, WaiterConfig=SOON)

    assert invoke(client, name)[0]["version"] == "mine"


def test_new_environment_variables_are_limited_too(client: Client, create: Callable[..., str]) -> None:
    """The 4 KB of environment variables hold for updates as well."""
    with pytest.raises(ClientError, match="exceeded the 4KB limit"):
        client("lambda").update_function_configuration(
            FunctionName=create("echo"), Environment={"Variables": {"BIG": "x" * 4090}}
        )


def test_a_request_has_one_id(client: Client, create: Callable[..., str]) -> None:
    """What Invoke answers as request ID is the ID in the function's context."""
    found, answer = invoke(client, create("request_id"))

    assert found == answer["ResponseMetadata"]["RequestId"]


@pytest.mark.parametrize("target", ["queue", "topic"])
def test_an_event_keeps_its_id_over_its_retries(client: Client, create: Callable[..., str], target: str) -> None:
    """An asynchronous event that fails three times is one request, and its dead letter names it."""
    queue = client("sqs").create_queue(QueueName=f"letters-{target}")["QueueUrl"]
    arn = client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    if target == "topic":
        sns, raw = client("sns"), {"RawMessageDelivery": "true"}
        topic = sns.create_topic(Name="letters")["TopicArn"]
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes=raw)
        policy = {"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": arn}
        client("sqs").set_queue_attributes(QueueUrl=queue, Attributes={"Policy": json.dumps({"Statement": [policy]})})
        arn = topic
    name = create("request_id", DeadLetterConfig={"TargetArn": arn})
    _, answer = invoke(client, name, {"fail": True}, InvocationType="Event")
    messages: list[Any] = []
    while not messages:
        messages = (
            client("sqs")
            .receive_message(QueueUrl=queue, MessageAttributeNames=["All"], WaitTimeSeconds=10)
            .get("Messages", [])
        )
    attributes = {key: value["StringValue"] for key, value in messages[0]["MessageAttributes"].items()}
    events = client("logs").filter_log_events(logGroupName=f"/aws/lambda/{name}", filterPattern="id")["events"]
    one = answer["ResponseMetadata"]["RequestId"]

    assert answer["StatusCode"] == 202
    assert json.loads(messages[0]["Body"]) == {"fail": True}
    assert attributes == {"RequestID": one, "ErrorCode": "200", "ErrorMessage": "no"}
    assert [event["message"] for event in events if event["message"].startswith("id ")] == [f"id {one}"] * 3


def test_reserved_concurrency_throttles(client: Client, create: Callable[..., str]) -> None:
    """More invocations at once than reserved are refused with TooManyRequestsException, in AWS's words."""
    name = create("sleep")
    client("lambda").put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=1)
    with ThreadPoolExecutor(2) as threads:
        both = [threads.submit(invoke, client, name, {"seconds": 3}) for _ in range(2)]
    (refused,) = [error for each in both if (error := each.exception()) is not None]

    assert isinstance(refused, client("lambda").exceptions.TooManyRequestsException)
    response = refused.response
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 429
    assert response["Error"]["Message"] == "Rate Exceeded."
    assert (response["Reason"], response["Type"]) == ("ReservedFunctionConcurrentInvocationLimitExceeded", "User")


def test_zero_reserved_concurrency_sends_events_aside_at_once(client: Client, create: Callable[..., str]) -> None:
    """New events go to the dead-letter queue and the on-failure destination, and the function is not even tried."""
    sqs = client("sqs")
    queues = [sqs.create_queue(QueueName=f"aside-{name}")["QueueUrl"] for name in ("letters", "records")]
    letters, records = (
        sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        for queue in queues
    )
    name = create("echo", DeadLetterConfig={"TargetArn": letters})
    on_failure = {"DestinationConfig": {"OnFailure": {"Destination": records}}}
    client("lambda").put_function_event_invoke_config(FunctionName=name, **on_failure)
    client("lambda").put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    invoke(client, name, {"a": 1}, InvocationType="Event")
    letter, record = (
        sqs.receive_message(QueueUrl=queue, MessageAttributeNames=["All"], WaitTimeSeconds=10)["Messages"][0]
        for queue in queues
    )
    told = json.loads(record["Body"])

    assert json.loads(letter["Body"]) == told["requestPayload"] == {"a": 1}
    assert letter["MessageAttributes"]["ErrorMessage"]["StringValue"].startswith("Function not invoked.")
    assert told["requestContext"]["condition"] == "ZeroReservedConcurrency"
    assert told["requestContext"]["approximateInvokeCount"] == 0
    assert "responsePayload" not in told


@pytest.mark.parametrize("outcome", ["OnFailure", "OnSuccess"])
def test_a_destination_that_the_role_may_not_send_to_is_refused(
    client: Client, create: Callable[..., str], role: str, outcome: str
) -> None:
    """When it is configured, in AWS's words; the function's own role is asked."""
    iam = client("iam")
    silent = iam.create_role(RoleName=f"no-{outcome}", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
    names = [create("echo", wait=False, Role=one) for one in (silent, role)]
    topic = client("sns").create_topic(Name="outcomes")["TopicArn"]
    settings = {"DestinationConfig": {outcome: {"Destination": topic}}}
    with pytest.raises(client("lambda").exceptions.InvalidParameterValueException) as refused:
        client("lambda").put_function_event_invoke_config(FunctionName=names[0], **settings)
    client("lambda").put_function_event_invoke_config(FunctionName=names[1], **settings)

    assert f"execution role does not have permissions to call Publish on {topic}" in str(refused.value)


def test_reserved_concurrency_leaves_some_to_others(client: Client, create: Callable[..., str]) -> None:
    """A hundred of the account's thousand concurrent executions cannot be reserved."""
    name = create("echo")
    client("lambda").put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=900)
    with pytest.raises(client("lambda").exceptions.InvalidParameterValueException, match="minimum value of"):
        client("lambda").put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=901)

    assert client("lambda").get_function_concurrency(FunctionName=name)["ReservedConcurrentExecutions"] == 900


@pytest.mark.parametrize(
    ("properties", "said"),
    [
        ({"Code": {"ImageUri": "000000000000.dkr.ecr.us-east-1.amazonaws.com/none:1"}}, "Source image"),
        ({"Environment": {"Variables": {"BIG": "x" * 4090}}}, "exceeded the 4KB limit"),
        ({"Environment": {"Variables": {"AWS_REGION": "eu-west-1"}}}, "reserved keys"),
        ({"Timeout": 901}, "Timeout"),
        ({"MemorySize": 20000}, "MemorySize"),
        ({"EphemeralStorage": {"Size": 20000}}, "EphemeralStorage"),
        ({"ImageConfig": {}}, "names no handler"),
        ({"VpcConfig": {"SubnetIds": ["subnet-1"], "SecurityGroupIds": ["sg-1"]}}, "VpcConfig"),
    ],
)
def test_refused_at_creation(create: Callable[..., str], properties: dict[str, Any], said: str) -> None:
    """What AWS refuses, and what the local cloud cannot do, fails at creation with InvalidParameterValueException."""
    with pytest.raises(ClientError) as refused:
        create("echo", **properties)

    assert refused.value.response["Error"]["Code"] == "InvalidParameterValueException"
    assert said in refused.value.response["Error"]["Message"]


def test_zip_archives_are_refused(client: Client, role: str) -> None:
    """A function from a zip archive is refused by name instead of pretended."""
    with pytest.raises(ClientError, match="container images only"):
        client("lambda").create_function(
            FunctionName="zip", Role=role, Runtime="python3.12", Handler="a.b", Code={"ZipFile": b"PK"}
        )


@pytest.mark.parametrize(("kind", "size"), [("Event", 1024 * 1024 + 10), ("RequestResponse", 6 * 1024 * 1024 + 10)])
def test_payload_has_a_limit(client: Client, create: Callable[..., str], kind: str, size: int) -> None:
    """An event beyond 1 MB (asynchronous) or 6 MB is refused with status 413."""
    with pytest.raises(ClientError) as refused:
        invoke(client, create("echo"), "x" * size, InvocationType=kind)

    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 413
    assert refused.value.response["Error"]["Code"] == "RequestEntityTooLargeException"


def test_an_event_is_json(client: Client, create: Callable[..., str]) -> None:
    """A payload that is no JSON is refused, as AWS does, instead of taken for an empty event."""
    name = create("echo")
    with pytest.raises(
        client("lambda").exceptions.InvalidRequestContentException, match="Could not parse request body"
    ):
        client("lambda").invoke(FunctionName=name, Payload=b"{not json")


def function_template(uri: str, role: str, **properties: Any) -> str:
    """A template with one function."""
    function = {
        "FunctionName": "from-a-stack",
        "Role": role,
        "PackageType": "Image",
        "Code": {"ImageUri": uri},
        "ImageConfig": {"Command": ["handlers.echo"]},
        "Timeout": 20,
        "MemorySize": 256,
    }
    return json.dumps(
        {"Resources": {"Function": {"Type": "AWS::Lambda::Function", "Properties": function | properties}}}
    )


def test_stack_creates_and_updates_a_function(client: Client, role: str, images: tuple[Path, list[str]]) -> None:
    """CloudFormation sets the handler, reserved concurrency and dead-letter queue, and updates all of them."""
    stacks, functions = client("cloudformation"), client("lambda")
    queue = client("sqs").create_queue(QueueName="dead")["QueueUrl"]
    queue_arn = client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"][
        "QueueArn"
    ]
    properties = {"ReservedConcurrentExecutions": 1, "DeadLetterConfig": {"TargetArn": queue_arn}}
    stacks.create_stack(StackName="lambda", TemplateBody=function_template(images[1][0], role, **properties))
    stacks.get_waiter("stack_create_complete").wait(StackName="lambda", WaiterConfig={"Delay": 1})
    first, _ = invoke(client, "from-a-stack")
    created = functions.get_function(FunctionName="from-a-stack")
    changed = {"ImageConfig": {"Command": ["handlers.who_am_i"]}, "ReservedConcurrentExecutions": 2}
    stacks.update_stack(StackName="lambda", TemplateBody=function_template(images[1][1], role, **changed))
    stacks.get_waiter("stack_update_complete").wait(StackName="lambda", WaiterConfig={"Delay": 1})
    second, _ = invoke(client, "from-a-stack")
    updated = functions.get_function(FunctionName="from-a-stack")
    stacks.delete_stack(StackName="lambda")

    assert first["version"] == "1"
    assert created["Concurrency"]["ReservedConcurrentExecutions"] == 1
    assert created["Configuration"]["DeadLetterConfig"]["TargetArn"] == queue_arn
    assert second.endswith("assumed-role/function/from-a-stack")
    assert updated["Concurrency"]["ReservedConcurrentExecutions"] == 2
    assert "DeadLetterConfig" not in updated["Configuration"]


def test_stack_with_a_missing_image_fails(client: Client, role: str) -> None:
    """A stack whose function's image is not there is rolled back, and the reason names the image."""
    stacks = client("cloudformation")
    uri = "000000000000.dkr.ecr.us-east-1.amazonaws.com/none:1"
    stacks.create_stack(StackName="broken", TemplateBody=function_template(uri, role))
    while "IN_PROGRESS" in stacks.describe_stacks(StackName="broken")["Stacks"][0]["StackStatus"]:
        time.sleep(0.1)
    events = stacks.describe_stack_events(StackName="broken")["StackEvents"]

    assert any(uri in event.get("ResourceStatusReason", "") for event in events)

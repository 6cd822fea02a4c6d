"""The adapters keep what their docstrings promise, against an emulation of S3, Secrets Manager and Step Functions."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError, ReadTimeoutError
from moto import mock_aws

from treering.aws.errors import translate
from treering.aws.s3 import Bucket
from treering.aws.secrets import Secrets
from treering.aws.step_functions import StateMachine, execution_arn
from treering.errors import ConfigurationError, TransientError

DEFINITION = '{"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 600, "End": true}}}'


@pytest.fixture(autouse=True)
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An empty account in a region that only AWS_REGION names, as in SageMaker."""
    for name, value in {"ACCESS_KEY_ID": "x", "SECRET_ACCESS_KEY": "x", "REGION": "eu-central-1"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    with mock_aws():
        yield


@pytest.fixture
def bucket() -> Bucket:
    """An empty bucket."""
    boto3.client("s3", region_name="us-east-1").create_bucket(Bucket="data")
    return Bucket("data")


@pytest.fixture
def machine() -> StateMachine:
    """A state machine whose executions do not end by themselves."""
    client = boto3.client("stepfunctions", region_name="eu-central-1")
    role = "arn:aws:iam::123456789012:role/states"
    arn = client.create_state_machine(name="weekly", definition=DEFINITION, roleArn=role)["stateMachineArn"]
    return StateMachine(arn)


def test_an_object_is_created_once(bucket: Bucket) -> None:
    """The second call says that it was there, and leaves it as it is."""
    answers = [bucket.create("a/b.json", b"first"), bucket.create("a/b.json", b"second")]

    assert answers == [True, False]
    assert bucket.read("a/b.json") == b"first"
    assert bucket.find("a/b.json") == b"first"


def test_a_file_is_created_once(bucket: Bucket, tmp_path: Path) -> None:
    """The same with a file's content."""
    (tmp_path / "f").write_bytes(b"content")
    sha256 = hashlib.sha256(b"content").hexdigest()
    answers = [bucket.create_from_file("f", tmp_path / "f", sha256) for _ in range(2)]

    assert answers == [True, False]
    assert bucket.read("f") == b"content"


def test_an_object_can_be_replaced(bucket: Bucket) -> None:
    """Whether it is there or not."""
    bucket.replace("a", b"1")
    bucket.replace("a", b"2")

    assert bucket.read("a") == b"2"


def test_a_missing_object_is_found_missing(bucket: Bucket) -> None:
    """`find` says none, `read` complains with the object's URI."""
    assert bucket.find("no/thing") is None
    with pytest.raises(ConfigurationError, match=r"Could not read s3://data/no/thing: AWS answered NoSuchKey"):
        bucket.read("no/thing")


def test_a_missing_bucket_is_an_error_everywhere() -> None:
    """Not a missing object."""
    missing = Bucket("no-such-bucket")
    for call in (lambda: missing.find("a"), lambda: missing.create("a", b""), lambda: missing.replace("a", b"")):
        with pytest.raises(ConfigurationError, match=r"s3://no-such-bucket/a: AWS answered NoSuchBucket"):
            call()


def test_without_permission_to_list_a_missing_object_is_missing_too(bucket: Bucket) -> None:
    """S3 answers 403 then; who must read the object gets the error with what to allow."""
    denied = client_error("AccessDenied", 403)
    bucket._client.meta.events.register("before-call.s3.GetObject", raiser(denied))

    assert bucket.find("a") is None
    with pytest.raises(ConfigurationError, match="Allow PutObject on it in the role of this program"):
        bucket.read("a")


def test_a_secret_is_read_as_it_is_now() -> None:
    """A new value counts at once; a secret that is missing or was never filled is empty."""
    client = boto3.client("secretsmanager", region_name="eu-central-1")
    arn = client.create_secret(Name="kaggle")["ARN"]
    secrets = Secrets()
    values = [secrets.read(arn)]
    for value in ("one", "two"):
        client.put_secret_value(SecretId=arn, SecretString=value)
        values.append(secrets.read(arn))

    assert values == ["", "one", "two"]
    assert secrets.read(arn.replace("kaggle", "other")) == ""


def test_an_execution_is_started_once(machine: StateMachine) -> None:
    """The same ARN each time, also once it has ended; only the first call starts it."""
    client = boto3.client("stepfunctions", region_name="eu-central-1")
    first = machine.start("one", "{}")
    again = machine.start("one", "{}")
    client.stop_execution(executionArn=first[0])
    after_its_end = machine.start("one", "{}")
    other = machine.start("two", "{}")

    assert first == (execution_arn(machine.arn, "one"), True)
    assert again == after_its_end == (first[0], False)
    assert other == (execution_arn(machine.arn, "two"), True)
    assert len(client.list_executions(stateMachineArn=machine.arn)["executions"]) == 2


@pytest.mark.parametrize("ended", [False, True])
def test_an_execution_that_describe_does_not_see_yet_is_not_started_again(machine: StateMachine, ended: bool) -> None:
    """DescribeExecution may lag behind; StartExecution then refuses, or answers with the running one."""
    client = boto3.client("stepfunctions", region_name="eu-central-1")
    arn, _ = machine.start("one", "{}")
    if ended:
        client.stop_execution(executionArn=arn)
    unseen = client_error("ExecutionDoesNotExist", 400)
    machine._client.meta.events.register("before-call.sfn.DescribeExecution", raiser(unseen))
    machine._client.meta.events.register("before-call.stepfunctions.DescribeExecution", raiser(unseen))

    assert machine.start("one", "{}")[0] == arn
    assert len(client.list_executions(stateMachineArn=machine.arn)["executions"]) == 1


def test_a_missing_state_machine_is_an_error() -> None:
    """With its ARN."""
    arn = "arn:aws:states:eu-central-1:123456789012:stateMachine:gone"

    with pytest.raises(ConfigurationError, match=f"Could not start the execution one of {arn}: AWS answered"):
        StateMachine(arn).start("one", "{}")


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(("SlowDown", 503), id="slow down"),
        pytest.param(("Whatever", 500), id="500"),
        pytest.param(("ThrottlingException", 400), id="throttled"),
        pytest.param(("RequestTimeout", 400), id="timeout"),
        pytest.param(("ConditionalRequestConflict", 409), id="conflict"),
        pytest.param(EndpointConnectionError(endpoint_url="https://s3"), id="no connection"),
        pytest.param(ReadTimeoutError(endpoint_url="https://s3"), id="no answer"),
    ],
)
def test_what_may_pass_is_transient(error: Any) -> None:
    """Busy services, throttling and broken connections."""
    raised = client_error(*error) if isinstance(error, tuple) else error

    assert type(translate(raised, "write s3://b/k")) is TransientError


@pytest.mark.parametrize(
    "error", [("AccessDenied", 403), ("NoSuchBucket", 404), ("ValidationException", 400), NoCredentialsError()]
)
def test_what_will_not_pass_is_a_configuration_error(error: Any) -> None:
    """The message says what was tried."""
    raised = client_error(*error) if isinstance(error, tuple) else error
    translated = translate(raised, "write s3://b/k", "Do this.")

    assert type(translated) is ConfigurationError
    assert str(translated).startswith("Could not write s3://b/k: ")
    assert str(translated).endswith("Do this.")


def client_error(code: str, status: int) -> ClientError:
    """What botocore raises for this answer."""
    return ClientError(
        {"Error": {"Code": code, "Message": "message"}, "ResponseMetadata": {"HTTPStatusCode": status}},  # type: ignore[typeddict-item]
        "PutObject",
    )


def raiser(error: Exception) -> Any:
    """An event handler that raises."""

    def handle(**_: object) -> None:
        raise error

    return handle

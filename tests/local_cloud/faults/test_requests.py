"""The action that a request calls, told by the request alone."""

from typing import Any
from urllib.parse import urlsplit

import boto3
import botocore.session
import pytest
from botocore.config import Config

from local_cloud.faults.requests import Request

SERVICES = {
    "s3": "s3", "lambda": "lambda", "sagemaker-runtime": "runtime.sagemaker", "sagemaker": "sagemaker",
    "stepfunctions": "states", "secretsmanager": "secretsmanager", "sqs": "sqs", "sns": "sns", "sts": "sts",
    "cloudwatch": "monitoring", "events": "events", "logs": "logs", "cloudformation": "cloudformation",
}  # fmt: skip
# not for this cloud's host, or in a protocol that boto3 speaks with a further package only
NOT_HERE = {
    "AssumeRoleWithSAML", "AssumeRoleWithWebIdentity", "CreateSession", "GetObjectTorrent",
    "InvokeEndpointWithBidirectionalStream", "ListDirectoryBuckets", "WriteGetObjectResponse",
}  # fmt: skip
PLAIN = {"integer": 1, "long": 1, "boolean": True, "float": 1.0, "double": 1.0, "timestamp": 0, "blob": b"x"}


class SentError(Exception):
    """Ends a call before it leaves this process."""


def as_text(value: str | bytes) -> str:
    """A header's value, which botocore has in two forms."""
    return value if isinstance(value, str) else value.decode()


def sample(shape: Any) -> Any:
    """As little of a shape as must be given."""
    if shape.type_name == "structure":
        return {name: sample(shape.members[name]) for name in shape.required_members}
    if shape.type_name == "list":
        return [sample(shape.member)]
    if shape.type_name == "map":
        return {}
    return "name" if shape.type_name == "string" else PLAIN[shape.type_name]


@pytest.mark.parametrize("service", SERVICES)
def test_the_action_is_the_one_that_boto3_calls(service: str) -> None:
    """For every action of the services that an application calls; the service has AWS's name and boto3's."""
    keys = {"aws_access_key_id": "a", "aws_secret_access_key": "b", "region_name": "us-east-1"}
    config = Config(parameter_validation=False, retries={"total_max_attempts": 1}, s3={"addressing_style": "path"})
    client = boto3.client(service, endpoint_url="http://127.0.0.1:1", config=config, **keys)
    sent: list[Request] = []

    def keep(request: Any, **_: Any) -> None:
        url = urlsplit(request.url)
        headers = {name.lower(): as_text(value) for name, value in request.headers.items()}
        body = request.body if isinstance(request.body, bytes) else (request.body or "").encode()
        sent.append(Request(request.method, url.path, url.query, headers, body))
        raise SentError

    client.meta.events.register("before-send", keep)
    model = botocore.session.get_session().get_service_model(service)
    for operation in sorted(set(model.operation_names) - NOT_HERE):
        if model.operation_model(operation).deprecated:
            continue
        shape = model.operation_model(operation).input_shape
        with pytest.raises(SentError):
            client._make_api_call(operation, sample(shape) if shape else {})

        assert sent[-1].action == operation
        assert sent[-1].services[0] == SERVICES[service]
        assert service in sent[-1].services


def test_a_presigned_address_tells_the_service_too() -> None:
    """Its signature stands in the query."""
    s3 = boto3.client("s3", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b",
                      config=Config(signature_version="s3v4", s3={"addressing_style": "path"}))  # fmt: skip
    url = urlsplit(s3.generate_presigned_url("get_object", Params={"Bucket": "bucket", "Key": "a/b"}))
    request = Request("GET", url.path, url.query, {}, b"")

    assert (request.services, request.action) == (("s3",), "GetObject")


def test_a_request_without_signature_has_no_service() -> None:
    """Nor an action."""
    request = Request("GET", "/_local_cloud/health", "", {}, b"")

    assert (request.services, request.action) == ((), "")

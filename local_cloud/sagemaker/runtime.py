"""InvokeEndpoint: the runtime half of the service."""

import json
import time
import uuid
from collections.abc import Callable, Mapping
from urllib.parse import unquote

from local_cloud.sagemaker.container_client import Answer
from local_cloud.sagemaker.endpoints import Endpoint
from local_cloud.sagemaker.environment import SageMakerEnvironment
from local_cloud.sagemaker.errors import ServiceError
from local_cloud.sagemaker.invocation import MAX_PAYLOAD

Response = tuple[int, dict[str, str], bytes]
_CUSTOM_ATTRIBUTES = "x-amzn-sagemaker-custom-attributes"
_TARGET_VARIANT = "x-amzn-sagemaker-target-variant"
_FORWARDED = ("content-type", "accept", _CUSTOM_ATTRIBUTES, "x-amzn-sagemaker-inference-id")
_UNSUPPORTED = {
    "x-amzn-sagemaker-target-model": "TargetModel",
    "x-amzn-sagemaker-target-container-hostname": "TargetContainerHostname",
    "x-amzn-sagemaker-enable-explanations": "EnableExplanations",
    "x-amzn-sagemaker-inference-component": "InferenceComponentName",
    "x-amzn-sagemaker-session-id": "SessionId",
}


def invoke(
    cloud: SageMakerEnvironment,
    find: Callable[[str], Endpoint | None],
    path: str,
    headers: Mapping[str, str],
    body: bytes,
) -> Response:
    """Answers `POST /endpoints/{name}/invocations`. `headers` has lower-case names. Blocks while the model thinks."""
    try:
        return _invoke(cloud, find, path, headers, body)
    except ServiceError as error:
        content = json.dumps({"Message": error.message, "message": error.message, **error.members}).encode()
        response_headers = {"Content-Type": "application/json", "x-amzn-RequestId": str(uuid.uuid4())}
        if error.code:
            response_headers["x-amzn-ErrorType"] = error.code
        return error.status, response_headers, content


def _invoke(
    cloud: SageMakerEnvironment,
    find: Callable[[str], Endpoint | None],
    path: str,
    headers: Mapping[str, str],
    body: bytes,
) -> Response:
    received = time.perf_counter()
    parts = path.split("/")
    name = unquote(parts[2])
    if parts[3:] != ["invocations"]:
        raise ServiceError(
            "ValidationError", f"The local cloud does not support {'/'.join(parts[3:])}: use InvokeEndpoint."
        )
    for header, member in _UNSUPPORTED.items():
        if header in headers:
            raise ServiceError("ValidationError", f"The local cloud does not support {member} in InvokeEndpoint.")
    if len(body) > MAX_PAYLOAD:
        raise ServiceError("", f"HTTP content length exceeded {MAX_PAYLOAD} bytes.", status=413)
    endpoint = find(name)
    forwarded = {header: headers[header] for header in _FORWARDED if header in headers}
    try:
        done = (
            endpoint.invoke(body, forwarded, headers.get(_TARGET_VARIANT), received) if endpoint is not None else None
        )
    except ServiceError as error:
        raise ServiceError("ValidationError", error.message) from error
    if done is None:
        raise ServiceError("ValidationError", f"Endpoint {name} of account {cloud.account_id} not found.")
    if done.answer is None:
        raise _model_error(cloud, name, 0, done.error)
    if done.answer.status >= 400:
        raise _model_error(cloud, name, done.answer.status, done.answer.body.decode(errors="replace"))
    return done.answer.status, _response_headers(done.answer, done.server.name), done.answer.body


def _response_headers(answer: Answer, variant: str) -> dict[str, str]:
    given = {name.lower(): value for name, value in answer.headers.items()}
    headers = {
        "Content-Type": given.get("content-type", "application/octet-stream"),
        "x-Amzn-Invoked-Production-Variant": variant,
        "x-amzn-RequestId": str(uuid.uuid4()),
    }
    if _CUSTOM_ATTRIBUTES in given:
        headers["X-Amzn-SageMaker-Custom-Attributes"] = given[_CUSTOM_ATTRIBUTES]
    return headers


def _model_error(cloud: SageMakerEnvironment, endpoint_name: str, status: int, message: str) -> ServiceError:
    whose = "client" if 400 <= status < 500 else "server"
    group = f"/aws/sagemaker/Endpoints/{endpoint_name}"
    console = f"https://{cloud.region}.console.aws.amazon.com/cloudwatch/home?region={cloud.region}"
    return ServiceError(
        "ModelError",
        f'Received {whose} error ({status}) from primary with message "{message}". See {console}'
        f"#logEventViewer:group={group} in account {cloud.account_id} for more information.",
        status=424,
        OriginalStatusCode=status,
        OriginalMessage=message,
        LogStreamArn=f"arn:aws:logs:{cloud.region}:{cloud.account_id}:log-group:{group}",
    )

"""AWS's error answers, in the form of the protocol that a request speaks."""

from __future__ import annotations

import json
import uuid
from xml.sax.saxutils import escape

from local_cloud.faults.models import ApiError
from local_cloud.faults.requests import Request

Response = tuple[int, dict[str, str], bytes]
# Amazon S3 API Reference, "Error responses"; the other services' "Common Errors" have InternalFailure, 500
_S3_DEFAULT = ("InternalError", "We encountered an internal error. Please try again.")
_DEFAULT = (
    "InternalFailure",
    "The request processing has failed because of an unknown error, exception or failure.",
)


def error_answer(request: Request, fault: ApiError) -> Response:
    """The answer of a fault to a request: status, headers, body."""
    s3 = request.services[:1] == ("s3",)
    default_code, default_message = _S3_DEFAULT if s3 else _DEFAULT
    code, message = fault.code or default_code, fault.message or default_message
    status = fault.status or (500 if fault.code is None else 400)
    request_id = str(uuid.uuid4())
    headers = {"x-amzn-requestid": request_id, "x-amzn-errortype": code}
    target = request.headers.get("x-amz-target")
    if s3:
        body = _s3(code, message, request_id) if request.method != "HEAD" else b""
        return status, {"content-type": "application/xml", "x-amz-request-id": request_id}, body
    if "smithy-protocol" in request.headers:
        headers |= {"content-type": "application/cbor", "smithy-protocol": request.headers["smithy-protocol"]}
        return status, headers, _cbor({"__type": code, "message": message})
    if target is None and _is_query(request):
        return status, {"content-type": "text/xml", "x-amzn-requestid": request_id}, _query(code, message, request_id)
    kind = request.headers.get("content-type", "application/x-amz-json-1.1") if target else "application/json"
    content = {"__type": code, "message": message, "Message": message}
    return status, {**headers, "content-type": kind}, json.dumps(content).encode()


def _is_query(request: Request) -> bool:
    return request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")


def _s3(code: str, message: str, request_id: str) -> bytes:
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{escape(code)}</Code>'
        f"<Message>{escape(message)}</Message><RequestId>{request_id}</RequestId></Error>"
    ).encode()


def _query(code: str, message: str, request_id: str) -> bytes:
    return (
        f"<ErrorResponse><Error><Type>Sender</Type><Code>{escape(code)}</Code><Message>{escape(message)}</Message></Error>"
        f"<RequestId>{request_id}</RequestId></ErrorResponse>"
    ).encode()


def _cbor(content: dict[str, str]) -> bytes:
    """A map of texts in CBOR (RFC 8949): major types 5 and 3."""

    def text(value: str) -> bytes:
        encoded = value.encode()
        return b"\x7a" + len(encoded).to_bytes(4, "big") + encoded

    return bytes([0xA0 + len(content)]) + b"".join(text(name) + text(value) for name, value in content.items())

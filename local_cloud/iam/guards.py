"""Checks before a service's handler runs that concern more than the one resource a request names.

The emulator authorises a request's own action on one resource. A second resource, tags and a role in the request are
checked here, for the same caller.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import unquote

from ministack.core.iam_actions import access_denied_response
from ministack.core.iam_evaluator import request_caller_arn
from ministack.core.responses import get_account_id, get_region

from local_cloud.iam.record import Denied
from local_cloud.iam.roles import AccessDeniedError, check_allowed, check_pass_role, would_be_allowed
from local_cloud.iam.sagemaker import permissions

Response = tuple[int, dict[str, str], bytes]
Handler = Callable[[str, str, dict[str, str], bytes, dict[str, Any]], Awaitable[Response]]


def guard_sagemaker(handler: Handler) -> Handler:
    """Check the permissions a request needs beside that of its own action, ``iam:PassRole`` among them."""

    async def guarded(method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]) -> Response:
        caller = request_caller_arn(headers, query)
        try:
            for needed in permissions(get_region(), get_account_id(), path, headers, body)[1:]:
                check_allowed(caller, needed.action, needed.resource, needed.conditions)
        except AccessDeniedError as denied:
            return _denial(str(denied), "application/x-amz-json-1.1")
        return await handler(method, path, headers, body, query)

    return guarded


def guard_s3(handler: Handler) -> Handler:
    """Tell only who may list a bucket that an object is missing.

    "If you don't have the s3:ListBucket permission, Amazon S3 returns an HTTP status code 403 (access denied) error"
    (https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html, also HeadObject). Who may list the key's prefix
    only learns it, too: users have tried it (https://github.com/kopia/kopia/pull/3072).
    """

    async def guarded(method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]) -> Response:
        answer = await handler(method, path, headers, body, query)
        bucket, _, key = path.lstrip("/").partition("/")
        if answer[0] != 404 or method not in ("GET", "HEAD") or not key or b"NoSuchBucket" in answer[2]:
            return answer
        caller, arn = request_caller_arn(headers, query), f"arn:aws:s3:::{bucket}"
        if would_be_allowed(caller, "s3:ListBucket", arn, {"s3:prefix": unquote(key)}):
            return answer
        denied = Denied(caller, "s3:ListBucket", f'"{arn}"')
        request_id = str(uuid.uuid4())
        refusal: Response = access_denied_response("s3", denied.action, caller, request_id, message=denied.message)
        return (refusal[0], refusal[1], b"") if method == "HEAD" else refusal

    return guarded


def guard_passed_roles(handler: Handler, service: str) -> Handler:
    """Check ``iam:PassRole`` for the roles that a request hands to a service, then call the handler.

    ``service`` is its principal. Roles stand in the requests of Lambda (Role), Step Functions (roleArn) and EventBridge
    (RoleArn of each target).
    """

    async def guarded(method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]) -> Response:
        if method in ("POST", "PUT") and not path.endswith("/invocations"):  # whose body is the function's own
            try:
                for role in _roles_in(body):
                    check_pass_role(request_caller_arn(headers, query), role, service=service)
            except AccessDeniedError as denied:
                content_type = headers.get("content-type", "application/json")
                return _denial(str(denied), content_type, status=403 if service.startswith("lambda") else 400)
        return await handler(method, path, headers, body, query)

    return guarded


def _roles_in(body: bytes) -> list[str]:
    """Return the roles in a request; the service refuses a malformed one itself."""
    try:
        request = json.loads(body or b"{}")
    except ValueError:
        return []
    if not isinstance(request, dict):
        return []
    targets = request.get("Targets")
    places = [request, *(one for one in (targets if isinstance(targets, list) else []) if isinstance(one, dict))]
    found = [place.get(name) for place in places for name in ("Role", "roleArn", "RoleArn")]
    return [role for role in found if isinstance(role, str) and ":role/" in role]


def _denial(message: str, content_type: str, *, status: int = 400) -> Response:
    """Refuse: with 400, the JSON protocol's status of every client error, or what a REST service answers."""
    headers = {
        "Content-Type": content_type,
        "x-amzn-errortype": "AccessDeniedException",
        "x-amzn-requestid": str(uuid.uuid4()),
    }
    return status, headers, json.dumps({"__type": "AccessDeniedException", "message": message}).encode()

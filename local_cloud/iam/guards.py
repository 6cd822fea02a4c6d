"""Checks before a service's handler runs that concern more than the one resource a request names.

The emulator authorises a request's own action on one resource. A second resource, tags and a role in the request are
checked here, for the same caller.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from ministack.core.iam_evaluator import request_caller_arn
from ministack.core.responses import get_account_id, get_region

from local_cloud.iam.roles import AccessDeniedError, check_allowed, check_pass_role
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


def guard_states(handler: Handler) -> Handler:
    """Check the role that a state machine's creator passes to Step Functions, then call the handler."""

    async def guarded(method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]) -> Response:
        operation = headers.get("x-amz-target", "").rpartition(".")[2]
        if operation in ("CreateStateMachine", "UpdateStateMachine"):
            try:
                role = json.loads(body or b"{}").get("roleArn")
                if isinstance(role, str) and role:
                    check_pass_role(request_caller_arn(headers, query), role, service="states.amazonaws.com")
            except (ValueError, AttributeError):
                pass  # the service refuses a malformed request itself
            except AccessDeniedError as denied:
                return _denial(str(denied), "application/x-amz-json-1.0")
        return await handler(method, path, headers, body, query)

    return guarded


def _denial(message: str, content_type: str) -> Response:
    """SageMaker and Step Functions answer a denial with 400, the JSON protocol's status of every client error."""
    headers = {
        "Content-Type": content_type,
        "x-amzn-errortype": "AccessDeniedException",
        "x-amzn-requestid": str(uuid.uuid4()),
    }
    return 400, headers, json.dumps({"__type": "AccessDeniedException", "message": message}).encode()

"""Lets the emulator's Invoke refuse, throttle and name requests as AWS does."""

from __future__ import annotations

import functools
import uuid
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from local_cloud import request_id
from local_cloud.lambda_runtime.limits import FunctionRefusedError, check_payload
from local_cloud.lambda_runtime.states import check_invocable


def install(lambda_svc: ModuleType) -> None:
    """Lay the checks around the emulator's Invoke; what they stand on is in `seam.SYMBOLS`."""
    _word_throttles(lambda_svc)
    _check_invocations(lambda_svc)


def _word_throttles(lambda_svc: ModuleType) -> None:
    """Let a throttled invocation say what AWS says (Invoke API reference, TooManyRequestsException)."""
    original = lambda_svc._throttle_response

    @functools.wraps(original)
    def throttled(reason_code: str, msg: str, retry_after: int = 1) -> dict[str, Any]:  # noqa: ARG001  AWS's instead
        result: dict[str, Any] = original(reason_code, "Rate Exceeded.", retry_after)
        result["body"]["Type"] = "User"
        return result

    lambda_svc._throttle_response = throttled  # type: ignore[attr-defined]


def _check_invocations(lambda_svc: ModuleType) -> None:
    """Refuse events and functions that cannot be invoked, and give every invocation one request ID."""
    handle, invoke = lambda_svc.handle_request, lambda_svc._invoke

    @functools.wraps(handle)
    async def handle_request(method: str, path: str, headers: Mapping[str, str], body: bytes, query: Any) -> Any:
        if method != "POST" or not path.endswith("/invocations"):
            return await handle(method, path, headers, body, query)
        given = {name.lower(): value for name, value in headers.items()}
        one = str(uuid.uuid4())
        try:
            check_payload(body, given.get("x-amz-invocation-type", "RequestResponse"))
        except FunctionRefusedError as refused:
            return lambda_svc.error_response_json(refused.code, refused.message, refused.status)
        with request_id.using(one):
            status, answered, content = await handle(method, path, headers, body, query)
        return status, _Headers(answered, one), content

    @functools.wraps(invoke)
    async def checked_invoke(name: str, *rest: Any, **keywords: Any) -> Any:
        try:
            check_invocable((lambda_svc._functions.get(name) or {}).get("config") or {})
        except FunctionRefusedError as refused:
            return lambda_svc.error_response_json(refused.code, refused.message, refused.status)
        return await invoke(name, *rest, **keywords)

    lambda_svc.handle_request = handle_request  # type: ignore[attr-defined]
    lambda_svc._invoke = checked_invoke  # type: ignore[attr-defined]


class _Headers(dict[str, str]):
    """Headers of an answer that keep their request ID: the emulator would put one of its own there."""

    def __init__(self, headers: Mapping[str, str], one: str) -> None:
        super().__init__({**headers, "x-amzn-requestid": one})

    def update(self, *others: Any, **more: Any) -> None:
        """As of a dictionary, but for the request ID."""
        one = self["x-amzn-requestid"]
        super().update(*others, **more)
        self["x-amzn-requestid"] = one

"""Faults of calls of AWS's API: a layer around the API's ASGI application."""

from __future__ import annotations

import asyncio
import logging
from fnmatch import fnmatchcase

from local_cloud.faults.base import CallFault
from local_cloud.faults.errors import error_answer
from local_cloud.faults.models import ApiDelay, ApiError
from local_cloud.faults.plan import FaultPlan
from local_cloud.faults.requests import Request
from local_cloud.front_door import AsgiApp, Message, Receive, Scope, Send

_logger = logging.getLogger(__name__)


class FaultyApi:
    """AWS's API, which fails where the plan says so. Requests are not even looked at while nothing is planned."""

    def __init__(self, aws: AsgiApp, plan: FaultPlan) -> None:
        self._aws, self._plan = aws, plan

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        if not self._plan or not self._plan.matching(CallFault, lambda _fault: True):
            await self._aws(scope, receive, send)
            return
        request, receive = await _read(scope, receive)
        await asyncio.to_thread(lambda: request.action)  # the first REST request loads a model, for a tenth of a second
        delay = self._plan.take_where(ApiDelay, lambda fault: _fits(fault, request))
        if delay is not None:
            _logger.info("fault: %s of %s waits for %s s", request.action, request.services, delay.seconds)
            await asyncio.sleep(delay.seconds)
        error = self._plan.take_where(ApiError, lambda fault: _fits(fault, request))
        if error is None:
            await self._aws(scope, receive, send)
        elif error.after:
            _logger.info("fault: the answer to %s of %s is lost", request.action, request.services)
            await self._aws(scope, receive, _nowhere)
            await _break_off(request, send)
        else:
            _logger.info("fault: %s of %s fails", request.action, request.services)
            await _answer(request, error, send)


def _fits(fault: CallFault, request: Request) -> bool:
    return (
        any(fnmatchcase(name, fault.service) for name in request.services or ("",))
        and fnmatchcase(request.action, fault.action)
        and fault.match in request.text
    )


async def _read(scope: Scope, receive: Receive) -> tuple[Request, Receive]:
    """Read a request to its end; returns it with a way to receive it once more."""
    body = b""
    message: Message = {"more_body": True}
    while message.get("more_body"):
        message = await receive()
        body += message.get("body", b"")
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_again() -> Message:
        return waiting.pop() if waiting else await receive()

    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope.get("headers", [])}
    query = scope.get("query_string", b"").decode("latin-1")
    return Request(scope["method"], scope["path"], query, headers, body), receive_again


async def _nowhere(_message: Message) -> None:
    """Where a lost answer goes."""


async def _break_off(request: Request, send: Send) -> None:
    """Begin an answer and end without its body: the server can only close the connection then.

    The answer to HEAD has no body, so that it cannot be cut off: it becomes a 500, which says as little.
    """
    if request.method == "HEAD":
        # Said to be the connection's last, or a client would sometimes send its next request into the one that closes.
        await send({"type": "http.response.start", "status": 500, "headers": [(b"connection", b"close")]})
        await send({"type": "http.response.body", "body": b""})
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1")]})


async def _answer(request: Request, error: ApiError, send: Send) -> None:
    status, headers, body = error_answer(request, error)
    encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
    if request.method != "HEAD":
        encoded.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": encoded})
    await send({"type": "http.response.body", "body": body})

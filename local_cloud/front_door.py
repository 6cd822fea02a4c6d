"""The one HTTP port of the local cloud: AWS's API, and the cloud's own paths below ``/_local_cloud/``."""

from __future__ import annotations

import json
import uuid
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

PREFIX = "/_local_cloud/"
_MOST_BODY_BYTES = 64 * 1024

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]


class BadRequestError(ValueError):
    """A request to one of the cloud's own paths that cannot be answered; the text says why."""


@dataclass(frozen=True)
class Route:
    """One of the cloud's own paths: ``answer`` takes the JSON body, an object, and returns the JSON answer.

    With ``lists`` the body may be a list, too. A name that ends with ``/*`` stands for all paths of that beginning;
    ``answer`` takes the rest of the path as ``*``.
    """

    method: str
    name: str
    answer: Callable[[Any], Awaitable[Mapping[str, Any]]]
    lists: bool = False


class FrontDoor:
    """ASGI application: the cloud's own routes first, everything else goes to AWS's API."""

    def __init__(self, aws: AsgiApp, routes: list[Route]) -> None:
        self._aws = aws
        self._routes = {(route.method, PREFIX + route.name): route for route in routes}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
        elif _from_web_page(scope):
            await _send_json(send, 403, {"error": "the local cloud does not answer web pages"})
        elif scope["type"] == "http" and scope["path"].startswith(PREFIX):
            await self._answer(scope, receive, send)
        else:
            await self._aws(scope, receive, _with_request_id(send))

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        begin, _, rest = scope["path"].rpartition("/")
        of_all = self._routes.get((scope["method"], f"{begin}/*"))
        route = of_all or self._routes.get((scope["method"], scope["path"]))
        if route is None:
            known = ", ".join(f"{method} {path}" for method, path in self._routes)
            await _send_json(send, 404, {"error": f"no such path; there are {known}"})
            return
        try:
            request = await _read_json(receive, route.lists)
            await _send_json(send, 200, await route.answer({"*": rest} if of_all is not None else request))
        except BadRequestError as problem:
            await _send_json(send, 400, {"error": str(problem)})


def _from_web_page(scope: Scope) -> bool:
    """Whether a browser sent the request for a page: any page of the web could otherwise act as administrator here."""
    return any(name == b"origin" for name, _value in scope.get("headers", []))


async def _lifespan(receive: Receive, send: Send) -> None:
    """Start and stop belong to the server module; the HTTP server only wants an answer."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def _read_json(receive: Receive, lists: bool) -> Any:
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > _MOST_BODY_BYTES:
            raise BadRequestError(f"the body is longer than {_MOST_BODY_BYTES} bytes")
        if not message.get("more_body"):
            break
    try:
        parsed = json.loads(body or b"{}")
    except ValueError as error:
        raise BadRequestError(f"the body is no JSON: {error}") from None
    if not isinstance(parsed, dict) and not (lists and isinstance(parsed, list)):
        raise BadRequestError("the body is no JSON object" + (" and no list" if lists else ""))
    return parsed


async def _send_json(send: Send, status: int, answer: Mapping[str, Any]) -> None:
    body = json.dumps(answer).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _with_request_id(send: Send) -> Send:
    """Give every answer a request id, as AWS's have one: an SDK without it cannot read some errors."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = list(message.get("headers", []))
            if not any(name.lower() == b"x-amzn-requestid" for name, _value in headers):
                message = {**message, "headers": [*headers, (b"x-amzn-requestid", str(uuid.uuid4()).encode())]}
        await send(message)

    return sending

"""The answers as an ASGI application."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from sagemaker_jobs.serve.answers import LARGEST_BODY, Answer, answer, too_large
from treering.steps.artefact import Artefact

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_MOST_READ = 4 * LARGEST_BODY  # bytes taken from a connection for one request
_BRIEF = 16 * 1024  # bytes of a body that is answered in the event loop; a larger one must not hold up /ping


class App:
    """Answers HTTP requests with one model."""

    def __init__(self, model: Artefact) -> None:
        self._model = model
        _ = model.compiled  # made now, so that the first caller need not wait and all processes share it

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request (ASGI, HTTP)."""
        if scope["type"] != "http":
            raise ValueError(f"only HTTP is served, got {scope['type']}")  # ASGI: so the server does without
        body = await _read(receive)
        if body is None:
            return
        if len(body) > LARGEST_BODY:  # what came beyond it was thrown away
            given = too_large()
        else:
            headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
            request = (self._model, scope["method"], scope["path"], headers, body)
            given = answer(*request) if len(body) <= _BRIEF else await asyncio.to_thread(answer, *request)
        await _write(send, given)


async def _read(receive: Receive) -> bytes | None:
    """The body, or a little more than LARGEST_BODY of it; none where the caller has gone.

    A little too much is still taken from the connection: who is still sending when it closes never sees the answer.
    """
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        part = message.get("body", b"")
        if size <= LARGEST_BODY:
            parts.append(part)
        size += len(part)
        if size > _MOST_READ or not message.get("more_body", False):
            return b"".join(parts)


async def _write(send: Send, given: Answer) -> None:
    headers = [(b"content-length", str(len(given.body)).encode())]
    headers += [(name.encode(), value.encode()) for name, value in given.headers.items()]
    if given.status == 413:
        headers.append((b"connection", b"close"))  # the rest of the body is not read
    await send({"type": "http.response.start", "status": given.status, "headers": headers})
    await send({"type": "http.response.body", "body": given.body})

"""The project's own answers behind another server: an ASGI application, for uvicorn and granian."""

import functools
import os
from pathlib import Path
from typing import Any

from sagemaker_jobs.serve.answers import answer
from treering.steps.artefact import Artefact

answers = functools.partial(answer, Artefact.load(Path(os.environ["MODEL"]) / "model"))


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """One request."""
    if scope["type"] != "http":
        return
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    headers = {name.decode(): value.decode("latin-1") for name, value in scope["headers"]}
    given = answers(scope["method"], scope["path"], headers, body)
    sent = [(name.encode(), value.encode()) for name, value in given.headers.items()]
    sent.append((b"content-length", b"%d" % len(given.body)))
    await send({"type": "http.response.start", "status": given.status, "headers": sent})
    await send({"type": "http.response.body", "body": given.body})

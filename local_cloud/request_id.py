"""The request ID of an invocation, where the emulator underneath would make up a new one at every attempt.

On AWS the ID that Invoke answers with is the ID in the function's context and log, and an asynchronous event keeps its
ID however often it is delivered (https://docs.aws.amazon.com/lambda/latest/dg/python-context.html,
``aws_request_id``).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

_given: ContextVar[str | None] = ContextVar("request_id", default=None)


@contextlib.contextmanager
def using(request_id: str) -> Iterator[None]:
    """Invocations within this context have that ID."""
    token = _given.set(request_id)
    try:
        yield
    finally:
        _given.reset(token)


def given() -> str | None:
    """The ID that the invocation of this context has, if somebody gave one."""
    return _given.get()

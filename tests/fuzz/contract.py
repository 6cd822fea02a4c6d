"""What every reply of the endpoint has to be, whatever was asked."""

import json
import math

from tests.fuzz.bodies import CSV, JSON
from tests.fuzz.connection import Reply

LONGEST_REASON = 4096  # bytes: a refusal is a sentence, not the request sent back
_STACK_TRACE = (b"Traceback", b'File "', b".py", b"/opt/", b"/usr/", b"site-packages", b"0x7f")


def check(reply: Reply, *, head: bool = False, sent: bytes = b"") -> None:
    """A reply to a request that can be read: predictions, or a refusal that says why as JSON.

    A refusal may quote what was `sent`.
    """
    check_unreadable(reply, sent)
    kind = reply.headers.get("content-type", "")
    if reply.status == 200 and kind == CSV:
        assert all(math.isfinite(float(line)) for line in reply.body.decode().splitlines()), reply
    elif reply.status == 200:
        if reply.body:  # a health check has none
            assert kind == JSON, reply
            predictions = json.loads(reply.body)["predictions"]
            assert predictions, reply
            assert all(type(value) is float and math.isfinite(value) for value in predictions), reply
    else:
        assert kind == JSON, reply
        if not head:
            reason = json.loads(reply.body)
            assert list(reason) == ["error"], reply
            assert reason["error"], reply


def check_unreadable(reply: Reply, sent: bytes) -> None:
    """A reply to bytes that may not be HTTP: refused as the caller's fault, with nothing of the inside in it."""
    assert reply.status == 200 or 400 <= reply.status < 500, reply
    if reply.status != 200:
        assert len(reply.body) <= LONGEST_REASON, reply
        assert not any(sign in reply.body and sign not in sent for sign in _STACK_TRACE), reply

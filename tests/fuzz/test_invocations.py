"""Ten thousand bad requests to the endpoint's real program, over HTTP alone: all that is known of it is its port."""

import collections
import contextlib
import dataclasses
import json
import time

import numpy as np
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.fuzz.bodies import JSON, bodies, heavy
from tests.fuzz.connection import Connection, Reply
from tests.fuzz.contract import check, check_unreadable
from tests.fuzz.endpoint import Endpoint, running
from tests.fuzz.model import Grown
from tests.fuzz.wire import Request, broken_requests, post, whole_requests

REQUESTS = 10_000
WARM = 2_000  # requests before memory is first looked at: each kind was sent by then, the heaviest too
# MB that memory may then grow by: what the allocator keeps differs by less from one look to another. A leak of
# 1 kB a request would show.
TOLERANCE = 8
LARGEST_BODY = 6_291_456  # bytes (InvokeEndpoint, API reference)
BATCH = 5  # requests in one example: most of its time would go into making it, not into its requests
EVERY = 100  # requests between two good ones
STALLED = 200  # connections that stay open in the middle of a request


class Fuzz:
    """Sends requests, checks each reply, and keeps count."""

    def __init__(self, endpoint: Endpoint, grown: Grown) -> None:
        self._endpoint = endpoint
        self._connection: Connection | None = None
        names = grown.artefact.preprocessing.raw_columns
        self._rows = [{name: grown.columns[name][row] for name in names} for row in range(20)]
        self._expected = grown.artefact.predict({name: grown.columns[name][:20] for name in names})
        self.replies: collections.Counter[str] = collections.Counter()
        self.sent = 0
        self.warm_megabytes = 0.0

    def whole(self, request: Request) -> None:
        """A request that can be read: it must be answered, on a connection that stays if it says so."""
        connection = self._connection or Connection(self._endpoint.port)
        self._connection = None
        head = request.method == "HEAD"
        replies = connection.ask(request.encode(), head=head)
        assert replies, "the server closed the connection without an answer"
        check(replies[0], head=head, sent=request.encode())
        if replies[0].closes:
            connection.close()
        else:
            self._connection = connection
        self._count(replies)

    def heavy(self) -> None:
        """The largest bodies, and larger ones than allowed, announced and not."""
        for kind, body in heavy():
            self.whole(post(kind, body))
        too_large = post(JSON, b"[" * (LARGEST_BODY + 1))
        self.whole(too_large)
        self.whole(dataclasses.replace(too_large, chunks=(60_000,)))

    def broken(self, sent: bytes) -> None:
        """Bytes that may not be a request: they are refused, or the connection is closed."""
        with Connection(self._endpoint.port) as connection:
            replies = connection.ask_and_hang_up(sent)
        for reply in replies:
            check_unreadable(reply, sent)
        self._count(replies)

    def good(self) -> None:
        """Good rows, on the connection that the bad ones were sent on: the predictions are right."""
        connection = self._connection or Connection(self._endpoint.port)
        self._connection = connection
        (reply,) = connection.ask(post(JSON, json.dumps(self._rows).encode()).encode())
        assert reply.status == 200, reply
        np.testing.assert_allclose(json.loads(reply.body)["predictions"], self._expected, rtol=1e-9)

    def _count(self, replies: list[Reply]) -> None:
        self.sent += 1
        self.replies.update(str(reply.status) for reply in replies)
        if not replies:
            self.replies["closed"] += 1
        if self.sent % EVERY == 0:
            self.good()
        if self.sent == WARM:
            self.warm_megabytes = self._endpoint.megabytes()

    def summary(self, megabytes: float, seconds: float) -> str:
        """One line of what was sent and what came back."""
        by_status = ", ".join(f"{count:,} of {status}" for status, count in sorted(self.replies.items()))
        return (
            f"{self.sent:,} requests in {seconds:.0f} s: {by_status}; "
            f"memory {self.warm_megabytes:.1f} MB after {WARM:,}, {megabytes:.1f} MB at the end"
        )


def test_ten_thousand_bad_requests(tmp_path, capsys):
    """Each is answered by 200 or 4xx with a reason, or is no HTTP and the connection closed; never by 5xx or a stack
    trace. The server goes on, answers good rows rightly in between, and its memory stays flat."""
    grown = Grown.in_folder(tmp_path / "ml" / "model")
    names = grown.artefact.preprocessing.raw_columns
    made = bodies({name: grown.columns[name] for name in names})
    started = time.monotonic()

    with running(tmp_path / "ml", tmp_path / "log.txt") as endpoint:
        fuzz = Fuzz(endpoint, grown)
        fuzz.good()
        fuzz.heavy()

        @seed(20240101)
        @settings(
            max_examples=(REQUESTS - fuzz.sent) // BATCH + 1,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(st.tuples(*[st.one_of(*[whole_requests(made)] * 3, broken_requests(made))] * BATCH))
        def send(batch: tuple[Request | tuple[str, bytes], ...]) -> None:
            for request in batch:
                if isinstance(request, Request):
                    fuzz.whole(request)
                else:
                    fuzz.broken(request[1])

        send()
        megabytes = endpoint.megabytes()
        fuzz.heavy()
        fuzz.good()
        with capsys.disabled():
            print("\n" + fuzz.summary(megabytes, time.monotonic() - started))  # noqa: T201  # what the test is run for

        assert fuzz.sent >= REQUESTS
        assert {"200", "400", "404", "405", "406", "413", "415"} <= set(fuzz.replies)
        assert megabytes <= fuzz.warm_megabytes + TOLERANCE
        assert endpoint.process.poll() is None
        assert "Traceback" not in endpoint.log()


def test_stalled_callers_hold_nobody_up(tmp_path):
    """While many connections wait in the middle of a request, good rows are answered."""
    grown = Grown.in_folder(tmp_path / "ml" / "model")

    with running(tmp_path / "ml", tmp_path / "log.txt") as endpoint, contextlib.ExitStack() as stalled:
        fuzz = Fuzz(endpoint, grown)
        whole = post(JSON, b"[" * 5000).encode()
        for number in range(STALLED):
            connection = stalled.enter_context(Connection(endpoint.port))
            connection.send(whole[: 1 + number * (len(whole) - 2) // STALLED])

        for _ in range(20):
            fuzz.good()

"""Serve's own server: connections, processes, and their end."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from sagemaker_jobs.serve import workers
from tests.fuzz.connection import HOST, Connection
from tests.fuzz.endpoint import PROGRAM, ROOT, family, running
from treering.steps.csv_columns import format_columns

PING = b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n"
several = pytest.mark.skipif(workers.processors() == 1, reason="one processor, so one process")


@pytest.fixture(scope="module")
def endpoint(run, tmp_path_factory):
    """The server, for tests that leave it running."""
    with running(run.train_job.root, tmp_path_factory.mktemp("serve") / "log") as endpoint:
        yield endpoint


@pytest.fixture
def own_endpoint(run, tmp_path):
    """The server, for a test that ends it."""
    with running(run.train_job.root, tmp_path / "log") as endpoint:
        yield endpoint


@pytest.fixture(scope="module")
def body(run):
    """The function that makes a CSV body of that many rows of the test split."""

    def make(count):
        return format_columns({name: (values * 10)[:count] for name, values in run.splits["test"].items()}).encode()

    return make


def post(body, *headers, target="/invocations", version="1.1"):
    """A whole request."""
    lines = [f"POST {target} HTTP/{version}", "Host: x", "Content-Type: text/csv", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, *headers, "", ""]).encode() + body


def predictions(reply):
    """Predictions of a reply."""
    assert reply.status == 200, reply
    return json.loads(reply.body)["predictions"]


def raw(port, data):
    """All that comes back on a connection of its own."""
    with socket.create_connection((HOST, port), 20) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        received = b""
        while part := connection.recv(65536):
            received += part
        return received


def test_requests_sent_ahead_are_answered_in_their_order(endpoint, body):
    """Also where a small one stands behind a large one, which is answered by another thread."""
    counts = [1, 2, 300, 3, 1, 200, 4]
    with Connection(endpoint.port) as connection:
        connection.send(b"".join(post(body(count)) for count in counts))
        replies = [connection.ask(b"")[0] for _ in counts]

    assert [len(predictions(reply)) for reply in replies] == counts


def test_chunks_are_one_body(endpoint, body):
    """A body may come in chunks of any size."""
    whole = body(2)
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(whole[at : at + 7]), whole[at : at + 7]) for at in range(0, len(whole), 7))
    head = b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\nTransfer-Encoding: chunked\r\n\r\n"
    with Connection(endpoint.port) as connection:
        (reply,) = connection.ask(head + chunks + b"0\r\n\r\n")
        (same,) = connection.ask(post(whole))

    assert predictions(reply) == predictions(same)


def test_caller_who_waits_is_told_to_go_on(endpoint, body):
    """Expect: 100-continue is answered before the body is sent."""
    head, _, content = post(body(1), "Expect: 100-continue").partition(b"\r\n\r\n")
    with socket.create_connection((HOST, endpoint.port), 20) as connection:
        connection.sendall(head + b"\r\n\r\n")
        assert connection.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(content)

        assert connection.recv(1000).startswith(b"HTTP/1.1 200 OK\r\n")


def test_head_has_no_body(endpoint):
    """Neither where it is answered nor where it is refused; the connection goes on."""
    with Connection(endpoint.port) as connection:
        (healthy,) = connection.ask(b"HEAD /ping HTTP/1.1\r\nHost: x\r\n\r\n", head=True)
        (refused,) = connection.ask(b"HEAD /invocations HTTP/1.1\r\nHost: x\r\n\r\n", head=True)
        (after,) = connection.ask(PING)

    assert [healthy.status, refused.status, after.status] == [200, 405, 200]


def test_target_may_be_a_whole_url(endpoint, body):
    """As a proxy sends it."""
    with Connection(endpoint.port) as connection:
        (reply,) = connection.ask(post(body(1), target="http://127.0.0.1/invocations?a=b"))

    assert len(predictions(reply)) == 1


def test_old_version_ends_the_connection(endpoint, body):
    """HTTP/1.0 has no connection that stays open, unless it is asked for."""
    received = raw(endpoint.port, post(body(1), version="1.0"))

    assert received.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\nconnection: close\r\n" in received


@pytest.mark.parametrize(
    "data",
    [
        b"GET /ping HTTP/1.1\r\n" + b"X: y\r\n" * 200_000,
        b"GET /ping HTTP/1.1\r\nX: " + b"x" * 1_000_000,
        b"GET /" + b"x" * 1_000_000,
        b"\r\n" * 500_000,
        b"POST /invocations HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1;" + b"x" * 1_000_000,
        b"POST /invocations HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + b"X: y\r\n" * 200_000,
    ],
    ids=["headers", "header", "target", "empty lines", "chunk extension", "trailers"],
)
def test_endless_heads_are_cut_off(endpoint, data):
    """What is beside a body is bounded, so no caller can fill the memory with it."""
    with Connection(endpoint.port) as connection:
        connection.send(data)
        (reply,) = connection.ask(b"")

    assert reply.status == 431
    assert reply.closes
    assert "headers" in json.loads(reply.body)["error"]


def test_what_has_begun_is_answered_after_sigterm(own_endpoint, body):
    """A request half sent when the server is asked to end gets its answer; then the program ends, with 0."""
    request = post(body(2))
    with Connection(own_endpoint.port) as connection, Connection(own_endpoint.port) as idle:
        assert connection.ask(PING)[0].status == 200
        assert idle.ask(PING)[0].status == 200
        connection.send(request[:200])
        connection.wait_until_read()
        own_endpoint.process.send_signal(signal.SIGTERM)
        assert idle.ask(b"") == []  # closed
        _wait_until_nobody_listens(own_endpoint.port)
        (reply,) = connection.ask(request[200:])

        assert len(predictions(reply)) == 2
        assert reply.closes
    assert own_endpoint.process.wait(20) == 0


@several
def test_every_process_answers_with_the_same_model(endpoint, body):
    """Many connections at once get the same predictions, whichever process they reach."""
    request = post(body(3))
    connections = [Connection(endpoint.port) for _ in range(32)]
    for connection in connections:
        connection.send(request)
    answers = {tuple(predictions(connection.ask(b"")[0])) for connection in connections}
    for connection in connections:
        connection.close()

    assert len(answers) == 1
    assert len(family(endpoint.process.pid)) == 1 + workers.processors()


def _wait_until_nobody_listens(port):
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            socket.create_connection((HOST, port), 5).close()
        except ConnectionRefusedError:
            return
        time.sleep(0.02)
    raise AssertionError("the port is still open: callers would wait for an answer that never comes")


@several
def test_end_of_one_process_ends_the_server(own_endpoint):
    """With 1, so that the container is started anew; the log says why."""
    os.kill(family(own_endpoint.process.pid)[1], signal.SIGKILL)

    assert own_endpoint.process.wait(20) == 1
    assert "A worker ended with status -9" in own_endpoint.log()


@several
def test_no_process_outlives_the_first(own_endpoint):
    """When it is killed, the others end with it, and the port is free."""
    children = family(own_endpoint.process.pid)[1:]
    own_endpoint.process.kill()
    own_endpoint.process.wait(20)
    deadline = time.monotonic() + 10
    while any(_runs(child) for child in children) and time.monotonic() < deadline:
        time.sleep(0.05)

    assert not any(_runs(child) for child in children)


@several
def test_inherited_process_that_ends_is_none_of_the_workers(tmp_path):
    """The first process of a container inherits those whose parents ended, such as what somebody started in it."""
    code = """
import ctypes, os, signal, sys
from sagemaker_jobs.serve import workers
ctypes.CDLL(None).prctl(36, 1)  # PR_SET_CHILD_SUBREAPER
if not os.fork():
    if not os.fork():
        sys.stdin.read()
    os._exit(0)  # the first at once, the second when it is told, as a child of ours
def work():
    signal.sigwait({signal.SIGUSR1})
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
workers.run(work, 2, started=lambda: print("started", flush=True))
"""
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdin=pipe, stdout=pipe) as process:
        assert process.stdout.readline() == b"started\n"
        first = set(family(process.pid)[1:])
        process.stdin.close()
        deadline = time.monotonic() + 20
        while len(family(process.pid)) > 3 and time.monotonic() < deadline:
            time.sleep(0.05)
        left = family(process.pid)[1:]
        os.kill(left[0], signal.SIGUSR1)  # and the other ends with it
        process.wait(20)

    assert len(left) == 2
    assert set(left) < first


def _runs(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_taken_port_is_said(run):
    """A port that somebody else has is the reason in the log, not a stack trace."""
    with socket.create_server(("0.0.0.0", 0)) as other:  # noqa: S104  # as the server itself does
        ended = subprocess.run(
            [sys.executable, "-c", PROGRAM, str(run.train_job.root)],
            cwd=ROOT,
            env={**os.environ, "SAGEMAKER_BIND_TO_PORT": str(other.getsockname()[1])},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    assert ended.returncode == 1
    assert ended.stdout.startswith("Cannot serve: OSError")
    assert "Traceback" not in ended.stdout + ended.stderr

"""Serve's connections, in a loop of the test's own: callers who are slow, who never listen, and answers that fail."""

import asyncio
import json

import pytest

from sagemaker_jobs.serve import connection
from sagemaker_jobs.serve.answers import LARGEST_BODY, Answer
from sagemaker_jobs.serve.connection import Connection

LARGE = 50_000  # bytes of a body that is answered by another thread


def on_a_server(answer, client):
    """Result of `client(reader, writer, connections)` on a connection to a server that answers by `answer`."""

    async def run():
        connections = set()
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Connection(answer, connections), "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        try:
            async with asyncio.timeout(60):
                return await client(reader, writer, connections)
        finally:
            writer.transport.abort()
            server.close()

    return asyncio.run(run())


def said(text):
    """An `answer` that always says this."""
    return lambda *_: Answer(200, text)


def post(size, *headers, version="1.1"):
    """Head and body of a request with a body of `size` bytes."""
    head = "\r\n".join([f"POST /invocations HTTP/{version}", f"Content-Length: {size}", *headers, "", ""])
    return head.encode(), b"x" * size


async def gone(connections):
    """Return when the server holds no connection any more."""
    while connections:
        await asyncio.sleep(0.01)


@pytest.fixture
def impatient(monkeypatch):
    """A server that waits for a moment only."""
    monkeypatch.setattr(connection, "LONGEST_WAIT", 0.2)


@pytest.mark.usefixtures("impatient")
def test_request_that_is_never_whole_is_given_up():
    """However steadily it trickles in: the wait counts from its first byte. The caller is told, and cut off."""

    async def client(reader, writer, connections):
        async def trickle():
            for byte in b"POST /invocations HTTP/1.1\r\nX: " + b"x" * 10_000:
                writer.write(bytes([byte]))
                await asyncio.sleep(0.01)

        trickling = asyncio.create_task(trickle())
        answered = await reader.read()
        trickling.cancel()
        await gone(connections)
        return answered

    answered = on_a_server(said(b"never"), client)

    assert answered.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert b"connection: close" in answered


def test_caller_who_sends_on_after_a_refusal_still_reads_it():
    """The server listens no more but does not reset the connection, which would take the answer away unread."""

    async def client(reader, writer, _):
        writer.write(b"POST /invocations HTTP/1.1\r\nX: " + b"x" * 100_000)
        for _ in range(5):
            await asyncio.sleep(0.05)
            writer.write(b"x" * 50_000)
        return await reader.read()

    assert on_a_server(said(b"never"), client).startswith(b"HTTP/1.1 431 ")


def test_caller_who_sends_on_for_ever_is_cut_off(monkeypatch):
    """A moment after the refusal."""
    monkeypatch.setattr(connection, "LINGER", 0.1)

    async def client(reader, writer, connections):
        writer.write(b"POST /invocations HTTP/1.1\r\nX: ")
        await asyncio.sleep(0.05)
        writer.write(b"x" * 100_000)
        await reader.readuntil(b"\r\n")
        while connections:
            writer.write(b"x")
            await asyncio.sleep(0.01)
        return True

    assert on_a_server(said(b"never"), client)


@pytest.mark.usefixtures("impatient")
def test_idle_connection_is_closed():
    """Without a word, as nobody asked anything; also one whose caller vanished."""

    async def client(reader, writer, connections):
        writer.write(b"".join(post(0)))
        answered = await reader.read()
        await gone(connections)
        return answered

    assert on_a_server(said(b"once"), client).count(b"HTTP/1.1") == 1


@pytest.mark.usefixtures("impatient")
def test_caller_who_takes_no_answer_is_cut_off():
    """An answer that nobody takes is not kept for ever, nor is its connection."""

    async def client(reader, writer, connections):
        reader._transport.pause_reading()
        writer.write(b"".join(post(0, "Connection: close")))
        while not connections:
            await asyncio.sleep(0.01)
        await gone(connections)
        return True

    assert on_a_server(said(bytes(64_000_000)), client)


def test_answers_that_are_not_taken_stop_the_reading():
    """A caller who sends and sends without listening fills the sockets' own memory, not the server's."""
    answered = []

    def answer(*_):
        answered.append(1)
        return Answer(200, bytes(100_000))

    async def client(reader, writer, connections):
        reader._transport.pause_reading()
        for _ in range(20):
            writer.write(b"".join(post(1000)) * 1000)
            await asyncio.sleep(0.02)
        await asyncio.sleep(0.2)
        return len(answered)

    assert on_a_server(answer, client) < 2000


def test_answer_that_fails_in_its_thread_closes_the_connection(caplog):
    """No caller waits for it for ever, and the log says why."""

    def fails(*_):
        raise MemoryError("none left")

    async def client(reader, writer, connections):
        writer.write(b"".join(post(LARGE)))
        answered = await reader.read()
        await gone(connections)
        return answered

    assert on_a_server(fails, client) == b""
    assert "none left" in caplog.text


def test_caller_behind_a_large_request_is_told_to_go_on():
    """Once that one is answered, and not before."""

    async def client(reader, writer, _):
        head, body = post(3, "Expect: 100-continue")
        writer.write(b"".join(post(LARGE)) + head)
        first = await reader.readuntil(b"large")
        told = await reader.readuntil(b"\r\n\r\n")
        writer.write(body)
        return first, told, await reader.readuntil(b"small")

    def answer(_method, _path, _headers, body):
        return Answer(200, b"large" if len(body) == LARGE else b"small")

    first, told, last = on_a_server(answer, client)

    assert first.startswith(b"HTTP/1.1 200 OK")
    assert told == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert last.startswith(b"HTTP/1.1 200 OK")


def test_old_version_is_not_told_to_go_on():
    """HTTP/1.0 knows no answer of 100 (RFC 9110, section 10.1.1)."""

    async def client(reader, writer, _):
        writer.write(b"".join(post(3, "Expect: 100-continue", version="1.0")))
        return await reader.read()

    assert on_a_server(said(b"done"), client).startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize("size", [3, LARGE])
@pytest.mark.parametrize("upgrade", [("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c"), ("Connection: close",)])
def test_last_request_says_so(size, upgrade):
    """Another protocol is not spoken here: the request is answered, and the answer says that the connection ends."""

    async def client(reader, writer, _):
        writer.write(b"".join(post(size, *upgrade)))
        return await reader.read()

    answered = on_a_server(said(b"done"), client)

    assert answered.endswith(b"\r\nconnection: close\r\n\r\ndone")


def test_body_far_too_large_is_answered_before_its_end():
    """Nobody needs to send a gigabyte to hear that it is too much."""

    async def client(reader, writer, _):
        head, _body = post(10**9)
        writer.write(head + bytes(4 * LARGEST_BODY + 1))
        return await reader.read()

    answered = on_a_server(said(b"never"), client)

    assert answered.startswith(b"HTTP/1.1 413 Content Too Large")
    assert "rows" in json.loads(answered.partition(b"\r\n\r\n")[2])["error"]

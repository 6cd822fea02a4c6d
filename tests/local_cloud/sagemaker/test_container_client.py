"""HTTP between SageMaker and a model container."""

import http.client
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from local_cloud.sagemaker.container_client import ContainerClient


class Container(BaseHTTPRequestHandler):
    """Echoes a body, or does what the body says."""

    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        """Count the connection."""
        self.server.connections += 1  # type: ignore[attr-defined]
        super().setup()

    def log_message(self, *_: object) -> None:
        """Be silent."""

    def do_POST(self) -> None:
        """Answer."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        if body == b"chunks":
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n")
            return
        if body == b"last":
            self.send_header("Connection", "close")
        self.send_header("Content-Length", str(len(body) + (5 if body == b"short" else 0)))
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = body in (b"short", b"hang up", b"last")


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    """A container."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Container)
    server.connections = 0  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def client(server: ThreadingHTTPServer) -> Iterator[ContainerClient]:
    """A client of it."""
    client = ContainerClient(server.server_address[1])
    yield client
    client.close()


def test_a_connection_serves_one_request_after_the_other(client: ContainerClient, server: ThreadingHTTPServer) -> None:
    """Answers of any size and of either form leave the connection usable."""
    sent = [b"a", b"x" * 5_000_000, b"chunks", b"", b"b"]
    received = [client.post(body, {}).body for body in sent]

    assert received == [b"a", b"x" * 5_000_000, b"onetwo", b"", b"b"]
    assert server.connections == 1  # type: ignore[attr-defined]


def test_a_connection_that_the_container_closed_is_replaced(
    client: ContainerClient, server: ThreadingHTTPServer
) -> None:
    """Whether the container says so, or closes a connection that it seemed to keep."""
    received = [client.post(body, {}).body for body in (b"last", b"hang up", b"a")]

    assert received == [b"last", b"hang up", b"a"]
    assert server.connections == 3  # type: ignore[attr-defined]


def test_half_an_answer_is_none(client: ContainerClient) -> None:
    """An answer that ends before its length is an error, not a shorter answer."""
    with pytest.raises(http.client.IncompleteRead):
        client.post(b"short", {})


def test_nobody_there() -> None:
    """Without a container a ping fails and a request raises."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and nobody listens: no other program can get the port meanwhile
        client = ContainerClient(taken.getsockname()[1])
        with pytest.raises(ConnectionRefusedError):
            client.post(b"a", {})

        assert not client.ping()

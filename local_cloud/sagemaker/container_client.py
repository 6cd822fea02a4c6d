"""HTTP from SageMaker to a model container: health checks and invocations, with their time limits.

Source: "Custom Inference Code with Hosting Services" in SageMaker's developer guide
(https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html).
"""

import contextlib
import http.client
import queue
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass

# "The request timeout on /ping attempts is 2 seconds."
PING_TIMEOUT_SECONDS = 2.0
# "A customer's model containers must respond to requests within 60 seconds."
INVOCATION_TIMEOUT_SECONDS = 60.0
_CHUNK = 1 << 16


@dataclass(frozen=True)
class Answer:
    """A model container's response."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class ContainerClient:
    """Talks to a container that listens on a port of this machine; keeps connections. Thread-safe."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._idle: queue.SimpleQueue[http.client.HTTPConnection] = queue.SimpleQueue()
        self._closed = False

    def ping(self) -> bool:
        """Whether `GET /ping` is answered with 200 in time."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PING_TIMEOUT_SECONDS)
        try:
            connection.request("GET", "/ping")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def post(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        """`POST /invocations`. Raises TimeoutError, OSError and HTTPException."""
        deadline = time.monotonic() + INVOCATION_TIMEOUT_SECONDS
        while True:
            connection, reused = self._connection()
            try:
                return self._exchange(connection, body, headers, deadline)
            except (ConnectionError, http.client.RemoteDisconnected, http.client.CannotSendRequest):
                connection.close()
                if not reused:  # else the container closed a connection it kept, or was started again meanwhile
                    raise
            except BaseException:
                connection.close()
                raise

    def close(self) -> None:
        """Closes the connections that are kept."""
        self._closed = True
        with contextlib.suppress(queue.Empty):
            while True:
                self._idle.get_nowait().close()

    def _exchange(
        self, connection: http.client.HTTPConnection, body: bytes, headers: Mapping[str, str], deadline: float
    ) -> Answer:
        opened = connection.sock  # the connection forgets it when the answer is the last one
        opened.settimeout(_remaining(deadline))
        connection.request("POST", "/invocations", body, dict(headers))
        response = connection.getresponse()
        content = bytearray()
        while True:
            opened.settimeout(_remaining(deadline))  # a timeout of the socket is one for each piece that arrives
            chunk = response.read1(_CHUNK)
            if not chunk:
                break
            content += chunk
        response.close()  # `read1` does not, and then the connection takes no other request
        if response.length:  # the container closed the connection in the middle
            raise http.client.IncompleteRead(bytes(content), response.length)
        if response.will_close or self._closed:
            connection.close()
        else:
            self._idle.put(connection)
        return Answer(response.status, dict(response.getheaders()), bytes(content))

    def _connection(self) -> tuple[http.client.HTTPConnection, bool]:
        try:
            return self._idle.get_nowait(), True
        except queue.Empty:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=INVOCATION_TIMEOUT_SECONDS)
            connection.connect()
            connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return connection, False


def _remaining(deadline: float) -> float:
    remaining = deadline - time.monotonic()
    if remaining <= 0:
        raise TimeoutError
    return remaining

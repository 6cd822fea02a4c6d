"""HTTP/1.1 over a bare socket: sends any bytes, and reads replies as strictly as a proxy in front of a server would."""

import contextlib
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

HOST = "127.0.0.1"
PATIENCE = 20  # seconds without an answer that count as a server that hangs


class BrokenReplyError(AssertionError):
    """What came back is no HTTP."""


@dataclass(frozen=True)
class Reply:
    """A final reply: status, headers with lower-case names, body."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def closes(self) -> bool:
        """Whether the server says that the connection ends with it."""
        return self.headers.get("connection", "").lower() == "close"


class Connection:
    """One connection to the server."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection((HOST, port), PATIENCE)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._unread = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: BaseException | TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the connection."""
        self._socket.close()

    def ask(self, request: bytes, *, head: bool = False) -> list[Reply]:
        """Send one whole request and read its reply. No reply at all gives an empty list."""
        self.send(request)
        reply = self._reply(head)
        return [] if reply is None else [reply]

    def ask_and_hang_up(self, sent: bytes) -> list[Reply]:
        """Send bytes, say that nothing will follow, and read every reply until the server closes.

        Whether a reply to HEAD has a body depends on whether it was understood, so of that only the head is read.
        """
        self.send(sent)
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)
        head = sent[:5] == b"HEAD "
        replies = []
        while reply := self._reply(head):
            replies.append(reply)
            if head:
                break
        return replies

    def send(self, data: bytes) -> None:
        """Send bytes and wait for nothing."""
        # who is refused in the middle of a large body may find the connection closed; the reply counts then
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._socket.sendall(data)

    def wait_until_read(self) -> None:
        """Wait until the server's program has taken all that was sent, of which the kernel may keep some (proc(5))."""
        (_, ours), (_, theirs) = self._socket.getsockname(), self._socket.getpeername()
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
                _, local, remote, _, queues = line.split()[:5]
                if (local[-4:], remote[-4:], queues[-8:]) == (f"{theirs:04X}", f"{ours:04X}", "00000000"):
                    return
            time.sleep(0.01)
        raise AssertionError(f"the server has not read what was sent to it within {PATIENCE} s")

    def _reply(self, head: bool) -> Reply | None:
        while True:
            start = self._until(b"\r\n\r\n")
            if start is None:
                return None
            status_line, *lines = start.decode("latin-1").split("\r\n")
            version, _, rest = status_line.partition(" ")
            if version not in ("HTTP/1.1", "HTTP/1.0") or not rest[:3].isdigit():
                raise BrokenReplyError(f"no status line: {status_line[:100]!r}")
            headers = {}
            for line in lines:
                name, colon, value = line.partition(":")
                if not colon or name != name.strip() or name.lower() in headers:
                    raise BrokenReplyError(f"no header line: {line[:100]!r}")
                headers[name.lower()] = value.strip()
            if int(rest[:3]) >= 200:
                return Reply(int(rest[:3]), headers, self._body(headers, head))

    def _body(self, headers: dict[str, str], head: bool) -> bytes:
        if head:
            return b""
        length = headers.get("content-length", "")
        if not length.isdigit():
            if headers.get("connection", "").lower() != "close":
                raise BrokenReplyError(f"a reply that stays open without a length: {headers}")
            return self._rest()
        while len(self._unread) < int(length):
            if not self._receive():
                raise BrokenReplyError(f"the reply's body ended after {len(self._unread)} of {length} bytes")
        body, self._unread = self._unread[: int(length)], self._unread[int(length) :]
        return body

    def _rest(self) -> bytes:
        while self._receive():
            pass
        body, self._unread = self._unread, b""
        return body

    def _until(self, end: bytes) -> bytes | None:
        while end not in self._unread:
            if not self._receive():
                if self._unread:
                    raise BrokenReplyError(f"half a reply: {self._unread[:200]!r}")
                return None
        found, self._unread = self._unread.split(end, 1)
        return found

    def _receive(self) -> bool:
        try:
            data = self._socket.recv(65536)
        except ConnectionResetError:
            data = b""
        except TimeoutError as error:
            raise BrokenReplyError(f"no answer within {PATIENCE} s") from error
        self._unread += data
        return bool(data)

"""What the API and the storage have in common: a threading server on a loopback address, and how it answers."""

import json
import socket
import sys
import threading
from collections.abc import Mapping
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

_IDLE_SECONDS = 60.0


class LoopbackServer(ThreadingHTTPServer):
    """Serves on a loopback address until `close`, which also ends the connections that are open."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self.closing = threading.Event()
        self._open: set[socket.socket] = set()
        self._open_lock = threading.Lock()
        super().__init__(address, handler)

    def start(self, name: str) -> None:
        """Serve in a thread of its own."""
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, name=name, daemon=True).start()

    def close(self) -> None:
        """Stop serving; blocks for a moment."""
        self.closing.set()
        self.shutdown()
        self.server_close()
        with self._open_lock:
            for connection in self._open:
                _shut(connection)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Remember the connection, so that `close` can end it."""
        with self._open_lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Forget the connection, which has ended."""
        with self._open_lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no error; anything else is shown as the base class shows it."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


def _shut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # it has ended already


class Handler(BaseHTTPRequestHandler):
    """HTTP/1.1 with connections kept open, and no log on standard error."""

    protocol_version = "HTTP/1.1"
    server_version = "treering-local-cloud"
    sys_version = ""
    timeout = _IDLE_SECONDS
    disable_nagle_algorithm = True
    server: LoopbackServer

    def do_GET(self) -> None:
        """Called by the base class."""
        self.get()

    def do_HEAD(self) -> None:
        """As GET; `answer` leaves the body out."""
        self.get()

    def do_POST(self) -> None:
        """Called by the base class."""
        self.post()

    def do_DELETE(self) -> None:
        """Called by the base class."""
        self.delete()

    def get(self) -> None:
        """Answer GET and HEAD."""
        raise NotImplementedError

    def post(self) -> None:
        """Answer POST: by default that it is not allowed."""
        self.close_connection = True  # a body may follow, which nobody reads
        self.answer(405, b"", "text/plain", {"Connection": "close"})

    def delete(self) -> None:
        """Answer DELETE: by default that it is not allowed."""
        self.post()

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the server keeps a list of requests instead."""

    @property
    def route(self) -> str:
        """The request's path as it came: quoted, without the query."""
        return urlsplit(self.path).path

    @property
    def query(self) -> dict[str, str]:
        """The query, unquoted; of a name that comes twice, the last value."""
        return dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))

    def answer(self, status: int, body: bytes, content_type: str, headers: Mapping[str, str] | None = None) -> None:
        """Send a whole answer; to HEAD without its body."""
        self.start_answer(status, {"Content-Type": content_type, "Content-Length": str(len(body)), **(headers or {})})
        if self.command != "HEAD":
            self.wfile.write(body)

    def answer_json(self, status: int, content: Any, headers: Mapping[str, str] | None = None) -> None:
        """Send a JSON document."""
        body = json.dumps(content, separators=(",", ":")).encode()
        self.answer(status, body, "application/json; charset=utf-8", headers)

    def answer_web_page(self) -> None:
        """Send an HTML page with status 200, as a web site does that wants a person to log in."""
        page = b"<!DOCTYPE html><html><head><title>Sign in</title></head><body>Sign in to continue</body></html>"
        self.answer(200, page, "text/html; charset=utf-8")

    def start_answer(self, status: int, headers: Mapping[str, str]) -> None:
        """Send the status and the headers."""
        self.send_response_only(status)
        for name, value in {"Server": self.server_version, "Date": formatdate(usegmt=True), **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def disconnect(self) -> None:
        """End the connection after what was sent so far."""
        self.close_connection = True
        self.wfile.flush()
        _shut(self.connection)

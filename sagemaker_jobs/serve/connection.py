"""One HTTP/1.1 connection: httptools (llhttp) reads it, within bounds, and requests are answered in their order."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable

import httptools

from sagemaker_jobs.serve.answers import LARGEST_BODY, Answer, refusal, too_large

LARGEST_HEAD = 64 * 1024  # bytes beside a body: request line, headers, chunk sizes, trailers
# seconds without a request, of one until it is whole, and of an answer until it is taken. Longer than SageMaker waits
# for an answer (60 s, InvokeEndpoint, API reference) and than its connections idle, so that it closes them, not we
LONGEST_WAIT = 65.0
# seconds for which we read on, without listening, after an answer to a request that is not whole: closing at once would
# reset the connection, and who still sends might never see the answer (RFC 9112, section 9.6)
LINGER = 2.0
_MOST_READ = 4 * LARGEST_BODY  # bytes of one body
_BRIEF = 16 * 1024  # bytes of a body that is answered in the event loop; a larger one must not hold up /ping
_HEADS = {
    status: f"HTTP/1.1 {status} {reason}\r\n".encode()
    for status, reason in (
        (100, "Continue"),
        (200, "OK"),
        (400, "Bad Request"),
        (404, "Not Found"),
        (405, "Method Not Allowed"),
        (406, "Not Acceptable"),
        (408, "Request Timeout"),
        (413, "Content Too Large"),
        (415, "Unsupported Media Type"),
        (431, "Request Header Fields Too Large"),
        (500, "Internal Server Error"),
    )
}
Answers = Callable[[str, str, dict[str, str], bytes], Answer]  # of method, path, headers and body; see `answers`
log = logging.getLogger(__name__)


class Request:
    """A request, while it arrives and until it is answered."""

    __slots__ = ("begun", "body", "closes", "expects", "headers", "method", "received", "size", "target", "whole")

    def __init__(self, *, begun: bool = False, closes: bool = False) -> None:
        self.begun = begun
        self.closes = closes  # the connection, once it is answered
        self.whole = False
        self.expects = False  # to be told to go on, before it sends its body
        self.method = ""
        self.target = b""
        self.headers: dict[str, str] = {}
        self.body: list[bytes] = []  # as much of it as may be answered
        self.size = 0  # bytes of the body
        self.received = 0  # bytes in all, but for those that came together with its first


class Connection(asyncio.Protocol):
    """A connection. `connections` holds those that are open."""

    def __init__(self, answer: Answers, connections: "set[Connection]") -> None:
        self._answer = answer
        self._connections = connections
        self._parser = httptools.HttpRequestParser(self)
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._request = Request()  # that is arriving
        self._apart: asyncio.Task[None] | None = None  # answers a large one in another thread
        self._waiting: deque[Request] = deque()  # behind that one
        self._congested = False  # answers are not taken
        self._ending = False  # after the next answer
        self._closed = False
        self._since = self._loop.time()  # we wait: for a request, for the rest of it, or for its answer to be taken
        self._timer = self._loop.call_later(LONGEST_WAIT, self._give_up_or_not)

    # ---- what asyncio says

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # of a stream
        """The connection is open."""
        self._transport = transport
        self._connections.add(self)

    def connection_lost(self, _error: Exception | None) -> None:
        """The connection is gone."""
        self._closed = True
        self._waiting.clear()
        self._timer.cancel()
        self._connections.discard(self)

    def data_received(self, data: bytes) -> None:
        """Some bytes arrived."""
        if self._closed:
            return
        self._request.received += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # its request is answered, as the last one; what follows would be another protocol
        except httptools.HttpParserCallbackError:
            log.exception("Could not take a request")
            self._refuse(500, "the request could not be taken; the endpoint's log says why")
        except httptools.HttpParserError as error:
            self._refuse(400, f"this is no HTTP/1.1 request: {error}")
        # a body in chunks may come with as many bytes beside it as are in it
        if self._request.received > LARGEST_HEAD + 2 * self._request.size:
            self._refuse(431, f"more than {LARGEST_HEAD:,} bytes of headers")

    def pause_writing(self) -> None:
        """Answers pile up here."""
        self._congested = True
        self._read_on_or_not()

    def resume_writing(self) -> None:
        """They no longer do."""
        self._congested = False
        self._read_on_or_not()

    # ---- what httptools says

    def on_message_begin(self) -> None:
        """A request begins."""
        self._request = Request(begun=True)
        self._since = self._loop.time()

    def on_url(self, part: bytes) -> None:
        """A part of its target."""
        self._request.target += part

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer, which nothing reads."""
        name = name.lower()
        if name in (b"content-type", b"accept", b"expect") and not self._request.size:
            self._request.headers[name.decode()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """Its headers are there."""
        request = self._request
        request.method = self._parser.get_method().decode("latin-1")
        request.closes = not self._parser.should_keep_alive() or self._parser.should_upgrade()
        expects = request.headers.get("expect", "").lower() == "100-continue"
        request.expects = expects and self._parser.get_http_version() != "1.0"  # RFC 9110, section 10.1.1
        self._tell_to_go_on()

    def on_body(self, part: bytes) -> None:
        """A part of its body."""
        request = self._request
        request.size += len(part)
        request.expects = False
        if request.size <= LARGEST_BODY:
            request.body.append(part)
        elif request.size > _MOST_READ:
            request.closes = True
            self._answer_in_turn(request)

    def on_message_complete(self) -> None:
        """It is whole."""
        self._request.whole = True
        self._answer_in_turn(self._request)
        self._request = Request()

    # ---- answers

    def _answer_in_turn(self, request: Request) -> None:
        if self._closed:
            return
        if self._apart:
            self._waiting.append(request)
        elif request.size <= _BRIEF or request.size > LARGEST_BODY:
            self._write(request, self._answer_to(request))
        else:
            self._apart = self._loop.create_task(self._answer_apart(request))
            self._read_on_or_not()

    async def _answer_apart(self, request: Request) -> None:
        """Answer a large request, and then those that came meanwhile."""
        try:
            self._write(request, await asyncio.to_thread(self._answer_to, request))
            while self._waiting and not self._closed:
                request = self._waiting.popleft()
                self._write(request, await asyncio.to_thread(self._answer_to, request))
        except Exception:  # no memory, or no thread
            log.exception("Could not answer a request of %d bytes", request.size)
            self._close()
        self._apart = None
        if self._ending:
            self._close()
        self._tell_to_go_on()
        self._read_on_or_not()

    def _answer_to(self, request: Request) -> Answer:
        if request.size > LARGEST_BODY:
            return too_large()
        return self._answer(request.method, _path(request.target), request.headers, b"".join(request.body))

    def _write(self, request: Request, given: Answer) -> None:
        if self._closed:
            return
        self._since = self._loop.time()
        last = request.closes or given.status == 413 or (self._ending and not self._waiting)
        head = [_HEADS[given.status], *(f"{name}: {value}\r\n".encode() for name, value in given.headers.items())]
        head.append(b"content-length: %d\r\n" % len(given.body))
        head.append(b"connection: close\r\n\r\n" if last else b"\r\n")
        if request.method != "HEAD":
            head.append(given.body)
        self._transport.write(b"".join(head))
        if last:
            self._close(lingers=not request.whole)

    def _refuse(self, status: int, reason: str) -> None:
        """Answer what cannot be read and close; behind an answer that is still to come, close only."""
        if self._apart:
            self.end()
        else:
            self._write(Request(closes=True), refusal(status, reason))

    def _tell_to_go_on(self) -> None:
        """A caller who waits for it before the body, unless another answer comes before."""
        if self._request.expects and not self._apart and not self._closed:
            self._request.expects = False
            self._transport.write(_HEADS[100] + b"\r\n")

    # ---- whether to go on

    def end(self) -> None:
        """Close after the answers to what has arrived, or begun to."""
        self._ending = True
        if not self._apart and not self._request.begun:
            self._close()

    def _close(self, *, lingers: bool = False) -> None:
        self._closed = True
        if lingers:
            self._transport.write_eof()  # once all is written; the caller's own end closes the rest
            self._timer.cancel()
            self._timer = self._loop.call_later(LINGER, self._transport.abort)
        else:
            self._transport.close()  # once all is written

    def _read_on_or_not(self) -> None:
        if self._closed:
            return
        if self._congested or self._apart:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def _give_up_or_not(self) -> None:
        left = self._since + LONGEST_WAIT - self._loop.time()
        if left > 0 or self._apart:
            self._timer = self._loop.call_later(max(left, 1.0), self._give_up_or_not)
        elif self._request.begun and not self._closed:
            self._refuse(408, f"the request was not whole within {LONGEST_WAIT:g} s")
        else:
            self._transport.abort()  # also where the caller never takes the answer


def _path(target: bytes) -> str:
    """Path of a request's target, which may be a whole URL (RFC 9112, section 3.2.2)."""
    if not target.startswith(b"/"):
        try:
            target = httptools.parse_url(target).path or b""
        except httptools.HttpParserInvalidURLError:
            return ""
    return target.partition(b"?")[0].decode("latin-1")

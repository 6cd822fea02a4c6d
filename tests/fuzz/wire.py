"""Requests as bytes on a connection: whole ones in every framing, and what only looks like HTTP."""

from collections.abc import Callable
from dataclasses import dataclass

from hypothesis import strategies as st

from tests.fuzz.bodies import CSV, JSON

_CONTENT_TYPES = [
    "", "text/plain", "text/csv; header=present", "text/csv; header=absent", "text/csv; header=maybe", "TEXT/CSV",
    "text/csv; charset=utf-16", "text/csv;charset=", "application/json; charset=utf-8", "application/jsonlines", ";",
    "text/csv, application/json", "application/x-npy", "multipart/form-data; boundary=x", "text/csv" + ";a=b" * 500,
    "application/x-www-form-urlencoded", "text/\xe9", '"', "application/json;" + "x" * 3000, "/",
    'text/csv; header="absent"',
]  # fmt: skip
_ACCEPTS = [
    "*/*", CSV, JSON, "text/csv;q=0.5, application/json;q=0.1", "image/png", "text/csv;q=0", ",", ";;;", "q=1",
    "*/*;q=NaN", "*/*;q=1e999", "a" * 3000, "text/csv," * 500, "application/json;q=-1", "\xff/\xfe",
]  # fmt: skip
_MORE = [
    "", "Expect: 100-continue", "Expect: 200-ok", "Content-Encoding: gzip", "Connection: close",
    "Connection: keep-alive",
    "X-Amzn-SageMaker-Custom-Attributes: " + "x" * 1024, "Upgrade: websocket", "Upgrade: h2c",
    "Cookie: " + "a=b;" * 900,
    "X-Forwarded-For: 1.2.3.4", "Range: bytes=0-1", "If-Match: *", "Transfer-Encoding-: x", "TE: trailers", "X: \xff",
]  # fmt: skip
_TARGETS = [
    ("GET", "/invocations"), ("PUT", "/invocations"), ("DELETE", "/invocations"), ("HEAD", "/invocations"),
    ("OPTIONS", "/invocations"), ("PATCH", "/invocations"), ("POST", "/ping"), ("HEAD", "/ping"), ("GET", "/ping?x=1"),
    ("POST", "/invocations/"), ("POST", "//invocations"), ("POST", "/INVOCATIONS"), ("POST", "/models/x/invoke"),
    ("POST", "/%69nvocations"), ("POST", "/invocations%00"), ("POST", "/../invocations"), ("GET", "/" + "a" * 3000),
    ("POST", "/invocations?" + "q=1&" * 300), ("GET", "/"), ("POST", "/invocations;x"), ("TRACE", "/ping"),
]  # fmt: skip


@dataclass(frozen=True)
class Request:
    """A request of which it is clear where it ends; `body` before chunking."""

    method: str
    path: str
    headers: tuple[str, ...]
    body: bytes
    chunks: tuple[int, ...] | None  # sizes of the chunks, again and again; none: with Content-Length

    def encode(self) -> bytes:
        """As bytes."""
        lines = [f"{self.method} {self.path} HTTP/1.1", "Host: 127.0.0.1", *self.headers]
        if self.chunks is None:
            return _head(*lines, f"Content-Length: {len(self.body)}") + self.body
        return _head(*lines, "Transfer-Encoding: chunked") + _chunked(self.body, self.chunks)


def post(kind: str, body: bytes, *headers: str) -> Request:
    """A plain request for predictions."""
    return Request("POST", "/invocations", (f"Content-Type: {kind}", *headers), body, None)


def whole_requests(bodies: st.SearchStrategy[tuple[str, bytes]]) -> st.SearchStrategy[Request]:
    """Requests that any server of HTTP/1.1 can read, and that most often ask for predictions."""
    plain = bodies.map(lambda made: post(*made))
    odd_type = st.tuples(st.sampled_from(_CONTENT_TYPES), bodies).map(lambda made: post(made[0], made[1][1]))
    dressed = st.builds(
        lambda made, accept, more, chunks: Request(
            "POST",
            "/invocations",
            tuple(line for line in (f"Content-Type: {made[0]}", f"Accept: {accept}", more) if line),
            made[1],
            chunks,
        ),
        bodies,
        st.sampled_from(_ACCEPTS),
        st.sampled_from(_MORE),
        st.none() | st.lists(st.integers(1, 400), min_size=1, max_size=3).map(tuple),
    )
    elsewhere = st.tuples(st.sampled_from(_TARGETS), bodies).map(lambda made: Request(*made[0], (), made[1][1], None))
    return plain | plain | plain | dressed | odd_type | elsewhere


def broken_requests(bodies: st.SearchStrategy[tuple[str, bytes]]) -> st.SearchStrategy[tuple[str, bytes]]:
    """Name of the defect and the bytes to send, after which nothing follows."""
    made = st.builds(lambda name, body: (name, _DEFECTS[name](body[1])), st.sampled_from(sorted(_DEFECTS)), bodies)
    noise = st.binary(min_size=1, max_size=300).map(lambda data: ("noise", data))
    whole = whole_requests(bodies)
    cut = st.tuples(whole, st.floats(0, 1)).map(lambda c: ("cut", c[0].encode()[: int(c[1] * len(c[0].encode()))]))
    bent = st.tuples(whole, st.floats(0, 1), st.binary(min_size=1, max_size=4)).map(
        lambda c: ("bent", _replaced(c[0].encode(), c[1], c[2]))
    )
    return made | made | made | noise | cut | bent


def _replaced(data: bytes, where: float, piece: bytes) -> bytes:
    at = int(where * min(len(data), 200))  # in the head
    return data[:at] + piece + data[at + len(piece) :]


def _head(*lines: str) -> bytes:
    return "\r\n".join([*lines, "", ""]).encode("latin-1", "replace")


def _chunked(body: bytes, sizes: tuple[int, ...]) -> bytes:
    out, at, number = [], 0, 0
    while at < len(body):
        piece = body[at : at + sizes[number % len(sizes)]]
        out.append(b"%x\r\n%b\r\n" % (len(piece), piece))
        at, number = at + len(piece), number + 1
    return b"".join([*out, b"0\r\n\r\n"])


def _with(*lines: str, kind: str = CSV) -> Callable[[bytes], bytes]:
    """A request for predictions with these lines in its head."""
    return lambda body: _head("POST /invocations HTTP/1.1", "Host: x", f"Content-Type: {kind}", *lines) + body


def _line(line: str) -> Callable[[bytes], bytes]:
    """A request with this as its first line."""
    return lambda body: _head(line, "Host: x", f"Content-Type: {CSV}", f"Content-Length: {len(body)}") + body


def _length(value: str) -> Callable[[bytes], bytes]:
    return _with(f"Content-Length: {value}")


def _coding(value: str) -> Callable[[bytes], bytes]:
    return lambda body: _with(f"Transfer-Encoding: {value}")(_chunked(body, (100,)))


def _chunks(text: bytes) -> Callable[[bytes], bytes]:
    return lambda body: _with("Transfer-Encoding: chunked")(text.replace(b"BODY", body))


_HELLO = bytes.fromhex("16030100c8010000c40303") + bytes(range(180))  # the start of a TLS handshake
_SMUGGLED = b"0\r\n\r\nPOST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\nContent-Length: 3\r\n\r\na,b"
_DEFECTS: dict[str, Callable[[bytes], bytes]] = {
    "length too large": lambda body: _length(str(len(body) + 1000))(body),
    "length far too large": _length(str(10**9)),
    "length too small": lambda body: _length(str(len(body) // 2))(body),
    "length beyond 64 bits": _length("9" * 30),
    "length of 2^63": _length(str(2**63)),
    "length negative": _length("-1"),
    "length with sign": _length("+5"),
    "length hexadecimal": _length("0x10"),
    "length in words": _length("five"),
    "length empty": _length(""),
    "length listed": _length("5, 5"),
    "length listed unlike": _length("5, 6"),
    "length in other digits": _length("\xb2"),
    "length of 1000 digits": _length("0" * 1000 + "5"),
    "two lengths alike": lambda body: _with(*[f"Content-Length: {len(body)}"] * 2)(body),
    "two lengths": _with("Content-Length: 3", "Content-Length: 300"),
    "length and chunks": lambda body: _with(f"Content-Length: {len(body)}", "Transfer-Encoding: chunked")(body),
    "length and chunks, smuggling": lambda _: _with("Content-Length: 4", "Transfer-Encoding: chunked")(_SMUGGLED),
    "no length": _with(),
    "coding gzip": _coding("gzip"),
    "coding gzip, chunked": _coding("gzip, chunked"),
    "coding chunked, identity": _coding("chunked, identity"),
    "coding xchunked": _coding("xchunked"),
    "coding after a tab": _coding("\tchunked"),
    "coding after a vertical tab": _coding("\x0bchunked"),
    "coding twice": lambda body: _with("Transfer-Encoding: chunked", "Transfer-Encoding: identity")(body),
    "coding in HTTP/1.0": lambda body: _head("POST /invocations HTTP/1.0", "Transfer-Encoding: chunked") + body,
    "chunk negative": _chunks(b"-1\r\nBODY\r\n0\r\n\r\n"),
    "chunk of 2^64": _chunks(b"10000000000000000\r\nBODY\r\n0\r\n\r\n"),
    "chunk of 2^64 - 1": _chunks(b"ffffffffffffffff\r\nBODY\r\n0\r\n\r\n"),
    "chunk in words": _chunks(b"ten\r\nBODY\r\n0\r\n\r\n"),
    "chunk with 0x": _chunks(b"0x5\r\nabcde\r\n0\r\n\r\n"),
    "chunk without end": _chunks(b"5\r\nabcdeBODY"),
    "chunk longer than said": _chunks(b"1\r\nBODY\r\n0\r\n\r\n"),
    "chunks never end": _chunks(b"5\r\nabcde\r\n"),
    "chunk extension": _chunks(b"5;" + b"x" * 100_000 + b"\r\nabcde\r\n0\r\n\r\n"),
    "chunks of one byte": _chunks(b"1\r\na\r\n" * 5000 + b"0\r\n\r\n"),
    "chunk ends in line feed": _chunks(b"5\nabcde\n0\n\n"),
    "trailers": _chunks(b"3\r\na,b\r\n0\r\n" + b"X-T: 1\r\n" * 5000 + b"\r\n"),
    "trailer with a length": _chunks(b"3\r\na,b\r\n0\r\nContent-Length: 5\r\n\r\n"),
    "header without colon": _with("nonsense"),
    "header without name": _with(": value"),
    "header with a space in its name": _with("Content Length: 5"),
    "header with a space before the colon": _with("Content-Length : 5"),
    "header folded": _with("X: a\r\n b", "Content-Length: 0"),
    "header with NUL": _with("X: a\x00b", "Content-Length: 0"),
    "header with a bare carriage return": _with("X: a\rb", "Content-Length: 0"),
    "header in UTF-16": lambda body: "POST /invocations HTTP/1.1\r\nHost: x\r\n\r\n".encode("utf-16") + body,
    "header of 100 kB": _with("X: " + "x" * 100_000, "Content-Length: 0"),
    "header name of 100 kB": _with("x" * 100_000 + ": x", "Content-Length: 0"),
    "header of 1 MB that never ends": lambda _: b"POST /invocations HTTP/1.1\r\nX: " + b"x" * 1_000_000,
    "5000 headers": _with(*[f"X-{number}: x" for number in range(5000)], "Content-Length: 0"),
    "no host": lambda body: _head("POST /invocations HTTP/1.1", f"Content-Length: {len(body)}") + body,
    "two hosts": _with("Host: y", "Content-Length: 0"),
    "host with spaces": lambda _: _head("GET /ping HTTP/1.1", "Host: a b c"),
    "bare line feeds": lambda body: b"POST /invocations HTTP/1.1\nHost: x\nContent-Length: 3\n\nabc" + body,
    "no version": _line("POST /invocations"),
    "version 0.9": lambda _: b"GET /ping\r\n",
    "version 1.0": _line("POST /invocations HTTP/1.0"),
    "version 1.2": _line("POST /invocations HTTP/1.2"),
    "version 2.0": _line("POST /invocations HTTP/2.0"),
    "version 9.9": _line("POST /invocations HTTP/9.9"),
    "version of letters": _line("POST /invocations HTTP/x.y"),
    "version lower case": _line("POST /invocations http/1.1"),
    "another protocol": _line("POST /invocations RTSP/1.0"),
    "words after the version": _line("POST /invocations HTTP/1.1 please"),
    "spaces in the path": _line("POST /invocations and more HTTP/1.1"),
    "two spaces": _line("POST  /invocations  HTTP/1.1"),
    "NUL in the path": _line("POST /invoc\x00ations HTTP/1.1"),
    "other letters in the path": _line("POST /\xefnvocations HTTP/1.1"),
    "path of 100 kB": _line("POST /" + "a" * 100_000 + " HTTP/1.1"),
    "path without slash": _line("POST invocations HTTP/1.1"),
    "absolute target": _line("POST http://127.0.0.1/invocations HTTP/1.1"),
    "empty target": _line("POST  HTTP/1.1"),
    "method lower case": _line("post /invocations HTTP/1.1"),
    "method unknown": _line("BREW /invocations HTTP/1.1"),
    "method of 100 kB": _line("A" * 100_000 + " /invocations HTTP/1.1"),
    "method with other signs": _line("PO\x7fST /invocations HTTP/1.1"),
    "method missing": _line("/invocations HTTP/1.1"),
    "connect": lambda _: b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n",
    "options for all": lambda _: b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
    "websocket": lambda _: _head(
        "GET /invocations HTTP/1.1",
        "Host: x",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
    ),
    "HTTP/2 at once": lambda body: b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9) + body,
    "HTTP/2 by upgrade": _with("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk"),
    "TLS": lambda body: _HELLO + body,
    "empty lines": lambda _: b"\r\n" * 1000,
    "two at once": lambda body: _head("GET /ping HTTP/1.1", "Host: x") * 2 + body,
    "a hundred at once": lambda _: _head("GET /ping HTTP/1.1", "Host: x") * 100,
    "body of a GET": lambda body: _head("GET /ping HTTP/1.1", "Host: x", f"Content-Length: {len(body)}") + body,
    "nothing": lambda _: b"",
}

"""Redirects are followed a few times, and credentials stay with the host they are for."""

import hashlib
import threading
import tracemalloc
from base64 import b64encode
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from treering.clock import Clock, Deadline
from treering.errors import DataSourceError, DownloadError, TransientError
from treering.kaggle import Credentials, KaggleClient
from treering.kaggle.redirects import MOST_REDIRECTS

ZIP = b"PK\x05\x06" + bytes(18)
START = "/competitions/data/download-all/slug"
Answer = tuple[int, dict[str, str], bytes]


class Scripted(BaseHTTPRequestHandler):
    """Answers by path as told, and keeps who asked what with which credentials."""

    answers: ClassVar[dict[str, Answer]]
    seen: ClassVar[list[tuple[str, str, str | None]]]

    def do_GET(self) -> None:
        """Answer as told, or 404."""
        status, headers, body = self.answers.get(self.path, (404, {}, b""))
        self.seen.append((self.headers["Host"].partition(":")[0], self.path, self.headers.get("Authorization")))
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), "Connection": "close", **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def port() -> Iterator[int]:
    """Port of a server on all addresses 127.x.y.z, without answers yet."""
    Scripted.answers, Scripted.seen = {}, []
    with ThreadingHTTPServer(("0.0.0.0", 0), Scripted) as server:  # noqa: S104  # as 127.0.0.1 and 127.0.0.2
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


@pytest.fixture
def download(port: int, tmp_path: Path) -> Callable[[], object]:
    """One download from 127.0.0.1; waits take no time."""
    client = KaggleClient(f"http://127.0.0.1:{port}/", Credentials("Bearer secret"), Clock(sleep=lambda _: None))
    return lambda: client.download("slug", tmp_path / "target.zip", 1000, Deadline.after(60))


def redirect(to: str, status: int = 302) -> Answer:
    """An answer that leads elsewhere."""
    return status, {"Location": to}, b""


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_on_the_same_host_credentials_stay(port: int, download: Callable[[], object], status: int) -> None:
    """Relative and absolute targets alike."""
    Scripted.answers = {
        START: redirect("/next", status),
        "/next": redirect(f"http://127.0.0.1:{port}/file", status),
        "/file": (200, {}, ZIP),
    }
    download()

    assert [authorization for _, _, authorization in Scripted.seen] == ["Bearer secret"] * 3


def test_credentials_once_dropped_are_not_sent_again(port: int, download: Callable[[], object]) -> None:
    """Another host sends us back to the first: without credentials, as the target was the other host's choice."""
    Scripted.answers = {
        START: redirect(f"http://127.0.0.2:{port}/away?signature=x"),
        "/away?signature=x": redirect(f"http://127.0.0.1:{port}/back"),
        "/back": (200, {}, ZIP),
    }
    download()

    assert Scripted.seen == [
        ("127.0.0.1", START, "Bearer secret"),
        ("127.0.0.2", "/away?signature=x", None),
        ("127.0.0.1", "/back", None),
    ]


def test_another_port_is_another_host(port: int, download: Callable[[], object]) -> None:
    """Another service of the same machine gets no credentials."""
    first = dict(Scripted.answers)
    with ThreadingHTTPServer(("127.0.0.1", 0), Scripted) as other:
        thread = threading.Thread(target=other.serve_forever, args=(0.02,))
        thread.start()
        Scripted.answers = {
            **first,
            START: redirect(f"http://127.0.0.1:{other.server_address[1]}/file"),
            "/file": (200, {}, ZIP),
        }
        try:
            download()
        finally:
            other.shutdown()
            thread.join()

    assert [authorization for _, _, authorization in Scripted.seen] == ["Bearer secret", None]


def test_a_netrc_file_does_not_fill_the_gap(
    port: int, download: Callable[[], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The HTTP library would add credentials from the home folder where a request has none."""
    (tmp_path / "netrc").write_text("machine 127.0.0.2 login somebody password else\n")
    (tmp_path / "netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    Scripted.answers = {START: redirect(f"http://127.0.0.2:{port}/file"), "/file": (200, {}, ZIP)}
    download()

    assert Scripted.seen[-1] == ("127.0.0.2", "/file", None)


def test_a_redirect_loop_ends(download: Callable[[], object]) -> None:
    """After a few rounds, without another attempt; the message has no signature in it."""
    Scripted.answers = {START: redirect("/loop?signature=x"), "/loop?signature=x": redirect("/loop?signature=x")}

    with pytest.raises(DownloadError, match=rf"redirected more than {MOST_REDIRECTS} times, last to http://.*/loop\. "):
        download()
    assert len(Scripted.seen) == MOST_REDIRECTS + 1


@pytest.mark.parametrize("to", ["ftp://127.0.0.1/file", "file:///etc/passwd", "http://[::1", "http://h:x/"])
def test_a_redirect_to_no_web_address_is_an_error(download: Callable[[], object], to: str) -> None:
    """Other schemes, no host, no URL at all."""
    Scripted.answers = {START: redirect(to)}

    with pytest.raises(DownloadError, match=r"redirected to .*(not http or https|no URL)"):
        download()


@pytest.mark.parametrize("to", ["http://a..b/", f"http://{'a' * 70}.example/"])
def test_a_redirect_to_a_name_that_can_be_no_hosts_is_an_error(download: Callable[[], object], to: str) -> None:
    """A label is empty, or longer than DNS takes."""
    Scripted.answers = {START: redirect(to)}

    with pytest.raises(DownloadError, match=r"led to http://.*, which is no URL to load"):
        download()


def test_the_body_of_a_redirect_is_not_read(port: int, download: Callable[[], object]) -> None:
    """It may be as long as it likes, or never end: here more is announced than comes."""
    Scripted.answers = {
        START: (302, {"Location": "/file", "Content-Length": "1000000000"}, b"x"),
        "/file": (200, {}, ZIP),
    }
    download()

    assert len(Scripted.seen) == 2


def test_a_redirect_to_nowhere_is_an_error(download: Callable[[], object]) -> None:
    """302 without Location."""
    Scripted.answers = {START: (302, {}, b"")}

    with pytest.raises(DownloadError, match="answered 302 without saying where to"):
        download()


def test_a_checksum_is_found_among_others(download: Callable[[], object]) -> None:
    """`X-Goog-Hash` may hold several hashes."""
    md5 = b64encode(hashlib.md5(ZIP, usedforsecurity=False).digest()).decode()
    Scripted.answers = {START: (200, {"X-Goog-Hash": f"crc32c=AAAAAA==, md5={md5}"}, ZIP)}
    download()
    Scripted.answers = {START: (200, {"X-Goog-Hash": f"crc32c=AAAAAA==, md5={md5}"}, ZIP + b"x")}

    with pytest.raises(DownloadError, match="its MD5 is"):
        download()


@pytest.mark.parametrize(
    ("headers", "body", "problem"),
    [
        ({"Content-Encoding": "gzip"}, ZIP, "compressed the answer"),
        ({}, b"id,rent\n1,2\n", r"no zip \(it starts with b'id,r'\)"),
        ({}, b"", "only 0 bytes came"),
        ({}, b"PK", "only 2 bytes came"),
        ({"Content-Length": "9" * 5000}, ZIP, r"[0-9,]{23} bytes or more, the use case allows 1,000"),
        ({"Content-Length": "5000"}, ZIP, r"5,000 bytes or more, the use case allows 1,000"),
    ],
)
def test_what_can_be_no_download_is_refused(
    download: Callable[[], object], headers: dict[str, str], body: bytes, problem: str
) -> None:
    """Compressed on the way, a bare CSV, nothing, too much."""
    Scripted.answers = {START: (200, headers, body)}

    with pytest.raises(DownloadError, match=problem):
        download()


@pytest.mark.parametrize("length", ["", "\xb2", "many"])
def test_a_body_without_announced_size_is_still_limited(download: Callable[[], object], length: str) -> None:
    """It ends with the connection; more than the limit is refused, less is taken."""
    Scripted.answers = {START: (200, {"Content-Length": length}, ZIP)}
    download()
    Scripted.answers = {START: (200, {"Content-Length": length}, ZIP + bytes(2000))}

    with pytest.raises(DownloadError, match="the use case allows 1,000"):
        download()


def test_memory_does_not_grow_with_the_file(port: int, tmp_path: Path) -> None:
    """40 MB come through in less than 3."""
    Scripted.answers = {START: (200, {}, ZIP + bytes(40_000_000))}
    client = KaggleClient(f"http://127.0.0.1:{port}/", Credentials("Bearer secret"))
    tracemalloc.start()
    client.download("slug", tmp_path / "target.zip", 50_000_000, Deadline.after(60))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert (tmp_path / "target.zip").stat().st_size == 40_000_000 + len(ZIP)
    assert peak < 3_000_000


def test_an_error_that_is_no_json_is_told_by_its_reason(download: Callable[[], object]) -> None:
    """A proxy's page does not end up in the message."""
    Scripted.answers = {START: (404, {}, b"<html>" + b"x" * 100_000)}

    with pytest.raises(Exception, match=r"\(404: Not Found\)"):
        download()


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (rb'{"message": "\ud800 \u001b[31m \u202e \u00e9t\u00e9"}', r"(403: \ud800 \x1b[31m \u202e été)"),
        ('{"message": "Règles\\n\\t不"}'.encode(), "(403: Règles 不)"),
        (b'{"message": ["a", 1]}', "(403: ['a', 1])"),
        (b"[" * 60_000, "(403: Forbidden)"),
        (b'{"message": null}', "(403: Forbidden)"),
    ],
)
def test_what_an_error_says_can_be_printed(download: Callable[[], object], body: bytes, told: str) -> None:
    """Letters of any script as they are; a lone surrogate, which nothing could write, and what a terminal would obey
    as escapes. A body too deep to be read is none."""
    Scripted.answers = {START: (403, {}, body)}

    with pytest.raises(DataSourceError) as caught:
        download()
    assert told in str(caught.value)
    assert "accept the competition's rules" in str(caught.value)


def test_the_name_of_a_source_can_be_printed(download: Callable[[], object]) -> None:
    """It comes from a redirect."""
    Scripted.answers = {START: redirect("gopher://here/\x1b[31m")}

    with pytest.raises(DownloadError, match=r"redirected to gopher://here/\\x1b\[31m, which is not http"):
        download()


@pytest.mark.parametrize("content_range", ["bytes 0-21/" + "9" * 5000, "bytes 0-\xb2/22", "bytes \x1b"])
def test_a_range_that_is_none_is_asked_for_anew(download: Callable[[], object], content_range: str) -> None:
    """Until the attempts are over; the message shows the start of it."""
    Scripted.answers = {START: (206, {"Content-Range": content_range}, ZIP)}

    with pytest.raises(TransientError, match="another part than asked for") as caught:
        download()
    assert len(str(caught.value)) < 1000
    assert "\x1b" not in str(caught.value)


def test_a_refused_connection_is_transient(tmp_path: Path) -> None:
    """Nobody listens: six attempts, then an error that a retry may cure."""
    client = KaggleClient("http://127.0.0.1:9", Credentials("Bearer secret"), Clock(sleep=lambda _: None))

    with pytest.raises(TransientError, match=r"no answer from http://127\.0\.0\.1:9/.*This was attempt 6 of 6"):
        client.download("slug", tmp_path / "target.zip", 1000, Deadline.after(60))

"""Whatever can go wrong between a client and Kaggle can be made to go wrong here, as often as asked for."""

import base64
import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import requests

from local_cloud.kaggle import Edition, Fault, KaggleServer
from local_cloud.kaggle.feed import Files

SLUG = "some-competition"
NOW = datetime(2020, 1, 1, tzinfo=UTC)
CONTENT = bytes(range(256)) * 100


class OneFile:
    def edition(self, now: datetime) -> Edition:
        """Always the same."""
        return Edition("only", NOW)

    def files(self, now: datetime) -> Files:
        """One file."""
        return {"data.bin": CONTENT}


@pytest.fixture
def server() -> Iterator[KaggleServer]:
    """A running data source without faults."""
    with KaggleServer(SLUG, OneFile(), lambda: NOW) as running:
        yield running


def download(server: KaggleServer, timeout: float = 10, **headers: str) -> requests.Response:
    """One attempt, on a connection of its own."""
    with requests.Session() as client:
        client.trust_env = False
        client.auth = (server.username, server.key)
        url = f"{server.base_url}/competitions/data/download/{SLUG}/data.bin"
        return client.get(url, headers=headers, timeout=timeout)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
@pytest.mark.parametrize("at", ["api", "storage"])
def test_a_status_comes_as_often_as_planned(server: KaggleServer, status: int, at: str) -> None:
    """Twice the status with Retry-After, then the data."""
    fault = {"kind": "status", "at": at, "status": status, "times": 2, "retry_after": "7"}
    server.faults.add(Fault.from_mapping(fault))
    answers = [download(server) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [status, status, 200]
    assert [answer.headers.get("Retry-After") for answer in answers] == ["7", "7", None]


def test_kaggles_errors_have_kaggles_body(server: KaggleServer) -> None:
    """A 429 of the API is JSON with code and message."""
    server.faults.add(Fault("status", status=429))

    assert download(server).json() == {"code": 429, "message": "Too Many Requests"}


@pytest.mark.parametrize(("kind", "status"), [("unauthorized", 401), ("rules_not_accepted", 403)])
def test_refusals(server: KaggleServer, kind: str, status: int) -> None:
    """Good credentials may be refused, once."""
    server.faults.add(Fault.from_mapping({"kind": kind}))

    assert [download(server).status_code for _ in range(2)] == [status, 200]


def test_a_redirect_loop(server: KaggleServer) -> None:
    """The API redirects to itself until the client has had enough."""
    server.faults.add(Fault("redirect_loop", times=100))

    with pytest.raises(requests.TooManyRedirects):
        download(server)


@pytest.mark.parametrize("at", ["api", "storage"])
def test_a_web_page_in_place_of_data(server: KaggleServer, at: str) -> None:
    """Status 200, but HTML: what a portal or a login page does."""
    server.faults.add(Fault.from_mapping({"kind": "web_page", "at": at}))
    answer = download(server)

    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/html")


@pytest.mark.parametrize("at", ["api", "storage"])
def test_a_connection_that_ends_without_an_answer(server: KaggleServer, at: str) -> None:
    """The client sees a broken connection, then the data."""
    server.faults.add(Fault.from_mapping({"kind": "disconnect", "at": at}))

    with pytest.raises(requests.ConnectionError):
        download(server)
    assert download(server).content == CONTENT


def test_a_truncated_transfer_can_be_resumed(server: KaggleServer) -> None:
    """The announced length does not arrive; the missing part can be had with a range."""
    server.faults.add(Fault("truncate", after_bytes=20_000))
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        download(server)
    rest = download(server, Range="bytes=20000-")

    assert rest.status_code == 206
    assert rest.content == CONTENT[20_000:]


def test_a_resumed_transfer_can_break_again(server: KaggleServer) -> None:
    """after_bytes counts within the answer: two truncations and a third request give everything."""
    server.faults.add(Fault("truncate", times=2, after_bytes=10_000))
    got = b""
    for _ in range(3):
        with requests.Session() as client:
            client.auth = (server.username, server.key)
            url = f"{server.base_url}/competitions/data/download/{SLUG}/data.bin"
            answer = client.get(url, headers={"Range": f"bytes={len(got)}-"}, stream=True, timeout=10)
            got += answer.raw.read(10_000 if len(got) < 20_000 else None)

    assert got == CONTENT


def test_a_stalled_transfer_goes_on(server: KaggleServer) -> None:
    """A client that is patient enough gets everything."""
    server.faults.add(Fault("stall", after_bytes=5, seconds=0.05))

    assert download(server).content == CONTENT


def test_a_stalled_transfer_runs_into_the_clients_timeout(server: KaggleServer) -> None:
    """A client with a read timeout gives up, and the server is free for the next one."""
    server.faults.add(Fault("stall", after_bytes=5))
    with pytest.raises((requests.ConnectionError, requests.Timeout)):
        download(server, timeout=1)

    assert download(server).content == CONTENT


def test_a_corrupted_transfer_has_true_headers(server: KaggleServer) -> None:
    """One byte is wrong; length and checksum are those of the true data, so the checksum shows it."""
    server.faults.add(Fault("corrupt", after_bytes=123))
    answer = download(server)
    announced = answer.headers["X-Goog-Hash"].partition("md5=")[2]

    assert [n for n, (a, b) in enumerate(zip(answer.content, CONTENT, strict=True)) if a != b] == [123]
    assert base64.b64decode(announced) == hashlib.md5(CONTENT).digest()  # noqa: S324 - what Google gives
    assert download(server).content == CONTENT


def test_a_storage_without_ranges(server: KaggleServer) -> None:
    """A range request may be answered with the whole."""
    server.faults.add(Fault("ignore_range"))
    answer = download(server, Range="bytes=100-")

    assert (answer.status_code, answer.content) == (200, CONTENT)


def test_a_storage_without_checksums(server: KaggleServer) -> None:
    """X-Goog-Hash may be missing."""
    server.faults.add(Fault("no_hash"))

    assert ["X-Goog-Hash" in download(server).headers for _ in range(2)] == [False, True]


def test_a_path_limits_a_fault(server: KaggleServer) -> None:
    """A fault for another path waits."""
    server.faults.add(Fault("status", path="download-all"))

    assert download(server).status_code == 200
    assert [fault.path for fault in server.faults.remaining()] == ["download-all"]


def test_faults_come_in_the_order_of_their_plan(server: KaggleServer) -> None:
    """The oldest fault that fits comes first."""
    server.faults.add(Fault("status", status=500), Fault("status", status=429))

    assert [download(server).status_code for _ in range(3)] == [500, 429, 200]


def test_faults_can_be_planned_over_http(server: KaggleServer) -> None:
    """POST adds one or several, GET tells what is left, DELETE forgets them."""
    url = f"{server.control_url}/faults"
    added = requests.post(url, json=[{"kind": "status", "status": 429, "times": 3}, {"kind": "truncate"}], timeout=10)
    download(server)
    left = requests.get(url, timeout=10).json()["faults"]
    requests.delete(url, timeout=10)

    assert added.status_code == 200
    assert [(fault["kind"], fault["at"], fault["times"]) for fault in left] == [
        ("status", "api", 2),
        ("truncate", "storage", 1),
    ]
    assert download(server).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        '{"kind": "earthquake"}',
        '{"status": 500}',
        '{"kind": "status", "often": 2}',
        '{"kind": "status", "times": "two"}',
        '{"kind": "truncate", "at": "api"}',
        '{"kind": "status", "status": 200}',
        '"status"',
        "not json",
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(server: KaggleServer, body: str) -> None:
    """400 with a reason; nothing is planned."""
    answer = requests.post(f"{server.control_url}/faults", data=body, timeout=10)

    assert answer.status_code == 400
    assert answer.json()["code"] == 400
    assert server.faults.remaining() == []

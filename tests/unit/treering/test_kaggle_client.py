"""A download arrives complete and checked, whatever goes wrong on the way, or ends in an error that helps."""

import base64
import hashlib
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from local_cloud.kaggle import Edition, Fault, KaggleServer
from treering.clock import Clock, Deadline
from treering.errors import CredentialsError, DataSourceError, DownloadError, TransientError
from treering.kaggle import Credentials, Download, KaggleClient
from treering.kaggle import backoff as backoff_module

SLUG = "some-competition"
NOW = datetime(2026, 11, 23, 6, tzinfo=UTC)
LIMIT = 5_000_000


class SomeFiles:
    """A feed whose zip has about 300 kB, and another content in a later edition."""

    def __init__(self) -> None:
        self.number = 1

    def edition(self, now: datetime) -> Edition:
        """The current one."""
        return Edition(f"edition-{self.number}", NOW)

    def files(self, now: datetime) -> dict[str, bytes]:
        """Bytes that do not compress."""
        return {"data.bin": random.Random(self.number).randbytes(300_000)}  # noqa: S311  # content, no secret


@dataclass
class TestTime:
    """Time that passes only while somebody sleeps; chance that is always one half."""

    __test__ = False

    seconds: float = 0.0
    sleeps: list[float] = field(default_factory=list)

    def clock(self) -> Clock:
        """A clock that shows it."""
        return Clock(now=lambda: NOW, monotonic=lambda: self.seconds, sleep=self.sleep, random=lambda: 0.5)

    def sleep(self, seconds: float) -> None:
        """Lets it pass."""
        self.sleeps.append(seconds)
        self.seconds += seconds


@pytest.fixture
def time() -> TestTime:
    """A time that starts at nought."""
    return TestTime()


@pytest.fixture
def feed() -> SomeFiles:
    """What the server serves."""
    return SomeFiles()


@pytest.fixture
def server(feed: SomeFiles) -> Iterator[KaggleServer]:
    """Kaggle's API and storage on loopback addresses."""
    with KaggleServer(SLUG, feed, lambda: NOW) as running:
        yield running


@pytest.fixture
def download(server: KaggleServer, tmp_path: Path, time: TestTime) -> Callable[..., Download]:
    """Downloads to `target.zip` with 900 seconds to spend."""

    def run(
        credentials: Credentials | None = None, limit: int = LIMIT, seconds: float = 900.0, slug: str = SLUG
    ) -> Download:
        client = KaggleClient(server.base_url, credentials or basic(server), time.clock())
        return client.download(slug, tmp_path / "target.zip", limit, Deadline.after(seconds, time.clock()))

    return run


def basic(server: KaggleServer) -> Credentials:
    """The old kind of credentials, valid."""
    return Credentials("Basic " + base64.b64encode(f"{server.username}:{server.key}".encode()).decode())


def storage_requests(server: KaggleServer) -> list[dict[str, Any]]:
    """What the storage was asked."""
    return [request for request in server.requests if request["at"] == "storage"]


@pytest.mark.parametrize("kind", ["basic", "bearer"])
def test_both_kinds_of_credentials_get_the_zip(
    server: KaggleServer, download: Callable[..., Download], tmp_path: Path, kind: str
) -> None:
    """The answer tells where it came from, its size and its hash; the storage never sees the credentials."""
    done = download(basic(server) if kind == "basic" else Credentials(f"Bearer {server.token}"))
    content = (tmp_path / "target.zip").read_bytes()

    assert done.url == f"{server.base_url}/competitions/data/download-all/{SLUG}"
    assert (done.bytes, done.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert [(r["at"], bool(r["authorization"])) for r in server.requests] == [("api", True), ("storage", False)]


def test_a_broken_transfer_goes_on_where_it_broke(
    server: KaggleServer, download: Callable[..., Download], tmp_path: Path, time: TestTime
) -> None:
    """Three breaks: the ranges begin where the parts ended, the whole is right, the waits grow."""
    server.faults.add(Fault("truncate", times=3, after_bytes=70_000))
    done = download()

    assert hashlib.sha256((tmp_path / "target.zip").read_bytes()).hexdigest() == done.sha256
    assert [r["range"] for r in storage_requests(server)] == [
        None,
        "bytes=70000-",
        "bytes=140000-",
        "bytes=210000-",
    ]
    assert time.sleeps == [0.5, 1.0, 2.0]


def test_a_file_that_changed_meanwhile_is_loaded_anew(
    server: KaggleServer, download: Callable[..., Download], feed: SomeFiles, tmp_path: Path, time: TestTime
) -> None:
    """Two halves of different files are never put together."""
    server.faults.add(Fault("truncate", after_bytes=70_000))
    real_sleep = time.sleep
    time.sleep = lambda seconds: (real_sleep(seconds), setattr(feed, "number", 2))[0]  # type: ignore[method-assign]
    done = download()

    with KaggleServer(SLUG, feed, lambda: NOW) as other:
        client = KaggleClient(other.base_url, basic(other))
        expected = client.download(SLUG, tmp_path / "other.zip", LIMIT, Deadline.after(60))
    assert done.sha256 == expected.sha256


def test_a_storage_that_knows_no_ranges_is_asked_for_all_of_it(
    server: KaggleServer, download: Callable[..., Download], tmp_path: Path
) -> None:
    """It answers a range request with the whole file; nothing is there twice."""
    server.faults.add(Fault("truncate", after_bytes=70_000))
    server.faults.add(Fault("ignore_range"))
    done = download()

    assert (tmp_path / "target.zip").stat().st_size == done.bytes
    assert hashlib.sha256((tmp_path / "target.zip").read_bytes()).hexdigest() == done.sha256


def test_a_corrupted_transfer_is_noticed_and_repeated(server: KaggleServer, download: Callable[..., Download]) -> None:
    """One wrong byte, right length: the checksum tells, and the second try is whole."""
    server.faults.add(Fault("corrupt", after_bytes=1000))
    download()

    assert [r["range"] for r in storage_requests(server)] == [None, None]


def test_a_file_that_is_always_corrupt_is_an_error(
    server: KaggleServer, download: Callable[..., Download], tmp_path: Path
) -> None:
    """After the last attempt: both checksums, and no file."""
    server.faults.add(Fault("corrupt", times=99, after_bytes=1000))

    with pytest.raises(
        DownloadError, match=r"its MD5 is [0-9a-f]{32}, announced was [0-9a-f]{32}\. This was attempt 6"
    ):
        download()
    assert not (tmp_path / "target.zip").exists()


def test_without_a_checksum_the_size_still_counts(server: KaggleServer, download: Callable[..., Download]) -> None:
    """A storage may leave X-Goog-Hash out."""
    server.faults.add(Fault("no_hash", times=9))
    server.faults.add(Fault("truncate", after_bytes=10))

    assert download().bytes > 300_000


@pytest.mark.parametrize("at", ["api", "storage"])
@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_busy_server_is_asked_again(
    server: KaggleServer, download: Callable[..., Download], time: TestTime, at: Any, status: int
) -> None:
    """Twice busy, then the file; waits double, at half of their length by chance."""
    server.faults.add(Fault("status", at=at, status=status, times=2))
    download()

    assert time.sleeps == [0.5, 1.0]


@pytest.mark.parametrize(
    ("asked", "waited"),
    [
        ("7", 7.0),
        ("Mon, 23 Nov 2026 06:00:20 GMT", 20.0),
        ("Mon, 23 Nov 2026 05:00:00 GMT", 0.5),
        ("86400", backoff_module.LONGEST_WAIT),
        ("soon", 0.5),
        ("-5", 0.5),
        ("0", 0.5),
        ("Mon, 01 Jan 99999999999999999999 00:00:00 GMT", 0.5),
        ("Mon, 23 Nov 2026 06:00:20 +99999999999999", 0.5),
        ("9" * 400, backoff_module.LONGEST_WAIT),
    ],
)
def test_retry_after_is_honoured_up_to_a_cap(
    server: KaggleServer, download: Callable[..., Download], time: TestTime, asked: str, waited: float
) -> None:
    """Seconds or an HTTP date; nonsense, the past and less than the backoff change nothing."""
    server.faults.add(Fault("status", status=429, retry_after=asked))
    download()

    assert time.sleeps == [waited]


def test_attempts_are_bounded(server: KaggleServer, download: Callable[..., Download], time: TestTime) -> None:
    """Six, then an error that says how it failed, and that later may be better."""
    server.faults.add(Fault("status", status=503, times=99))

    with pytest.raises(TransientError, match=r"answered 503\. This was attempt 6 of 6; try again later"):
        download()
    assert time.sleeps == [0.5, 1.0, 2.0, 4.0, 8.0]


def test_no_wait_reaches_beyond_the_deadline(
    server: KaggleServer, download: Callable[..., Download], time: TestTime
) -> None:
    """A server that asks for a minute while half of one is left: the error comes at once."""
    server.faults.add(Fault("status", status=429, retry_after="60"))

    with pytest.raises(TransientError, match=r"answered 429\. No time is left to wait 60 s"):
        download(seconds=30.0)
    assert time.sleeps == []


def test_a_source_that_stalls_does_not_outlast_the_deadline(server: KaggleServer, tmp_path: Path) -> None:
    """Time is looked at between pieces, and a piece comes as soon as there is a byte; no part of a file stays."""
    server.faults.add(Fault("stall", after_bytes=100, seconds=0.2))
    ticks = iter(range(0, 10_000, 4))
    clock = Clock(now=lambda: NOW, monotonic=lambda: float(next(ticks)), sleep=lambda _: None, random=lambda: 0.5)
    client = KaggleClient(server.base_url, basic(server), clock)

    with pytest.raises(TransientError, match=r"time is nearly up.* raise the function's timeout"):
        client.download(SLUG, tmp_path / "target.zip", LIMIT, Deadline(20.0, clock))
    assert list(tmp_path.iterdir()) == []


def test_a_connection_without_an_answer_is_tried_again(server: KaggleServer, download: Callable[..., Download]) -> None:
    """At Kaggle or at its storage."""
    server.faults.add(Fault("disconnect", at="api"))
    server.faults.add(Fault("disconnect", at="storage"))

    assert download().bytes > 300_000


def test_an_expired_link_is_asked_for_anew(server: KaggleServer, download: Callable[..., Download]) -> None:
    """The storage refuses the signature; the next attempt goes to Kaggle first and gets a fresh one."""
    server.faults.add(Fault("expired_link"))

    assert download().bytes > 300_000


def test_wrong_credentials_are_said_to_be_wrong(server: KaggleServer, download: Callable[..., Download]) -> None:
    """With Kaggle's status, and the command that stores better ones; asked once."""
    with pytest.raises(CredentialsError, match=r"refused the credentials .*401.*--secret-id arn:of:secret "):
        download(Credentials.parse('{"api_token": "wrong"}', "arn:of:secret"))
    assert len(server.requests) == 1


def test_rules_that_are_not_accepted_are_named_with_their_page(
    server: KaggleServer, download: Callable[..., Download]
) -> None:
    """Kaggle's message, and where to accept."""
    server.faults.add(Fault("rules_not_accepted"))

    with pytest.raises(DataSourceError, match=rf"403: .*rules.*https://www\.kaggle\.com/competitions/{SLUG}/rules"):
        download()


def test_an_unknown_competition_is_named(server: KaggleServer, download: Callable[..., Download]) -> None:
    """Not asked for again."""
    with pytest.raises(DataSourceError, match=r"Kaggle has no competition no-such-thing .*404"):
        download(slug="no-such-thing")


@pytest.mark.parametrize("at", ["api", "storage"])
def test_a_web_page_is_no_zip(server: KaggleServer, download: Callable[..., Download], at: Any) -> None:
    """A login page or a portal answers 200."""
    server.faults.add(Fault("web_page", at=at))

    with pytest.raises(DownloadError, match="a web page in place of a zip"):
        download()


def test_a_file_that_is_too_large_is_not_loaded(
    server: KaggleServer, download: Callable[..., Download], tmp_path: Path
) -> None:
    """Its announced size is enough to refuse it."""
    with pytest.raises(DownloadError, match=r"the use case allows 100,000\. .*maximum_megabytes"):
        download(limit=100_000)
    assert not (tmp_path / "target.zip").exists()


@pytest.mark.parametrize("chance", [0.0, 0.25, 0.999999])
def test_backoff_is_spread_over_its_whole_interval(chance: float) -> None:
    """Full jitter: from nothing to 1, 2, 4, … seconds, never more than the cap."""
    waits = [backoff_module.wait(attempt, chance) for attempt in range(1, 100)]

    assert waits[:4] == [chance * 1, chance * 2, chance * 4, chance * 8]
    assert max(waits) == chance * backoff_module.LONGEST_WAIT

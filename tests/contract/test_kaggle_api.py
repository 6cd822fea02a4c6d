"""The data source speaks Kaggle's HTTP API: whatever a client of the real one relies on holds here."""

import base64
import hashlib
import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from urllib3.exceptions import ProtocolError

from local_cloud.kaggle import Edition, Fault, FeedError, KaggleServer
from local_cloud.kaggle.feed import Files
from local_cloud.kaggle.stored_object import crc32c

SLUG = "some-competition"
PUBLISHED = datetime(2020, 2, 3, 4, 5, 6, tzinfo=UTC)
CONTENT = bytes(range(256)) * 100  # 25,600 bytes that do not repeat within a range that a test asks for


class MemoryFeed:
    """Files that a test can exchange."""

    def __init__(self) -> None:
        self.name = "first"
        self.content: Files = {"train.csv": CONTENT, "a folder/notes.txt": b"notes\n"}

    def edition(self, now: datetime) -> Edition:
        """As the test named it."""
        return Edition(self.name, PUBLISHED)

    def files(self, now: datetime) -> Files:
        """What the test put there."""
        return self.content


@pytest.fixture
def feed() -> MemoryFeed:
    """Two files."""
    return MemoryFeed()


@pytest.fixture
def server(feed: MemoryFeed) -> Iterator[KaggleServer]:
    """A running data source."""
    with KaggleServer(SLUG, feed, lambda: PUBLISHED) as running:
        yield running


@pytest.fixture
def session(server: KaggleServer) -> Iterator[requests.Session]:
    """A client with good credentials that follows redirects, as requests does it."""
    with requests.Session() as client:
        client.trust_env = False  # no proxy, no .netrc
        client.auth = (server.username, server.key)
        yield client


def all_files(server: KaggleServer) -> str:
    """URL of the zip of all files."""
    return f"{server.base_url}/competitions/data/download-all/{SLUG}"


def one_file(server: KaggleServer, name: str = "train.csv") -> str:
    """URL of one file."""
    return f"{server.base_url}/competitions/data/download/{SLUG}/{name}"


def signed_url(server: KaggleServer, session: requests.Session, name: str = "train.csv") -> str:
    """Where the API redirects a download to."""
    answer = session.get(one_file(server, name), allow_redirects=False)
    return answer.headers["Location"]


def plain_get(url: str, **headers: str) -> requests.Response:
    """One request without credentials but those in `headers`."""
    with requests.Session() as client:
        client.trust_env = False
        return client.get(url, headers=headers, timeout=10)


class TestDownloads:
    def test_all_files_come_as_one_zip(self, server: KaggleServer, session: requests.Session) -> None:
        """download-all, redirect followed, gives a zip with exactly the competition's files."""
        answer = session.get(all_files(server))
        archive = zipfile.ZipFile(io.BytesIO(answer.content))

        assert answer.status_code == 200
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == {
            "train.csv": CONTENT,
            "a folder/notes.txt": b"notes\n",
        }

    def test_one_file_comes_as_it_is(self, server: KaggleServer, session: requests.Session) -> None:
        """download/<slug>/<file> gives the file's bytes; a slash in its name may be quoted or not."""
        assert session.get(one_file(server)).content == CONTENT
        assert session.get(one_file(server, "a%20folder%2Fnotes.txt")).content == b"notes\n"
        assert session.get(one_file(server, "a%20folder/notes.txt")).content == b"notes\n"

    def test_a_large_file_comes_zipped(self, feed: MemoryFeed) -> None:
        """Where asked for, a single large file arrives as <file>.zip; small ones and the zip of all do not change."""
        with KaggleServer(SLUG, feed, lambda: PUBLISHED, zipped_above=100) as server:
            bearer = {"Authorization": f"Bearer {server.token}"}
            large, small = (
                plain_get(one_file(server), **bearer),
                plain_get(one_file(server, "a%20folder/notes.txt"), **bearer),
            )
            everything = plain_get(all_files(server), **bearer)

        assert zipfile.ZipFile(io.BytesIO(large.content)).read("train.csv") == CONTENT
        assert large.headers["Content-Disposition"] == "attachment; filename=train.csv.zip"
        assert small.content == b"notes\n"
        assert zipfile.ZipFile(io.BytesIO(everything.content)).read("train.csv") == CONTENT

    def test_a_download_redirects_to_another_host(self, server: KaggleServer, session: requests.Session) -> None:
        """The answer is a 302 to a signed URL on another host than the API's, named after the competition."""
        answer = session.get(all_files(server), allow_redirects=False)
        location = urlsplit(answer.headers["Location"])

        assert answer.status_code == 302
        assert location.hostname not in (None, urlsplit(server.base_url).hostname)
        assert location.path.startswith("/kaggle-competitions-data/")
        assert {part.partition("=")[0] for part in location.query.split("&")} == {
            "GoogleAccessId",
            "Expires",
            "Signature",
            "response-content-disposition",
        }

    def test_both_kinds_of_credentials_are_accepted(self, server: KaggleServer) -> None:
        """Basic username:key and Bearer token both lead to the data."""
        basic = base64.b64encode(f"{server.username}:{server.key}".encode()).decode()

        assert plain_get(all_files(server), Authorization=f"Basic {basic}").status_code == 200
        assert plain_get(all_files(server), Authorization=f"Bearer {server.token}").status_code == 200

    def test_head_tells_the_size_without_the_body(self, server: KaggleServer, session: requests.Session) -> None:
        """HEAD has GET's headers and no body, at the API and at the storage."""
        answer = session.head(one_file(server), allow_redirects=True)

        assert answer.status_code == 200
        assert answer.headers["Content-Length"] == str(len(CONTENT))
        assert answer.content == b""

    def test_the_list_names_every_file_with_its_size(self, server: KaggleServer, session: requests.Session) -> None:
        """The list endpoint gives name, size and URL of each file; the URL leads to the file."""
        answer = session.get(f"{server.base_url}/competitions/data/list/{SLUG}").json()

        assert {file["name"]: file["totalBytes"] for file in answer["files"]} == {
            "train.csv": len(CONTENT),
            "a folder/notes.txt": 6,
        }
        assert answer["nextPageToken"] == ""
        assert [session.get(file["url"]).status_code for file in answer["files"]] == [200, 200]

    def test_the_list_comes_in_pages(self, server: KaggleServer, session: requests.Session) -> None:
        """pageSize limits a page, nextPageToken leads to the following one."""
        url = f"{server.base_url}/competitions/data/list/{SLUG}"
        first = session.get(url, params={"pageSize": 1}).json()
        second = session.get(url, params={"pageSize": 1, "pageToken": first["nextPageToken"]}).json()

        assert [file["name"] for file in first["files"] + second["files"]] == ["a folder/notes.txt", "train.csv"]
        assert second["nextPageToken"] == ""

    def test_the_list_begins_at_the_start_without_a_good_token(
        self, server: KaggleServer, session: requests.Session
    ) -> None:
        """A page token that is none ("None", as an older client sends it) is ignored."""
        url = f"{server.base_url}/competitions/data/list/{SLUG}"

        assert len(session.get(url, params={"pageToken": "None", "pageSize": ""}).json()["files"]) == 2


class TestVerification:
    def test_the_checksums_fit_the_bytes(self, server: KaggleServer, session: requests.Session) -> None:
        """X-Goog-Hash holds base64 of MD5 and of big-endian CRC-32C of the body; Content-Length its size."""
        answer = session.get(all_files(server))
        hashes = dict(part.split("=", 1) for part in answer.headers["X-Goog-Hash"].split(","))

        assert base64.b64decode(hashes["md5"]) == hashlib.md5(answer.content).digest()  # noqa: S324 - what Google gives
        assert base64.b64decode(hashes["crc32c"]) == crc32c(answer.content).to_bytes(4, "big")
        assert answer.headers["Content-Length"] == str(len(answer.content))

    def test_crc32c_gives_the_published_values(self) -> None:
        """The CRC-32C of RFC 3720, B.4, and of the usual check string come out."""
        assert crc32c(bytes(32)) == 0x8A9136AA
        assert crc32c(b"\xff" * 32) == 0x62A8AB43
        assert crc32c(b"123456789") == 0xE3069283

    def test_the_same_data_give_the_same_bytes(self, feed: MemoryFeed) -> None:
        """Two servers with the same files give the same zip, ETag and Last-Modified."""
        answers = []
        for _ in range(2):
            with KaggleServer(SLUG, feed, lambda: PUBLISHED) as server:
                answers.append(plain_get(all_files(server), Authorization=f"Bearer {server.token}"))

        assert answers[0].content == answers[1].content
        assert answers[0].headers["ETag"] == answers[1].headers["ETag"]
        assert answers[0].headers["Last-Modified"] == "Mon, 03 Feb 2020 04:05:06 GMT"

    def test_other_data_give_another_etag(
        self, server: KaggleServer, session: requests.Session, feed: MemoryFeed
    ) -> None:
        """A new edition changes the ETag; a link to the old edition still gives the old bytes."""
        old_link = signed_url(server, session)
        before = session.get(one_file(server))
        feed.name, feed.content = "second", {"train.csv": b"new"}
        after = session.get(one_file(server))

        assert after.content == b"new"
        assert before.headers["ETag"] != after.headers["ETag"]
        assert plain_get(old_link).content == CONTENT

    def test_an_edition_is_made_once(self, server: KaggleServer, session: requests.Session, feed: MemoryFeed) -> None:
        """While the edition stays, the feed is not asked for its files again."""
        session.get(all_files(server))
        feed.content = {}

        assert session.get(one_file(server)).content == CONTENT


class TestRanges:
    @pytest.mark.parametrize(
        ("header", "start", "stop"),
        [("bytes=1000-1999", 1000, 2000), ("bytes=25000-", 25000, 25600), ("bytes=-100", 25500, 25600)],
    )
    def test_a_range_gives_that_part(
        self, server: KaggleServer, session: requests.Session, header: str, start: int, stop: int
    ) -> None:
        """206 with exactly the bytes asked for, where they lie in the whole, and the checksum of the whole."""
        answer = plain_get(signed_url(server, session), Range=header)

        assert answer.status_code == 206
        assert answer.content == CONTENT[start:stop]
        assert answer.headers["Content-Range"] == f"bytes {start}-{stop - 1}/{len(CONTENT)}"
        assert answer.headers["Content-Length"] == str(stop - start)
        assert "md5=" in answer.headers["X-Goog-Hash"]

    def test_a_range_behind_the_end_is_refused(self, server: KaggleServer, session: requests.Session) -> None:
        """416, with the true size."""
        answer = plain_get(signed_url(server, session), Range=f"bytes={len(CONTENT)}-")

        assert answer.status_code == 416
        assert answer.headers["Content-Range"] == f"bytes */{len(CONTENT)}"

    def test_if_range_guards_against_changed_data(self, server: KaggleServer, session: requests.Session) -> None:
        """With the current ETag or date the part comes, with another the whole."""
        url = signed_url(server, session)
        whole = plain_get(url)
        etag, modified = whole.headers["ETag"], whole.headers["Last-Modified"]

        assert plain_get(url, Range="bytes=10-", **{"If-Range": etag}).status_code == 206
        assert plain_get(url, Range="bytes=10-", **{"If-Range": modified}).status_code == 206
        changed = plain_get(url, Range="bytes=10-", **{"If-Range": '"other"'})
        assert (changed.status_code, changed.content) == (200, CONTENT)

    @pytest.mark.parametrize("header", ["bytes=0-1,5-6", "lines=1-2", "bytes=9-3", "bytes=-", "nonsense"])
    def test_what_may_be_ignored_is_ignored(self, server: KaggleServer, session: requests.Session, header: str) -> None:
        """Several ranges, other units and broken headers give the whole."""
        answer = plain_get(signed_url(server, session), Range=header)

        assert (answer.status_code, answer.content) == (200, CONTENT)


class TestRefusals:
    @pytest.mark.parametrize(
        "authorization", [None, "Basic bm9ib2R5Om5vdGhpbmc=", "Bearer KGAT_wrong", "Basic", "Digest x"]
    )
    def test_wrong_credentials(self, server: KaggleServer, authorization: str | None) -> None:
        """401 with Kaggle's JSON body, for no credentials and for wrong ones."""
        headers = {} if authorization is None else {"Authorization": authorization}
        answer = plain_get(all_files(server), **headers)

        assert answer.status_code == 401
        assert answer.json() == {"code": 401, "message": "Unauthorized"}

    def test_rules_that_were_not_accepted(self, feed: MemoryFeed) -> None:
        """403 with Kaggle's sentence; the list of files is open all the same."""
        with KaggleServer(SLUG, feed, lambda: PUBLISHED, rules_accepted=False) as server:
            bearer = {"Authorization": f"Bearer {server.token}"}
            answer = plain_get(all_files(server), **bearer)
            listed = plain_get(f"{server.base_url}/competitions/data/list/{SLUG}", **bearer)

        assert answer.status_code == 403
        assert answer.json()["code"] == 403
        assert "accept this competition's rules" in answer.json()["message"]
        assert listed.status_code == 200

    @pytest.mark.parametrize(
        "path",
        [
            "competitions/data/download-all/other-competition",
            f"competitions/data/download/{SLUG}/no-such-file.csv",
            f"competitions/data/download/{SLUG}/../train.csv%2F..",
            f"competitions/data/download/{SLUG}",
            f"competitions/data/download-all/{SLUG}/train.csv",
            "datasets/list",
        ],
    )
    def test_what_does_not_exist(self, server: KaggleServer, session: requests.Session, path: str) -> None:
        """404 with Kaggle's JSON body."""
        answer = session.get(f"{server.base_url}/{path}")

        assert answer.status_code == 404
        assert answer.json() == {"code": 404, "message": "NotFound"}

    def test_the_storage_refuses_a_second_authorization(self, server: KaggleServer, session: requests.Session) -> None:
        """A client that keeps its Authorization header across the redirect gets 401, though the signature is good."""
        url = signed_url(server, session)
        answer = plain_get(url, Authorization=f"Bearer {server.token}")

        assert answer.status_code == 401
        assert b"<Code>AuthenticationRequired</Code>" in answer.content
        assert plain_get(url).status_code == 200

    def test_the_storage_refuses_altered_links(self, server: KaggleServer, session: requests.Session) -> None:
        """403 for another path, a later expiry, a wrong signature, and none."""
        url = signed_url(server, session)
        expires = url.partition("Expires=")[2].partition("&")[0]
        altered = [
            url.replace("train.csv?", "other.csv?"),
            url.replace(f"Expires={expires}", f"Expires={int(expires) + 1}"),
            url.replace("Signature=", "Signature=A"),
            url.partition("?")[0],
        ]

        assert [plain_get(each).status_code for each in altered] == [403, 403, 403, 403]

    def test_the_storage_refuses_expired_links(self, server: KaggleServer, session: requests.Session) -> None:
        """400 ExpiredToken, as Google's storage has it, once the link's time is over."""
        server.faults.add(Fault("expired_link"))
        answer = plain_get(signed_url(server, session))

        assert answer.status_code == 400
        assert b"<Code>ExpiredToken</Code>" in answer.content

    def test_a_feed_that_fails_is_told(self, server: KaggleServer, session: requests.Session, feed: MemoryFeed) -> None:
        """A feed that cannot give its files answers 500 with its reason; nothing else breaks."""

        def fail(now: datetime) -> Files:
            raise FeedError("the disk is gone")

        feed.name, feed.files = "second", fail  # type: ignore[method-assign]
        answer = session.get(all_files(server))

        assert (answer.status_code, answer.json()) == (500, {"code": 500, "message": "the disk is gone"})

    def test_other_methods(self, server: KaggleServer, session: requests.Session) -> None:
        """POST and DELETE on the API and on the storage give 405."""
        url = signed_url(server, session)

        assert session.post(all_files(server), data=b"x").status_code == 405
        assert session.delete(all_files(server)).status_code == 405
        assert requests.post(url, data=b"x", timeout=10).status_code == 405


class TestServer:
    def test_it_listens_on_loopback_addresses_only(self, server: KaggleServer, session: requests.Session) -> None:
        """Neither the API nor the storage can be reached from another machine."""
        hosts = {urlsplit(server.base_url).hostname, urlsplit(signed_url(server, session)).hostname}

        assert all(host == "localhost" or str(host).startswith("127.") for host in hosts)

    def test_nothing_answers_after_close(self, feed: MemoryFeed) -> None:
        """close ends open connections and frees both ports; a second close does nothing."""
        server = KaggleServer(SLUG, feed, lambda: PUBLISHED).start()
        api = server.base_url
        with requests.Session() as client:
            client.auth = (server.username, server.key)
            link = signed_url(server, client)
            client.get(link, auth=lambda request: request)
            server.close()
            server.close()

            for url in (f"{api}/competitions/data/download-all/{SLUG}", link):
                with pytest.raises(requests.ConnectionError):
                    client.get(url, timeout=10)

    def test_a_stalled_transfer_does_not_hold_up_close(self, feed: MemoryFeed) -> None:
        """A client in the middle of a stalled download sees its connection end when the server closes."""
        server = KaggleServer(SLUG, feed, lambda: PUBLISHED, faults=[Fault("stall", after_bytes=10)]).start()
        with requests.Session() as client:
            client.auth = (server.username, server.key)
            answer = client.get(one_file(server), stream=True, timeout=60)
            first = answer.raw.read(10)
            server.close()

            with pytest.raises(ProtocolError, match="IncompleteRead"):
                answer.raw.read()

        assert first == CONTENT[:10]

    def test_credentials_do_not_show(self, server: KaggleServer) -> None:
        """Neither the credentials' text form nor the log of requests holds a secret."""
        plain_get(all_files(server), Authorization=f"Bearer {server.token}")
        shown = repr(server.competition.credentials) + json.dumps(server.requests)

        assert server.key not in shown
        assert server.token not in shown
        assert "Bearer" in shown

    def test_the_log_tells_what_was_asked(self, server: KaggleServer, session: requests.Session) -> None:
        """One entry per request to the API and to the storage, with range and status, also over HTTP."""
        url = signed_url(server, session)
        plain_get(url, Range="bytes=5-")

        entries = [(e["at"], e["method"], e["range"], e["status"]) for e in server.requests]
        assert entries == [("api", "GET", None, 302), ("storage", "GET", "bytes=5-", 206)]
        assert session.get(f"{server.control_url}/requests").json() == {"requests": server.requests}
        session.delete(f"{server.control_url}/requests")
        assert server.requests == []


def test_a_feed_that_cannot_be_read_fails_at_the_start() -> None:
    """start raises the feed's reason, so that it is not met in the first request."""

    class Broken(MemoryFeed):
        def edition(self, now: datetime) -> Edition:
            raise FeedError("nothing there")

    with pytest.raises(FeedError, match="nothing there"):
        KaggleServer(SLUG, Broken(), lambda: PUBLISHED).start()


class TestCommand:
    def test_it_serves_until_it_is_told_to_stop(self, tmp_path: Path) -> None:
        """python -m local_cloud.kaggle prints URL and credentials as JSON, serves, and ends with 0 on SIGTERM."""
        (tmp_path / "train.csv").write_bytes(CONTENT)
        command = [sys.executable, "-m", "local_cloud.kaggle", SLUG, "--source", str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            told = json.loads(process.stdout.readline())
            url = f"{told['base_url']}/competitions/data/download/{SLUG}/train.csv"
            answer = plain_get(url, Authorization=f"Bearer {told['token']}")
            process.terminate()

        assert answer.content == CONTENT
        assert process.returncode == 0

    def test_a_wrong_source_is_told(self, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
        """Exit code 1 and one line that names the folder; no traceback."""
        code = subprocess.call([sys.executable, "-m", "local_cloud.kaggle", SLUG, "--source", str(tmp_path / "none")])
        told = capfd.readouterr().err

        assert code == 1
        assert told.count("\n") == 1
        assert "none" in told

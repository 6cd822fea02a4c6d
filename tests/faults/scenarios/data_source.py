"""Kaggle refuses, is busy, breaks off, or sends something else than it should."""

import zipfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from local_cloud.kaggle import Fault
from tests.faults.houses import CASE, Files, encrypted, zipped
from tests.faults.scenarios.ingestion import Arm, fails, succeeds
from tests.faults.stage import Stage

_GROUP = "data source"
_FOR_EVER = 10_000
_SHORT = 66  # seconds of the function, of which it keeps 60: six for the download, on a busy machine less
_BOMB_BYTES = 20 * 2**20  # zeros, which deflate to a thousandth


def _plan(*faults: Fault) -> Arm:
    return lambda stage: stage.bench.source.plan(*faults)


def _soon(_stage: Stage) -> None:
    """A 429 that asks to come back at a date, two seconds from now."""
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)
    _stage.bench.source.plan(Fault("status", status=429, retry_after=date))


def _archive(change: Callable[[Files], bytes]) -> Arm:
    """Serve a zip that `change` makes of the good files."""
    return lambda stage: stage.bench.source.serve_archive(change(stage.bench.source.table.files()))


def _without(name: str) -> Arm:
    def serve(stage: Stage) -> None:
        files = stage.bench.source.table.files()
        del files[name]
        stage.bench.source.serve(files)

    return serve


_LINK = zipfile.ZipInfo("link")
_LINK.create_system, _LINK.external_attr = 3, 0o120777 << 16
_LABELLED = CASE.source.labelled_file

SCENARIOS = (
    fails(
        "kaggle-401",
        _GROUP,
        "Kaggle answers 401",
        "CredentialsError that says where to get a token and how to store it",
        _plan(Fault("unauthorized", times=_FOR_EVER)),
        "refused the credentials",
        "put-secret-value",
    ),
    fails(
        "kaggle-403",
        _GROUP,
        "403, rules not accepted",
        "DataSourceError with the address of the rules",
        _plan(Fault("rules_not_accepted", times=_FOR_EVER)),
        "accept the competition's rules",
        "/rules",
    ),
    fails(
        "kaggle-404",
        _GROUP,
        "404, no such competition",
        "DataSourceError that says to compare the name",
        _plan(Fault("status", status=404, times=_FOR_EVER)),
        "no competition",
        CASE.source.competition,
    ),
    succeeds(
        "kaggle-429-seconds",
        _GROUP,
        "429, Retry-After in seconds",
        "waits as long as asked, then succeeds",
        _plan(Fault("status", status=429, retry_after="1", times=2)),
    ),
    succeeds("kaggle-429-date", _GROUP, "429, Retry-After as a date", "waits until then, then succeeds", _soon),
    succeeds(
        "kaggle-429-none",
        _GROUP,
        "429 without Retry-After",
        "waits by chance, ever longer, then succeeds",
        _plan(Fault("status", status=429, times=2)),
    ),
    fails(
        "kaggle-429-for-ever",
        _GROUP,
        "429 for ever, asks for a minute",
        "TransientError before the function's time is over",
        _plan(Fault("status", status=429, retry_after="60", times=_FOR_EVER)),
        "answered 429",
        "No time is left to wait 60 s",
        function_seconds=_SHORT,
        one_try=True,
    ),
    succeeds(
        "kaggle-5xx-then-fine",
        _GROUP,
        "500, 502, 503 of API and storage, then fine",
        "tries again, succeeds",
        _plan(
            Fault("status", status=500),
            Fault("status", status=502, at="storage"),
            Fault("status", status=503),
        ),
    ),
    fails(
        "kaggle-5xx-for-ever",
        _GROUP,
        "503 for ever",
        "TransientError",
        _plan(Fault("status", status=503, times=_FOR_EVER)),
        "answered 503",
        "try again later",
        function_seconds=_SHORT,
        one_try=True,
    ),
    fails(
        "kaggle-redirect-loop",
        _GROUP,
        "redirect loop",
        "DownloadError after five redirects",
        _plan(Fault("redirect_loop", times=_FOR_EVER)),
        "redirected more than 5 times",
    ),
    succeeds(
        "kaggle-link-expired",
        _GROUP,
        "the signed link has expired",
        "asks for another, succeeds",
        _plan(Fault("expired_link")),
    ),
    succeeds(
        "kaggle-disconnects",
        _GROUP,
        "API and storage hang up once",
        "tries again, succeeds",
        _plan(Fault("disconnect"), Fault("disconnect", at="storage")),
    ),
    succeeds(
        "kaggle-stalls",
        _GROUP,
        "the download stalls longer than the client waits",
        "goes on where it broke off, succeeds",
        _plan(Fault("stall", seconds=40, after_bytes=2000)),
        seconds=90,
        waits=True,
    ),
    fails(
        "kaggle-stalls-for-ever",
        _GROUP,
        "the download stalls for ever",
        "TransientError before the function's time is over",
        _plan(Fault("stall", seconds=3600, times=_FOR_EVER)),
        "download",
        "time",
        function_seconds=_SHORT,
        waits=True,
    ),
    succeeds(
        "kaggle-truncates",
        _GROUP,
        "the download is truncated twice",
        "goes on where it broke off, succeeds",
        _plan(Fault("truncate", after_bytes=1000, times=2)),
    ),
    succeeds(
        "kaggle-corrupts",
        _GROUP,
        "one byte is wrong once",
        "MD5 tells; starts over, succeeds",
        _plan(Fault("corrupt")),
    ),
    fails(
        "kaggle-corrupts-unseen",
        _GROUP,
        "a byte is wrong, and no checksum comes with it",
        "DownloadError: the zip's own checksum tells",
        lambda stage: stage.bench.source.serve_archive(_flip(zipped(stage.bench.source.table.files()))),
        "no valid zip",
    ),
    fails(
        "kaggle-too-large",
        _GROUP,
        "the download is larger than allowed",
        "DownloadError before a byte of it is stored",
        lambda stage: stage.bench.source.serve_archive(None),
        "the use case allows",
    ),
    fails(
        "kaggle-web-page",
        _GROUP,
        "HTML instead of a zip",
        "DownloadError that says so",
        _plan(Fault("web_page", times=_FOR_EVER)),
        "web page in place of a zip",
    ),
    fails(
        "kaggle-zip-bomb",
        _GROUP,
        "zip bomb",
        "DownloadError before the disk is full",
        _archive(lambda files: zipped(files | {_LABELLED: bytes(_BOMB_BYTES)})),
        "unpacks to more than 200 times",
    ),
    fails(
        "kaggle-path-escape",
        _GROUP,
        "a member of the zip leads out of the folder",
        "DownloadError, nothing is written",
        _archive(lambda files: zipped(files | {"../../etc/passwd": b"x"})),
        "leads out of the folder",
    ),
    fails(
        "kaggle-link-in-zip",
        _GROUP,
        "a member of the zip is a link",
        "DownloadError, nothing is written",
        _archive(lambda files: zipped(files, member=_LINK)),
        "link or device",
    ),
    fails(
        "kaggle-encrypted",
        _GROUP,
        "encrypted zip",
        "DownloadError that names the member",
        _archive(encrypted),
        "encrypted member",
    ),
    fails(
        "kaggle-no-zip",
        _GROUP,
        "something else under the name of a zip",
        "DownloadError that shows how it starts",
        lambda stage: stage.bench.source.serve_archive(b"%PDF-1.7 not a zip"),
        "no zip",
    ),
    fails(
        "kaggle-file-missing",
        _GROUP,
        "the zip lacks a file of the competition",
        "InvalidDataError that names it",
        _without(CASE.source.files[1]),
        f"the file {CASE.source.files[1]} is not in the download",
    ),
    fails(
        "kaggle-labelled-file-missing",
        _GROUP,
        "the zip lacks the file with the target",
        "InvalidDataError that names it",
        _without(_LABELLED),
        f"the file {_LABELLED} is not in the download",
    ),
    fails(
        "kaggle-files-in-folder",
        _GROUP,
        "the zip holds the files in a folder",
        "InvalidDataError that names those that are missing, and what there is",
        _archive(lambda files: zipped({f"data/{name}": content for name, content in files.items()})),
        f"the file {_LABELLED} is not in the download",
        f"the download holds 'data/{CASE.source.files[0]}', ",
    ),
)


def _flip(content: bytes) -> bytes:
    """The archive with a wrong byte in the middle, where the members' compressed bytes are."""
    at = len(content) // 3
    return content[:at] + bytes([content[at] ^ 0xFF]) + content[at + 1 :]

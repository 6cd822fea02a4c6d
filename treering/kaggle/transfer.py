"""A file that arrives in pieces, over several connections: what is there, what is expected, what to ask for next."""

import base64
import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from treering.errors import DownloadError
from treering.kaggle.answers import InterruptionError, printable

_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)")
_ZIP_STARTS = (b"PK\x03\x04", b"PK\x05\x06")  # a member; an archive without members


class Transfer:
    """The file being written, in memory that does not grow with it.

    Use: `headers()` → request → `begin(status, headers)` → `write(chunk)`… → `finish()`, again from the start after
    InterruptionError. `headers()` asks for the rest, on condition that the file is still the same.
    """

    def __init__(self, path: Path, maximum_bytes: int) -> None:
        self._path = path
        self._maximum = maximum_bytes
        self._file = path.open("wb")
        self._size = 0
        self._head = b""  # the first four bytes
        self._total: int | None = None  # size, as announced
        self._md5: str | None = None  # checksum in hex, as announced
        self._validator = ""  # what If-Range takes
        self._md5_so_far = hashlib.md5(usedforsecurity=False)
        self._sha256 = hashlib.sha256()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: BaseException | TracebackType | None) -> None:
        self._file.close()
        if kind is not None:
            self._path.unlink(missing_ok=True)

    @property
    def size(self) -> int:
        """Bytes received so far."""
        return self._size

    @property
    def sha256(self) -> str:
        """SHA-256 of the bytes received so far, in hex."""
        return self._sha256.hexdigest()

    def headers(self) -> dict[str, str]:
        """Request headers: plain bytes; where a part is here that can be told from another file's, only the rest."""
        headers = {"Accept-Encoding": "identity"}
        if self._size and self._validator:
            headers |= {"Range": f"bytes={self._size}-", "If-Range": self._validator}
        return headers

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """Take note of an answer's status (200: all of it, 206: a part) and headers, before its body.

        Raises DownloadError if this can be no zip of allowed size, InterruptionError if it does not fit what is here.
        """
        if headers.get("Content-Encoding", "identity").lower() not in ("", "identity"):
            raise DownloadError("The data source compressed the answer although it was asked not to.")
        content_type = headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if content_type in ("text/html", "application/xhtml+xml"):
            raise DownloadError(
                "The data source answered with a web page in place of a zip. "
                "Check its base URL and whether a proxy is in between."
            )
        length = _announced_length(headers.get("Content-Length", ""))
        md5 = _announced_md5(headers.get("X-Goog-Hash", ""))
        if status == 206:
            total = self._continue(headers.get("Content-Range", ""), length)
            if (self._total or total, self._md5 or md5) != (total, md5 or self._md5):
                self._start_over()
                raise InterruptionError("the file changed during the download")
            self._total, self._md5 = total, md5 or self._md5
        else:
            self._start_over()
            self._total, self._md5 = length, md5
            etag = headers.get("ETag", "")
            self._validator = etag if etag.startswith('"') else headers.get("Last-Modified", "")
        if self._total is not None and self._total > self._maximum:
            raise DownloadError(self._too_large(self._total))

    def write(self, chunk: bytes) -> None:
        """Append bytes. Raises DownloadError once they are too many, or plainly no zip."""
        self._size += len(chunk)
        if self._size > self._maximum:
            raise DownloadError(self._too_large(self._size))
        self._head = (self._head + chunk[:4])[:4]
        if len(self._head) == 4 and self._head not in _ZIP_STARTS:
            raise DownloadError(
                f"The data source answered with something that is no zip (it starts with {self._head!r}). "
                "Check its base URL."
            )
        self._md5_so_far.update(chunk)
        self._sha256.update(chunk)
        self._file.write(chunk)

    def finish(self) -> None:
        """Check size and checksum and close the file. Raises InterruptionError for what may be better next time."""
        if self._total is not None and self._size < self._total:
            raise InterruptionError(f"the connection ended after {self._size:,} of {self._total:,} bytes")
        if self._total is not None and self._size > self._total:
            got, announced = self._size, self._total
            self._start_over()
            raise InterruptionError(f"{got:,} bytes came, {announced:,} were announced", final=DownloadError)
        if self._md5 is not None and self._md5_so_far.hexdigest() != self._md5:
            got_md5, announced_md5 = self._md5_so_far.hexdigest(), self._md5
            self._start_over()
            raise InterruptionError(f"its MD5 is {got_md5}, announced was {announced_md5}", final=DownloadError)
        if self._size < len(_ZIP_STARTS[0]):
            got = self._size
            self._start_over()
            raise InterruptionError(f"only {got} bytes came", final=DownloadError)
        self._file.close()

    def give_up_part(self) -> None:
        """Forget what is here: the next request asks for all of it."""
        self._start_over()

    def _start_over(self) -> None:
        self._file.seek(0)
        self._file.truncate()
        self._size = 0
        self._head = b""
        self._total = None
        self._md5 = None
        self._validator = ""
        self._md5_so_far = hashlib.md5(usedforsecurity=False)
        self._sha256 = hashlib.sha256()

    def _continue(self, content_range: str, length: int | None) -> int | None:
        """Total size according to a 206 answer that goes on where we are; InterruptionError if it does not."""
        match = _CONTENT_RANGE.fullmatch(content_range.strip())
        if (
            match is None
            or int(match[1]) != self._size
            or (length is not None and length != int(match[2]) - int(match[1]) + 1)
        ):
            self._start_over()
            raise InterruptionError(
                f"the data source sent another part than asked for ({printable(content_range) or 'no range'})"
            )
        return self._total if match[3] == "*" else int(match[3])

    def _too_large(self, size: int) -> str:
        return (
            f"The download has {size:,} bytes or more, the use case allows {self._maximum:,}. If that is right, raise "
            "maximum_megabytes of the use case and the function's ephemeral storage."
        )


def _announced_length(content_length: str) -> int | None:
    """Bytes that a `Content-Length` announces; none if it is no number. A very long one is cut: still too much."""
    return int(content_length[:18]) if content_length.isascii() and content_length.isdigit() else None


def _announced_md5(goog_hash: str) -> str | None:
    """MD5 in hex from `X-Goog-Hash: crc32c=…, md5=<base64>` (Cloud Storage, XML API headers); none if it has none."""
    for item in goog_hash.split(","):
        name, _, value = item.strip().partition("=")
        if name == "md5":
            try:
                digest = base64.b64decode(value, validate=True)
            except ValueError:
                return None
            return digest.hex() if len(digest) == 16 else None
    return None

"""An object of the storage: its bytes, and the headers by which Google Cloud Storage lets a client verify them."""

import base64
import hashlib
import mimetypes
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from functools import cached_property
from pathlib import Path

_CHUNK = 64 * 1024
_CRC32C_MAXIMUM = 64 * 2**20  # bytes; the checksum below takes a second for eight megabytes


@dataclass(frozen=True)
class StoredObject:
    """Content (or the file that holds it) under a file name; `published` is its time of last change, UTC."""

    name: str
    content: bytes | Path
    published: datetime

    @cached_property
    def size(self) -> int:
        """In bytes."""
        return len(self.content) if isinstance(self.content, bytes) else self.content.stat().st_size

    @cached_property
    def md5(self) -> bytes:
        """MD5 digest of the content."""
        digest = hashlib.md5(usedforsecurity=False)
        for chunk in self.read(0, self.size):
            digest.update(chunk)
        return digest.digest()

    @property
    def etag(self) -> str:
        """Quoted MD5 in hex, as Google's storage gives it to an object that was uploaded in one part."""
        return f'"{self.md5.hex()}"'

    @property
    def last_modified(self) -> str:
        """`published` as an HTTP date."""
        return format_datetime(self.published, usegmt=True)

    @property
    def content_type(self) -> str:
        """By the file name's ending."""
        return mimetypes.guess_type(self.name)[0] or "application/octet-stream"

    @cached_property
    def goog_hash(self) -> str:
        """Value of X-Goog-Hash: `crc32c=<base64>,md5=<base64>`; without crc32c above 64 MB, which would take too long.

        Source: cloud.google.com/storage/docs/xml-api/reference-headers, "x-goog-hash".
        """
        md5 = f"md5={base64.b64encode(self.md5).decode()}"
        if self.size > _CRC32C_MAXIMUM:
            return md5
        crc = crc32c(b"".join(self.read(0, self.size)))
        return f"crc32c={base64.b64encode(crc.to_bytes(4, 'big')).decode()},{md5}"

    def read(self, start: int, stop: int) -> Iterator[bytes]:
        """The bytes from `start` up to `stop`, in pieces."""
        if isinstance(self.content, bytes):
            for at in range(start, stop, _CHUNK):
                yield self.content[at : min(at + _CHUNK, stop)]
            return
        with self.content.open("rb") as file:
            file.seek(start)
            left = stop - start
            while left > 0 and (chunk := file.read(min(_CHUNK, left))):
                left -= len(chunk)
                yield chunk


def _crc32c_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = (byte >> 1) ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return tuple(table)


_TABLE = _crc32c_table()


def crc32c(content: bytes) -> int:
    """CRC-32C (Castagnoli, reversed polynomial 0x82F63B78) of `content`, by RFC 3720, appendix B.4."""
    crc = 0xFFFFFFFF
    for byte in content:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF

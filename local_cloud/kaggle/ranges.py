"""Range requests, by RFC 9110, section 14."""

import re
from dataclasses import dataclass

_ONE_RANGE = re.compile(r"bytes\s*=\s*(\d*)\s*-\s*(\d*)", re.IGNORECASE)


class UnsatisfiableRangeError(ValueError):
    """No byte of the object lies in the range: the answer is 416."""


@dataclass(frozen=True)
class ByteRange:
    """The bytes from `start` up to (without) `stop`."""

    start: int
    stop: int


def requested_range(header: str | None, size: int) -> ByteRange | None:
    """The part of `size` bytes that a Range header asks for; None for all of it.

    None as well for what a server may ignore: another unit, several ranges, a range that ends before it starts.
    Raises UnsatisfiableRangeError if the range starts behind the end.
    """
    match = _ONE_RANGE.fullmatch(header.strip()) if header else None
    if match is None or match.group(1) == match.group(2) == "":
        return None
    first, last = match.groups()
    if not first:  # the last n bytes
        start, stop = max(size - int(last), 0), size
    else:
        start, stop = int(first), min(int(last) + 1, size) if last else size
        if last and int(last) < start:
            return None
    if start >= size:
        raise UnsatisfiableRangeError(f"{header} of {size} bytes")
    return ByteRange(start, stop)


def still_applies(if_range: str | None, *, etag: str, last_modified: str) -> bool:
    """Whether a Range header counts: without If-Range always, else if the object is still the one it names."""
    return if_range is None or if_range.strip() in (etag, last_modified)

"""Unpacks the files that are wanted from a zip that may be broken or hostile: nothing else, nowhere else, no more.

Limits: MOST_MEMBERS members, a directory of LARGEST_READ bytes, the caller's total of unpacked bytes, LARGEST_RATIO
unpacked bytes to a packed one. Memory does not grow with the archive or its files.
"""

import errno
import hashlib
import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from treering.errors import DownloadError

MOST_MEMBERS = 1000
LARGEST_READ = 1024 * 1024  # bytes at once; zipfile reads the directory of an archive at once
LARGEST_RATIO = 200  # tables pack 3 to 30 times; deflate can do 1032 (zlib, "Technical details")
_RATIO_COUNTS_FROM = 1024 * 1024  # unpacked bytes: what is smaller harms nobody
_CHUNK = 256 * 1024
_ENCRYPTED = 0x1  # APPNOTE.TXT 4.4.4
_UNIX = 3  # APPNOTE.TXT 4.4.2.2
_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    OverflowError,
)
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # zipfile unpacks others without a bound on memory


@dataclass(frozen=True)
class UnpackedFile:
    """A file that was unpacked: where it lies, its size in bytes, the SHA-256 of its content in hex."""

    name: str
    path: Path
    bytes: int
    sha256: str


def unpack(archive: Path, wanted: Iterable[str], folder: Path, maximum_bytes: int) -> dict[str, UnpackedFile]:
    """Write those of the `wanted` files that `archive` holds into `folder`, under their names.

    A file may also be packed once more, by itself, as `<file>.zip`. All files together may have `maximum_bytes`.
    Raises DownloadError for an archive that is broken, or unsafe in any of its members, wanted or not. Files that are
    not there are not in the answer.
    """
    budget = _Budget(maximum_bytes)
    found = {}
    with _opened(archive) as content:
        members = _members(content)
        for name in wanted:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if name in members:
                found[name] = _extract(content, members[name], name, path, budget)
            elif f"{name}.zip" in members:
                inner = path.with_name(path.name + ".zip")
                _extract(content, members[f"{name}.zip"], f"{name}.zip", inner, budget)
                found[name] = _unpack_single(inner, name, path, budget)
                inner.unlink()
    return found


def file_names(archive: Path) -> list[str]:
    """Names of all files that the archive holds, in its order. Raises DownloadError if it is broken."""
    with _opened(archive) as content:
        return [info.filename for info in content.infolist() if not info.is_dir()]


class _Budget:
    """Counts unpacked bytes down to nothing."""

    def __init__(self, maximum: int) -> None:
        self.maximum = maximum
        self._left = maximum

    def spend(self, size: int) -> None:
        self.require(size)
        self._left -= size

    def require(self, size: int) -> None:
        if size > self._left:
            raise DownloadError(
                f"The files of the download have more than {self.maximum:,} bytes unpacked. If that is right, raise "
                "maximum_megabytes of the use case and the function's ephemeral storage."
            )


class _BoundedFile(io.FileIO):
    """A file that refuses to be read in one large piece, whatever sizes the archive claims."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > LARGEST_READ:
            raise DownloadError(
                f"The directory of the downloaded zip claims {size:,} bytes; {LARGEST_READ:,} are allowed."
            )
        return super().read(LARGEST_READ if size is None or size < 0 else size) or b""


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """The open archive; what goes wrong in it becomes DownloadError."""
    try:
        with _BoundedFile(path) as file, zipfile.ZipFile(file) as content:
            yield content
    except _BROKEN as error:
        raise DownloadError(f"The downloaded {path.name} is no valid zip: {error}. Try again later.") from error
    except OSError as error:
        if error.errno != errno.EINVAL:  # the disk, not the archive
            raise
        raise DownloadError(f"The downloaded {path.name} is no valid zip: it points outside of itself.") from error


def _members(content: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """All files in the archive by name. Raises DownloadError if any member is unsafe."""
    infos = content.infolist()
    if len(infos) > MOST_MEMBERS:
        raise DownloadError(f"The downloaded zip has {len(infos):,} members; {MOST_MEMBERS:,} are allowed.")
    members: dict[str, zipfile.ZipInfo] = {}
    for info in infos:
        name = info.filename
        if _leaves_the_folder(name) or _leaves_the_folder(info.orig_filename):
            raise DownloadError(
                f"The downloaded zip has a member {info.orig_filename!r}, which leads out of the folder."
            )
        kind = stat.S_IFMT(info.external_attr >> 16) if info.create_system == _UNIX else 0
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise DownloadError(f"The downloaded zip has a member {name!r} that is a link or device, not a file.")
        if info.flag_bits & _ENCRYPTED:
            raise DownloadError(f"The downloaded zip has an encrypted member {name!r}.")
        if name in members:
            raise DownloadError(f"The downloaded zip has two members {name!r}.")
        members[name] = info
    return members


def _leaves_the_folder(name: str) -> bool:
    return (
        "\\" in name
        or "\0" in name
        or PurePosixPath(name).is_absolute()
        or ".." in PurePosixPath(name).parts
        or PureWindowsPath(name).drive != ""
    )


def _unpack_single(archive: Path, name: str, path: Path, budget: _Budget) -> UnpackedFile:
    """Unpack the only member of an archive that holds one file. Archives in it stay packed."""
    with _opened(archive) as content:
        members = _members(content)
        base = PurePosixPath(name).name
        if list(members) != [base]:
            raise DownloadError(
                f"{name}.zip in the download should hold {base} and nothing else, it holds {sorted(members)[:5]}."
            )
        return _extract(content, members[base], name, path, budget)


def _extract(content: zipfile.ZipFile, info: zipfile.ZipInfo, name: str, path: Path, budget: _Budget) -> UnpackedFile:
    """Write one member to `path`. zipfile checks its CRC at the end."""
    if info.compress_type not in _METHODS:
        raise DownloadError(
            f"{name} in the downloaded zip is packed by method {info.compress_type}; only deflate is read."
        )
    budget.require(info.file_size)  # what says of itself that it is too large is refused at once
    digest = hashlib.sha256()
    size = 0
    with content.open(info) as member, path.open("wb") as file:
        while chunk := member.read(_CHUNK):
            size += len(chunk)
            budget.spend(len(chunk))
            if size > _RATIO_COUNTS_FROM and size > LARGEST_RATIO * max(1, info.compress_size):
                raise DownloadError(
                    f"{name} in the downloaded zip unpacks to more than {LARGEST_RATIO} times its "
                    f"{info.compress_size:,} bytes."
                )
            digest.update(chunk)
            file.write(chunk)
    return UnpackedFile(name, path, size, digest.hexdigest())

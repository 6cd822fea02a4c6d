"""What a competition's data are at a point of time, and the feed that serves a folder or a zip."""

import hashlib
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path, PurePosixPath
from typing import Protocol

from local_cloud.kaggle.description import FeedDescription, FeedError
from local_cloud.kaggle.sale_days import day_of, last_day, spread
from local_cloud.kaggle.table import Table

Files = Mapping[str, bytes | Path]  # file name (with "/" for folders) → its content, or the file that holds it

# What zipfile raises for an archive that is damaged, encrypted (RuntimeError) or packed by a method it does not know.
_BROKEN = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError, ValueError, OSError)
NO_ROWS = "before-the-first-row"


@dataclass(frozen=True)
class Edition:
    """Names one state of a competition's files: the same edition, the same bytes."""

    name: str  # short, fits in a URL's path
    published: datetime  # UTC; since when the files are as they are


class Feed(Protocol):
    """Where the files come from. Called by several threads at a time."""

    def edition(self, now: datetime) -> Edition:
        """Which edition is current at `now`. Cheap."""
        ...

    def files(self, now: datetime) -> Files:
        """The files as they are at `now`."""
        ...


class FolderFeed:
    """The files of a folder (with its subfolders) or of a zip, read once, when it is made.

    With `by_date`, the file `description.labelled_file` holds only the rows whose day (see `sale_days`) has come, in
    their original order; before the first day it holds its header alone. All other files are served as they are.
    Raises FeedError if the source is neither folder nor zip, has no file, or cannot be dated though `by_date` asks it.
    """

    def __init__(self, source: Path, *, by_date: bool = False, description: FeedDescription | None = None) -> None:
        self._files = _read_zip(source) if source.is_file() else _read_folder(source)
        self._fingerprint = _fingerprint(self._files)
        self._published = datetime.fromtimestamp(source.stat().st_mtime, UTC).replace(microsecond=0)
        self._labelled: tuple[str, Table] | None = None
        self._days: tuple[date, ...] = ()
        if not by_date:
            return
        if description is None:
            raise FeedError("by_date needs a description: it names the labelled file and its year and month columns")
        name = description.labelled_file
        if name not in self._files:
            raise FeedError(f"{source} has no {name}, so it cannot be served by date. It has: {', '.join(self._files)}")
        content = self._files[name]
        table = Table.from_csv(content if isinstance(content, bytes) else content.read_bytes(), name)
        self._labelled = name, table
        self._days = spread(
            table, key=description.key, year=description.year_column, month=description.month_column, name=name
        )

    @property
    def days(self) -> tuple[date, ...]:
        """The day of every row of the labelled file, sorted; none where the files are not served by date."""
        return tuple(sorted(self._days))

    def edition(self, now: datetime) -> Edition:
        """One edition for ever; by date, one for each day that brought rows."""
        if self._labelled is None:
            return Edition(self._fingerprint, self._published)
        last = last_day(self._days, day_of(now))
        return Edition(f"{self._fingerprint}-{last or NO_ROWS}", self._published)

    def files(self, now: datetime) -> Files:
        """All files; by date, the labelled one with the rows known at `now`."""
        if self._labelled is None:
            return self._files
        name, table = self._labelled
        today = day_of(now)
        return {**self._files, name: table.where(day <= today for day in self._days).to_csv()}


def _read_folder(folder: Path) -> dict[str, bytes | Path]:
    if not folder.is_dir():
        raise FeedError(
            f"{folder} is neither a folder nor a zip file. Give the folder that holds the competition's files"
        )
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    files: dict[str, bytes | Path] = {}
    for path in found:
        relative = path.relative_to(folder)
        if not any(part.startswith(".") for part in relative.parts):
            files[_as_text(relative)] = path
    if not files:
        raise FeedError(f"{folder} holds no file. Give the folder that holds the competition's files")
    return files


def _as_text(path: Path) -> str:
    """A file's name as the zip will have it: Linux takes any bytes for one, which Python reads as lone surrogates."""
    try:
        path.as_posix().encode()
    except UnicodeEncodeError:
        raise FeedError(f"The name of the file {path.as_posix()!r} is not UTF-8. Rename it, or take it out") from None
    return path.as_posix()


def _read_zip(path: Path) -> dict[str, bytes | Path]:
    try:
        with zipfile.ZipFile(path) as archive:
            members = sorted((m for m in archive.infolist() if not m.is_dir()), key=lambda m: m.filename)
            for member in members:
                name = PurePosixPath(member.filename)
                if name.is_absolute() or ".." in name.parts:
                    raise FeedError(
                        f"{path} holds {member.filename!r}, which leads out of the folder; it is not served"
                    )
            files: dict[str, bytes | Path] = {m.filename: archive.read(m) for m in members}
    except (*_BROKEN, RuntimeError) as error:
        if isinstance(error, FeedError):
            raise
        raise FeedError(f"{path} cannot be read as a zip file: {error}. Give a folder or an unencrypted zip") from error
    if not files:
        raise FeedError(f"{path} holds no file. Give the zip that holds the competition's files")
    return files


def _fingerprint(files: Files) -> str:
    """Names the files' content: by hash where it is in memory, by size and change time where it is on disk."""
    digest = hashlib.sha256()
    for name, content in sorted(files.items()):
        if isinstance(content, bytes):
            state = hashlib.sha256(content).hexdigest()
        else:
            stat = content.stat()
            state = f"{stat.st_size}-{stat.st_mtime_ns}"
        digest.update(f"{name}\0{state}\0".encode())
    return digest.hexdigest()[:12]

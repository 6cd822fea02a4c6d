"""The build context: which of its files an image may hold, and how they get there.

``.dockerignore`` follows https://docs.docker.com/build/concepts/context/#dockerignore-files: patterns are relative to
the context, ``*`` and ``?`` stop at a slash, ``**`` does not, the last line that matches decides, and what lies below
an ignored folder is ignored with it.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

IGNORE_FILE = ".dockerignore"


class ContextError(Exception):
    """A file of the context cannot become part of an image; says which and why."""


@dataclass(frozen=True)
class Context:
    """A folder that a Dockerfile copies from."""

    root: Path
    rules: tuple[tuple[re.Pattern[str], bool], ...] = field(default=())

    @classmethod
    def open(cls, root: Path) -> Context:
        """Read the folder's ``.dockerignore``, if there is one."""
        ignore = root / IGNORE_FILE
        lines = ignore.read_text(encoding="utf-8").splitlines() if ignore.is_file() else []
        return cls(root.resolve(), tuple(rule for line in lines if (rule := _rule(line))))

    def ignores(self, relative: PurePosixPath) -> bool:
        """Whether ``.dockerignore`` leaves a path of the context out."""
        ignored = False
        paths = [str(relative), *(str(parent) for parent in relative.parents if parent.name)]
        for pattern, leaves_out in self.rules:
            if ignored != leaves_out and any(pattern.fullmatch(path) for path in paths):
                ignored = leaves_out
        return ignored

    def find(self, source: str) -> Path:
        """Return the path of a COPY source. Raises ContextError: outside of the context, missing or left out."""
        if any(character in source for character in "*?["):
            raise ContextError(f"the local cloud does not interpret wildcards ({source}): name the file or folder")
        relative = os.path.normpath(source.lstrip("/") or ".")
        path = self.root / relative
        if relative.startswith("..") or not path.resolve().is_relative_to(self.root):
            raise ContextError(f"{source} lies outside of the build context {self.root}")
        if not path.exists():
            raise ContextError(f"{source} does not exist in the build context {self.root}")
        if relative != "." and self.ignores(PurePosixPath(relative)) and not (path.is_dir() and self._has_exceptions):
            raise ContextError(f"{source} is left out of the build context by {self.root / IGNORE_FILE}")
        return path

    def copy(self, source: Path, target: Path, mode: int | None = None) -> None:
        """Copy a file, or what is in a folder, as COPY does; ``mode`` are permissions for every file and folder."""
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            _copy_file(source, target, mode)
            return
        target.mkdir(parents=True, exist_ok=True)
        for path in self._walk(source):
            place = target / path.relative_to(source)
            if path.is_symlink():
                self._copy_link(path, place, source)
            elif path.is_dir():
                place.mkdir(parents=True, exist_ok=True)
            elif path.is_file():
                place.parent.mkdir(parents=True, exist_ok=True)
                _copy_file(path, place, mode)
            else:
                raise ContextError(f"{path} is neither a file nor a folder: remove it, or add it to {IGNORE_FILE}")

    @property
    def _has_exceptions(self) -> bool:
        return any(not leaves_out for _, leaves_out in self.rules)

    def _walk(self, folder: Path) -> Iterator[Path]:
        for entry in sorted(folder.iterdir()):
            ignored = self.ignores(PurePosixPath(entry.relative_to(self.root).as_posix()))
            is_folder = entry.is_dir() and not entry.is_symlink()
            if not ignored:
                yield entry
            if is_folder and (not ignored or self._has_exceptions):
                yield from self._walk(entry)

    def _copy_link(self, link: Path, place: Path, tree: Path) -> None:
        target = os.readlink(link)  # noqa: PTH115  the text itself, which COPY keeps
        if Path(target).is_absolute() or not (link.parent / target).resolve().is_relative_to(tree.resolve()):
            raise ContextError(
                f"the link {link} leads to {target}, out of what is copied: in a container it would lead nowhere; "
                "copy the file itself"
            )
        place.parent.mkdir(parents=True, exist_ok=True)
        place.unlink(missing_ok=True)
        place.symlink_to(target)


def _copy_file(source: Path, target: Path, mode: int | None) -> None:
    if target.is_symlink():
        target.unlink()
    status = source.stat()
    shutil.copyfile(source, target)
    after = source.stat()
    if (after.st_mtime_ns, after.st_size) != (status.st_mtime_ns, target.stat().st_size):
        raise ContextError(f"{source} changed while it was copied: build again")
    target.chmod(stat.S_IMODE(status.st_mode) if mode is None else mode)
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))


def _rule(line: str) -> tuple[re.Pattern[str], bool] | None:
    if line.startswith("#"):
        return None
    text = line.strip()
    leaves_out = not text.startswith("!")
    pattern = os.path.normpath(text.removeprefix("!").strip()).lstrip("/")
    if not text or pattern in ("", "."):
        return None
    return re.compile(_expression(pattern)), leaves_out


def _expression(pattern: str) -> str:
    """A ``.dockerignore`` pattern as a regular expression."""
    result, position = "", 0
    while position < len(pattern):
        character = pattern[position]
        if pattern.startswith("**/", position):
            result, position = result + "(?:.*/)?", position + 3
        elif pattern.startswith("**", position):
            result, position = result + ".*", position + 2
        elif character == "*":
            result, position = result + "[^/]*", position + 1
        elif character == "?":
            result, position = result + "[^/]", position + 1
        elif character == "[" and "]" in pattern[position:]:
            end = pattern.index("]", position)
            result, position = result + pattern[position : end + 1], end + 1
        else:
            if character == "\\" and position + 1 < len(pattern):
                position, character = position + 1, pattern[position + 1]
            result, position = result + re.escape(character), position + 1
    return result

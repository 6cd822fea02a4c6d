"""Files of the state directory: whole or not there, whenever the process is killed; and what is said of a damaged one.

A file is written beside its place, brought to the disk, and renamed: a reader, and the next cloud, sees the old content
or the new. Logs (``.jsonl``) are appended to; a line that was cut off by the end of the process is no line.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

_INSTANT = "$instant"
#: Folders of the state directory whose JSON a cloud cannot do without, and what each holds.
_HOLDS = {
    "services": "the resources of one service",
    "step_functions": "a state machine or an execution",
    "sagemaker/records": "a job, a model or an endpoint",
    "events": "an event that waits for a function or a target",
    "s3_writes": "an object that was being written",
}


class DamagedStateError(RuntimeError):
    """A file of the state directory that cannot be read; the text says which one and what to do."""

    def __init__(self, path: Path, why: str, holds: str = "a part of the cloud's state") -> None:
        super().__init__(
            f"{path} is damaged ({why}). It holds {holds}. Put back a copy of it; or move it away "
            f"(mv {path} {path}.damaged) and start again without what it holds"
        )
        self.path = path


def write(path: Path, content: str, mode: int = 0o600) -> None:
    """Replace a file's content; the folder must exist."""
    unfinished = path.with_name(f"{path.name}.tmp")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)


def to_json(value: Any) -> str:
    """Write a value as JSON; instants keep their type."""
    return json.dumps(value, default=_tagged)


def from_json(text: str) -> Any:
    """Read what ``to_json`` wrote."""
    return json.loads(text, object_hook=_untagged)


def read(path: Path, parse: Callable[[str], Any] = from_json, holds: str = "a part of the cloud's state") -> Any:
    """Read a file that ``write`` wrote. Raises DamagedStateError."""
    try:
        return parse(path.read_text(encoding="utf-8"))
    except ValueError as error:  # no JSON, or no UTF-8
        raise DamagedStateError(path, f"{type(error).__name__}: {error}", holds) from error


def lines(path: Path) -> Iterator[Any]:
    """Read a log's lines, and cut off a last one that is not whole. Raises DamagedStateError for any other."""
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        os.truncate(path, whole)
    for number, line in enumerate(content[:whole].splitlines(), 1):
        try:
            yield json.loads(line)
        except ValueError as error:
            raise DamagedStateError(path, f"line {number}: {error}", "an execution") from error


def check(state: Path) -> None:
    """Read everything that the cloud keeps, before anything starts. Raises DamagedStateError for the first damage."""
    for path in (state / "clock.json", state / "schedules.json"):
        if path.is_file():
            read(path, json.loads)
    for folder, holds in _HOLDS.items():
        for path in sorted((state / folder).glob("**/*.json")):
            read(path, json.loads, holds)
        for path in sorted((state / folder).glob("**/*.jsonl")):
            for _line in lines(path):
                pass


def _tagged(value: Any) -> Any:
    if isinstance(value, datetime):
        return {_INSTANT: value.astimezone(UTC).isoformat()}
    raise TypeError(f"the state directory holds no {type(value).__name__}")


def _untagged(value: dict[str, Any]) -> Any:
    return datetime.fromisoformat(value[_INSTANT]) if value.keys() == {_INSTANT} else value

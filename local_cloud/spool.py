"""Events on their way to a function or a target, on disk until they are dealt with: none is lost with the process.

What was on its way when a cloud was killed is sent again by the next one. So an event comes at least once, and may come
twice, as AWS promises it, too
(https://docs.aws.amazon.com/lambda/latest/dg/invocation-async.html, "at least once").
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from local_cloud import durable_files


class Spool:
    """A folder with one file for each event. Without a folder nothing is kept.

    ``flush`` brings to the disk what dealing with an event has changed elsewhere: call it before ``done``.
    """

    def __init__(self, folder: Path | None = None, flush: Callable[[], object] = lambda: None) -> None:
        self._folder = folder
        self.flush = flush
        self._left: list[Path] = []
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            self._left = sorted(folder.glob("*.json"))

    def put(self, record: Mapping[str, Any]) -> str:
        """Keep an event; gives its ticket."""
        ticket = f"{time.time_ns():020d}-{uuid.uuid4().hex}"
        self.update(ticket, record)
        return ticket

    def update(self, ticket: str, record: Mapping[str, Any]) -> None:
        """Keep what has become of an event."""
        if self._folder is not None:
            durable_files.write(self._folder / f"{ticket}.json", durable_files.to_json(record))

    def done(self, ticket: str) -> None:
        """Forget an event that has been dealt with."""
        if self._folder is not None:
            (self._folder / f"{ticket}.json").unlink(missing_ok=True)

    def waiting(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """The events that an earlier cloud left, oldest first, with their tickets. Raises DamagedStateError."""
        for path in self._left:
            yield path.stem, durable_files.read(path, holds="an event that waits for a function or a target")

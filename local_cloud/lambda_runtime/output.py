"""What a function and the emulator write, line by line."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Line:
    """A line without its end, and when it was read, in milliseconds since 1970."""

    milliseconds: int
    text: str


class Output:
    """The reading end of an environment's output: lines gather until they are taken."""

    def __init__(self, descriptor: int) -> None:
        """Read from a file descriptor, which is closed at its end."""
        self._lines: list[Line] = []
        self._changed = threading.Condition()
        self._ended = False
        self._thread = threading.Thread(target=self._read, args=(descriptor,), name="function output", daemon=True)
        self._thread.start()

    def take(self, until: str | None, patience: float) -> list[Line]:
        """Return the lines so far, and forget them; wait for one that starts with ``until``, or for the end."""
        deadline = time.monotonic() + patience
        with self._changed:
            while not self._ended and not (until and any(line.text.startswith(until) for line in self._lines)):
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    break
                self._changed.wait(remaining)
            lines, self._lines = self._lines, []
            return lines

    def says(self, text: str) -> bool:
        """Whether one of the lines that wait to be taken contains a text."""
        with self._changed:
            return any(text in line.text for line in self._lines)

    def _read(self, descriptor: int) -> None:
        with os.fdopen(descriptor, "rb") as pipe:
            for raw in pipe:
                # the runtime separates the lines of a traceback by carriage returns, to keep them in one event
                text = raw.decode("utf-8", errors="replace").rstrip("\r\n").replace("\r", "\n")
                with self._changed:
                    self._lines.append(Line(time.time_ns() // 1_000_000, text))
                    self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

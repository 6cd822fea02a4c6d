"""How much memory the programs of a sandbox use, and the end of what uses too much.

A limit of address space (RLIMIT_AS, RLIMIT_DATA) gives a MemoryError where AWS kills, and counts what numerical
libraries merely reserve; control groups are rarely an ordinary user's to make. So the memory that the processes really
occupy is looked at all the time, and the largest process is killed when it is too much, as the kernel does on AWS. A
program may thus exceed its limit for some hundredths of a second.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

_INTERVAL_SECONDS = 0.02
_SEARCH_EVERY = 10  # looks between two searches for new processes, which take longer than a look
_PAGE = os.sysconf("SC_PAGE_SIZE")
_MB = 1024 * 1024
_PROC = Path("/proc")
_EMULATOR = "aws-lambda-rie-"  # of Lambda, does not count; as the kernel shortens the program's name


class MemoryMeter:
    """Watches the processes below the sandbox with process ID ``pid``; the limit is in MB."""

    def __init__(self, pid: int, limit_mb: int) -> None:
        self._pid = pid
        self._limit = limit_mb * _MB
        self._limit_mb = limit_mb
        self._processes: list[int] = []
        self._most = 0
        self.exceeded = False  # whether a process was killed

    @property
    def most_mb(self) -> int:
        """The most memory seen so far, in MB, at most the limit."""
        return min(-(-self._most // _MB), self._limit_mb)

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Keep the processes below the limit meanwhile."""
        done = threading.Event()
        thread = threading.Thread(target=self._watch, args=(done,), name="memory", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()
            if not self._processes:
                self._processes = _processes_below(self._pid)
            self._look()

    def _watch(self, done: threading.Event) -> None:
        looks = 0
        while not done.wait(_INTERVAL_SECONDS):
            if looks % _SEARCH_EVERY == 0 or not self._processes:
                self._processes = _processes_below(self._pid)
            looks += 1
            self._look()

    def _look(self) -> None:
        own: dict[int, int] = {}  # memory of their own, without what files back
        resident = 0
        for process in self._processes:
            with contextlib.suppress(OSError, ValueError, IndexError):
                _, pages, shared, *_ = (_PROC / str(process) / "statm").read_text().split()
                own[process] = (int(pages) - int(shared)) * _PAGE
                resident += int(pages) * _PAGE
        self._most = max(self._most, resident)
        if sum(own.values()) > self._limit:
            self._most = max(self._most, self._limit)
            self.exceeded = True
            with contextlib.suppress(ProcessLookupError):
                os.kill(max(own, key=lambda process: own[process]), signal.SIGKILL)


def _processes_below(sandbox: int) -> list[int]:
    """The processes of the program itself: neither process 1 of the sandbox nor Lambda's emulator."""
    children: dict[int, list[int]] = {}
    names: dict[int, str] = {}
    for entry in os.listdir(_PROC):  # noqa: PTH208  pathlib's is slower
        if not entry.isdigit():
            continue
        with contextlib.suppress(OSError):
            # pid (name) state parent …; the name may hold blanks and parentheses
            head, _, tail = (_PROC / entry / "stat").read_text().rpartition(")")
            names[int(entry)] = head.partition("(")[2]
            children.setdefault(int(tail.split()[1]), []).append(int(entry))
    found = []
    waiting = list(children.get(sandbox, []))  # process 1 of the sandbox
    first = set(waiting)
    while waiting:
        process = waiting.pop()
        waiting.extend(children.get(process, []))
        if process not in first and names.get(process) != _EMULATOR:
            found.append(process)
    return found

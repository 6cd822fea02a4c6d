"""Plays scenarios on some benches at the same time, and tells how each ended."""

import sys
import tempfile
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from tests.faults.bench import Bench
from tests.faults.cloud import DifferenceError
from tests.faults.scenario import Scenario
from tests.faults.stage import Stage

_LOOK_SECONDS = 0.5  # a Ctrl-C that comes just before a wait without end would not end it


@dataclass(frozen=True)
class Result:
    """How a scenario ended: `seen` is "ok" or what was different."""

    scenario: Scenario
    seen: str
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether all was as expected."""
        return self.seen == "ok"


def play_all(
    scenarios: Sequence[Scenario], workers: int, tell: Callable[[str], None], keep: Path | None = None
) -> list[Result]:
    """Play all scenarios; the results in their order. Clouds have folders in `keep`, else in one that is removed.

    Ctrl-C ends the clouds in the middle of what they do, and goes on to the caller as KeyboardInterrupt.
    """
    groups: dict[int, list[Scenario]] = {}
    for scenario in scenarios:
        groups.setdefault(id(scenario.play), []).append(scenario)  # those that share an execution
    # the longest first, since at the end they would keep one bench at work and the others idle; those that wait, at the
    # queue's end, are for the first bench to begin with, while the others work
    waiting = deque(sorted(groups.values(), key=lambda group: (group[0].waits, group[0].ingestion, -len(group))))
    results: dict[str, Result] = {}
    lock = threading.Lock()

    def note(result: Result) -> None:
        with lock:
            results[result.scenario.name] = result
            mark = "ok" if result.ok else f"DIFFERS: {result.seen}"
            tell(f"[{len(results):3}/{len(scenarios)}] {result.seconds:5.1f} s  {result.scenario.name}: {mark}")

    with nullcontext(keep) if keep else tempfile.TemporaryDirectory(prefix="treering-faults-") as folder:
        benches = [_Worker(Path(folder) / f"bench-{number}") for number in range(max(1, min(workers, len(groups))))]
        threads = [
            threading.Thread(target=_work, args=(worker, waiting, worker is benches[0], note)) for worker in benches
        ]
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                while thread.is_alive():
                    thread.join(_LOOK_SECONDS)
        finally:  # nothing to do, but after Ctrl-C
            for worker in benches:
                worker.stop()
            for thread in threads:
                if thread.ident is not None:
                    thread.join()
    return [results.get(s.name) or Result(s, "was not played: its bench could not be had", 0) for s in scenarios]


def _work(worker: "_Worker", waiting: deque[list[Scenario]], first: bool, note: Callable[[Result], None]) -> None:
    try:
        while not worker.hopeless:
            try:
                group = waiting.pop() if first and waiting[-1][0].waits else waiting.popleft()
            except IndexError:
                return
            started = time.monotonic()
            seen = worker.play(group[0])
            for scenario in group if not worker.stopped else ():
                note(Result(scenario, seen, (time.monotonic() - started) / len(group)))
    finally:
        worker.close()


class _Worker:
    """Plays one scenario after the other; after one that did not end as expected, on a new bench."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._benches = 0
        self._bench: Bench | None = None
        self._stage: Stage | None = None
        self._failures = 0
        self._lock = threading.Lock()
        self.stopped = False

    @property
    def hopeless(self) -> bool:
        """Whether no more can be played: it was stopped, or several benches in a row could not be had."""
        return self.stopped or self._failures > 1

    def play(self, scenario: Scenario) -> str:
        """Returns "ok" or what was different."""
        try:
            scenario.play(self._ready())
        except DifferenceError as difference:
            self.close()
            return str(difference)
        except Exception as error:  # a scenario that cannot even be played is a difference, too
            if not self.stopped:
                sys.stderr.write(traceback.format_exc())
            self.close()
            return f"{type(error).__name__}: {error}"
        return "ok"

    def stop(self) -> None:
        """End the bench under what is played on it; nothing more is played. May be called in another thread."""
        self.stopped = True
        self.close()

    def close(self) -> None:
        """End the bench."""
        with self._lock:
            bench, self._bench, self._stage = self._bench, None, None
            if bench is not None:
                bench.close()

    def _ready(self) -> Stage:
        if self._stage is None:
            self._benches += 1
            bench = Bench(self._folder / str(self._benches))
            with self._lock:
                self._bench = bench
            if self.stopped:
                raise InterruptedError
            try:
                bench.prepare()
            except BaseException:
                self._failures += 1
                raise
            self._failures = 0
            self._stage = Stage(bench)
        return self._stage

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
    """Play all scenarios; the results in their order. Clouds have folders in `keep`, else in one that is removed."""
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
        threads = [
            threading.Thread(
                target=_work,
                args=(Path(folder) / f"bench-{number}", waiting, number == 0, note, tell),
            )
            for number in range(max(1, min(workers, len(groups))))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return [results.get(s.name) or Result(s, "was not played: its bench could not be had", 0) for s in scenarios]


def _work(
    folder: Path,
    waiting: deque[list[Scenario]],
    first: bool,
    note: Callable[[Result], None],
    tell: Callable[[str], None],
) -> None:
    worker = _Worker(folder, tell)
    try:
        while True:
            try:
                group = waiting.pop() if first and waiting[-1][0].waits else waiting.popleft()
            except IndexError:
                return
            if worker.hopeless:
                return
            started = time.monotonic()
            seen = worker.play(group[0])
            for scenario in group:
                note(Result(scenario, seen, (time.monotonic() - started) / len(group)))
    finally:
        worker.close()


class _Worker:
    """Plays one scenario after the other; after one that did not end as expected, on a new bench."""

    def __init__(self, folder: Path, tell: Callable[[str], None]) -> None:
        self._folder = folder
        self._tell = tell
        self._benches = 0
        self._stage: Stage | None = None
        self._failures = 0

    @property
    def hopeless(self) -> bool:
        """Whether several benches in a row could not be had."""
        return self._failures > 1

    def play(self, scenario: Scenario) -> str:
        """Returns "ok" or what was different."""
        try:
            scenario.play(self._ready())
        except DifferenceError as difference:
            self.close()
            return str(difference)
        except Exception as error:  # a scenario that cannot even be played is a difference, too
            sys.stderr.write(traceback.format_exc())
            self.close()
            return f"{type(error).__name__}: {error}"
        return "ok"

    def close(self) -> None:
        """End the bench."""
        stage, self._stage = self._stage, None
        if stage is not None:
            stage.bench.close()

    def _ready(self) -> Stage:
        if self._stage is None:
            self._benches += 1
            bench = Bench(self._folder / str(self._benches))
            try:
                bench.prepare()
            except BaseException:
                self._failures += 1
                bench.close()
                raise
            self._failures = 0
            self._stage = Stage(bench)
        return self._stage

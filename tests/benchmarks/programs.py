"""Programs measured side by side: each started anew in every round, one after the other; medians of the rounds."""

import argparse
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


@dataclass
class Program:
    """What is started, by a function that is given an empty folder, and what each round of it took.

    The last line that it prints is JSON, as `peers.usage.report` writes it. `memory` (bytes of address space) is all
    that it may have.
    """

    name: str
    argv: Callable[[Path], list[str]]
    memory: int | None = None
    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    megabytes: list[float] = field(default_factory=list)
    result: dict[str, Any] = field(default_factory=dict)

    def run(self) -> None:
        """One round. Ends the benchmark where the program fails."""
        with tempfile.TemporaryDirectory(prefix="treering-benchmark-") as folder:
            argv = [str(word) for word in self.argv(Path(folder))]
            limit = ["prlimit", f"--as={self.memory}"] if self.memory else []
            started = time.perf_counter()
            ran = subprocess.run([*limit, *argv], cwd=ROOT, capture_output=True, text=True, env=_environment())
            took = time.perf_counter() - started
        if ran.returncode:
            sys.exit(f"{' '.join(argv)} ended with {ran.returncode}:\n{ran.stdout[-2000:]}\n{ran.stderr[-2000:]}")
        self.result = json.loads(ran.stdout.splitlines()[-1])
        self.seconds.append(took)
        self.cpu.append(self.result["cpu"])
        self.megabytes.append(self.result["megabytes"])

    @property
    def medians(self) -> dict[str, float]:
        """Seconds, processor seconds, peak megabytes."""
        measured = {"seconds": self.seconds, "cpu": self.cpu, "megabytes": self.megabytes}
        return {name: statistics.median(values) for name, values in measured.items()}


def parser(description: str | None, rounds: int) -> argparse.ArgumentParser:
    """Options that all of these benchmarks have."""
    options = argparse.ArgumentParser(description=description)
    options.add_argument("--rounds", type=int, default=rounds)
    options.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options.add_argument("--quick", action="store_true", help="small data, one round")
    return options


def alternate(programs: Iterable[Program], rounds: int) -> None:
    """Start each program in each round."""
    for number in range(1, rounds + 1):
        for program in programs:
            program.run()
            sys.stderr.write(
                f"round {number}: {program.name}: {program.seconds[-1]:.1f} s, {program.cpu[-1]:.1f} s of processor, "
                f"{program.megabytes[-1]:.0f} MB\n"
            )


def table(title: str, programs: Iterable[Program], base: Program) -> str:
    """One Markdown table; `base` is what the others are compared with."""
    lines = [
        f"| {title} | seconds | ratio | processor seconds | ratio | peak memory, MB |",
        "|---|---|---|---|---|---|",
    ]
    for program in programs:
        found = program.medians
        figures = (
            f"{found['seconds']:.1f}",
            f"{found['seconds'] / base.medians['seconds']:.2f}",
            f"{found['cpu']:.1f}",
            f"{found['cpu'] / base.medians['cpu']:.2f}",
            f"{found['megabytes']:,.0f}",
        )
        lines.append(f"| {program.name} | {' | '.join(figures)} |")
    return "\n".join(lines)


def as_json(programs: Iterable[Program], **more: object) -> str:
    """All that was measured."""
    measured = {p.name: {**p.medians, "rounds": p.seconds, "result": p.result} for p in programs}
    return json.dumps({"python": platform.python_version(), **more, "programs": measured})


@contextmanager
def interruptible() -> Iterator[None]:
    """Ctrl-C and a request to end end the benchmark without a traceback, after its files are gone."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        sys.exit("Interrupted; nothing is left behind.")


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}

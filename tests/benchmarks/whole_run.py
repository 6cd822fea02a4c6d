"""Wall time of the whole local run next to the same steps called one after the other in one process.

Both are started as a user would start them, a new process each time, in turn, after one round that is not counted
(it fills caches). What counts is the ratio of the medians; absolute times are the machine's.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
BAR = 1.5


def timed(argv: list[str]) -> tuple[float, dict[str, float], str]:
    """Seconds of a program, those of its steps, and what it said; stops the benchmark if it fails."""
    started = time.perf_counter()
    ran = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    seconds = time.perf_counter() - started
    if ran.returncode:
        sys.exit(f"{' '.join(argv)} ended with {ran.returncode}:\n{ran.stdout[-2000:]}\n{ran.stderr[-2000:]}")
    answer = json.loads(ran.stdout)
    return seconds, answer.get("seconds", {}), answer.get("message", "")


def main() -> None:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="one round")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    if options.quick:
        options.rounds = 1
    with tempfile.TemporaryDirectory() as state:
        programs = {
            "whole local run (treering run)": [sys.executable, "-m", "cli", "run", "--json", "--state", state],
            "same steps in one process": [sys.executable, "-m", "tests.benchmarks.one_process", f"{state}/feeds"],
        }
        seconds: dict[str, list[float]] = {name: [] for name in programs}
        steps: dict[str, dict[str, float]] = {}
        for number in range(options.rounds + 1):
            for name, argv in programs.items():
                took, steps[name], _ = timed(argv)
                if number:
                    seconds[name].append(took)
                sys.stderr.write(f"round {number}{'' if number else ' (not counted)'}: {name}: {took:.1f} s\n")
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    whole, one = medians.values()
    if options.json:
        print(json.dumps({"seconds": seconds, "medians": medians, "ratio": whole / one, "bar": BAR, "steps": steps}))
        return
    print(f"| seconds, {options.rounds} rounds in turn | median | least | most |\n|---|---|---|---|")
    for name, values in seconds.items():
        print(f"| {name} | {medians[name]:.1f} | {min(values):.1f} | {max(values):.1f} |")
    print(f"\n- ratio {whole / one:.2f}, bar {BAR}: {'met' if whole / one <= BAR else 'missed'}")
    for name, values in steps.items():
        if values:
            print(f"- last round, {name}: " + ", ".join(f"{step} {value:.1f}" for step, value in values.items()))


if __name__ == "__main__":
    main()

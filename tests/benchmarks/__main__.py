"""All benchmarks one after the other, into one document: `make bench`, `make bench-quick`.

Each is a module with a command of its own, which prints a Markdown table and a line for each bar. The document says
with what machine, versions and command each was measured. With --docs, the tables also replace those of
docs/performance.md, below "Measured" at the end of each section.
"""

import argparse
import os
import platform
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from tests.benchmarks.environments import CACHE, HERE, ROOT

# in the order of docs/performance.md
MODULES = {
    "whole_run": "The whole local run",
    "serving": "Serving",
    "training": "Training",
    "ingestion": "Ingestion",
    "preparation": "Preparation",
    "cold_starts": "Cold starts",
    "scale": "Cost and scale",
}
DOCUMENT = CACHE / "table.md"
DOCS = ROOT / "docs" / "performance.md"
_PACKAGES = ("numpy", "scikit-learn")
# Ctrl-C reaches the module as well, which then ends what it started, and need not show where it was
_MODULE = """
import runpy, signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
del sys.argv[0]
try:
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
except KeyboardInterrupt:
    sys.exit(130)
"""


def run(name: str, options: list[str]) -> tuple[str, bool]:
    """What one module printed, below its command, and whether it ended well."""
    module = f"tests.benchmarks.{name}"
    command = [sys.executable, "-c", _MODULE, module, *options]
    begun = time.monotonic()
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            printed, _ = process.communicate()
        except KeyboardInterrupt:
            process.wait()  # it heard of it too
            raise
        except SystemExit:
            process.terminate()
            process.wait()
            raise
    took = time.monotonic() - begun
    said = f"    {' '.join(['python -m', module, *options])}    # {took:.0f} s"
    well = process.returncode == 0
    if process.returncode in (130, -signal.SIGINT):
        raise KeyboardInterrupt
    if not well:
        printed += f"\n**Failed** with exit code {process.returncode}; what it said is on the screen."
    return f"{said}\n\n{printed.strip()}\n", well


def place_in_docs(text: str, name: str) -> tuple[int, int]:
    """Begin and end of what stands below "Measured" in a module's section. Raises ValueError if there is none."""
    begin = text.index(f"\n## {MODULES[name]}\n") + 1
    end = text.find("\n## ", begin) + 1 or len(text)
    heading = "\n### Measured\n"
    return text.index(heading, begin, end) + len(heading), end


def put_into_docs(name: str, section: str) -> None:
    """Replace a module's table in docs/performance.md."""
    text = DOCS.read_text("utf-8")
    begin, end = place_in_docs(text, name)
    behind = "\n" + text[end:] if text[end:] else ""
    DOCS.write_text(f"{text[:begin]}\n{section}{behind}", "utf-8")


def has_place(name: str) -> bool:
    """Whether docs/performance.md has one for a module's table."""
    try:
        place_in_docs(DOCS.read_text("utf-8"), name)
    except ValueError:
        return False
    return True


def machine() -> str:
    """Date, commit, processors, load and versions."""
    model = next((line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")), "")
    processor = model.partition(":")[2].strip() or platform.machine()
    versions = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    git = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    return (
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, commit {git.stdout.strip() or 'unknown'}, "
        f"{len(os.sched_getaffinity(0))} processors ({processor}), load {os.getloadavg()[0]:.1f}, "
        f"Python {platform.python_version()}, {versions}"
    )


def main(arguments: list[str] | None = None) -> int:
    """Run them and write the document. Gives 0, 1 if one failed, or 130 if stopped by Ctrl-C."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("modules", nargs="*", metavar="module", help=f"of {', '.join(MODULES)}; all if none is named")
    parser.add_argument("--quick", action="store_true", help="fewer rounds and rows, under five minutes in all")
    parser.add_argument("--rounds", type=int, help="of each module, instead of its own number")
    parser.add_argument("--output", type=Path, default=DOCUMENT, help=f"the document, {DOCUMENT} if not named")
    parser.add_argument("--docs", action="store_true", help="put the tables into docs/performance.md as well")
    options = parser.parse_args(arguments)
    chosen = options.modules or list(MODULES)
    if unknown := [name for name in chosen if name not in MODULES]:
        parser.error(f"there is no benchmark {', '.join(unknown)}; there are {', '.join(MODULES)}")
    if absent := [name for name in chosen if not (HERE / f"{name}.py").is_file()]:
        parser.error(f"these benchmarks are not in this checkout: {', '.join(absent)}")
    if options.docs and (missing := [MODULES[name] for name in chosen if not has_place(name)]):
        parser.error(f'{DOCS} needs a section "### Measured" at the end of: {", ".join(missing)}')
    given = [*(["--quick"] if options.quick else []), *(["--rounds", str(options.rounds)] if options.rounds else [])]
    sections, failed = [f"# Benchmarks\n\n{machine()}\n"], []
    for name in chosen:
        sys.stderr.write(f"{MODULES[name]} …\n")
        try:
            section, well = run(name, given)
        except KeyboardInterrupt:
            sys.stderr.write("Stopped.\n")
            return 130
        sections.append(f"## {MODULES[name]}\n\n{section}")
        print(sections[-1], flush=True)
        if not well:
            failed.append(name)
        elif options.docs:
            put_into_docs(name, f"{machine()}\n\n{section}")
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text("\n".join(sections), "utf-8")  # after each: what was measured is kept
    if failed:
        sys.stderr.write(f"Failed: {', '.join(failed)}.\n")
    sys.stderr.write(f"Written to {options.output}.\n")
    return 1 if failed else 0


def end_on_sigterm() -> None:
    """Also whoever is killed tidies up."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


if __name__ == "__main__":
    end_on_sigterm()
    sys.exit(main())

"""Cold start of each function's image: what is installed, and what importing its handler costs.

Each function has an environment of its own with nothing but its requirements.txt, as in its image. Every round imports
each handler once in a fresh interpreter. Processor seconds are Lambda's at 1,769 MB, if its processor were this one.
"""

import platform
from pathlib import Path

from tests.benchmarks import programs
from tests.benchmarks.environments import python_with
from tests.benchmarks.programs import ROOT, Program

# what runs in the function's interpreter; {0} is the module
_IMPORT = """
import sys, resource, json
def used():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
before, modules = used(), len(sys.modules)
import {0}
cpu = used() - before
status = open("/proc/self/status").read().split()
print(json.dumps({{
    "cpu": cpu,
    "megabytes": int(status[status.index("VmHWM:") + 1]) * 1024 / 1e6,
    "modules": len(sys.modules) - modules,
}}))
"""


def functions() -> list[str]:
    """Names of all functions."""
    return sorted(path.parent.name for path in (ROOT / "functions").glob("*/app.py"))


def installed(python: Path) -> float:
    """Megabytes (10^6 bytes) of an environment's packages."""
    packages = python.parents[1] / "lib"
    return sum(path.stat().st_size for path in packages.rglob("*") if path.is_file() and path.suffix != ".pyc") / 1e6


def main() -> None:
    """Measure and print one table."""
    options = programs.parser(__doc__, rounds=10).parse_args()
    rounds = 2 if options.quick else options.rounds
    measured: dict[str, Program] = {}
    sizes: dict[str, float] = {}
    with programs.interruptible():
        for name in functions():
            lock = (ROOT / "functions" / name / "requirements.txt").read_text()
            pinned = tuple(line.split(" ")[0] for line in lock.splitlines() if "==" in line and line[0].isalpha())
            python = python_with(f"function-{name}", pinned)
            sizes[name] = installed(python)
            argv = [str(python), "-c", _IMPORT.format(f"functions.{name}.app")]
            measured[name] = Program(name, lambda _, argv=argv: argv)
        programs.alternate(measured.values(), rounds)
    if options.json:
        print(programs.as_json(measured.values(), rounds=rounds, installed=sizes))
        return
    print(
        f"| cold start, Python {platform.python_version()}, medians of {rounds} | seconds, interpreter and import | "
        "import, processor seconds | modules | memory, MB | installed, MB |"
    )
    print("|---|---|---|---|---|---|")
    for name, program in measured.items():
        found = program.medians
        print(
            f"| {name} | {found['seconds']:.2f} | {found['cpu']:.2f} | {program.result['modules']:,} | "
            f"{found['megabytes']:.0f} | {sizes[name]:.0f} |"
        )
    slowest = max(measured.values(), key=lambda program: program.medians["cpu"])
    print(f"\nThe slowest to import is {slowest.name}, {slowest.medians['cpu']:.2f} s.")


if __name__ == "__main__":
    main()

"""Cold start of each function's image: what is installed, and what importing its handler costs.

Each function has an environment of its own with nothing but its requirements.txt, as in its image. Every round imports
each handler once in a fresh interpreter. Processor seconds are Lambda's at 1,769 MB, if its processor were this one.

Beside ingest and create_run_id stands what such functions import elsewhere, and would here if nobody had looked:
Kaggle's own client, which signs in while it is imported, and pandas; boto3 and a tracer where nothing is called.
"""

import platform
from importlib.metadata import version
from pathlib import Path

from tests.benchmarks import programs
from tests.benchmarks.environments import python_with
from tests.benchmarks.programs import ROOT, Program

# what runs in the function's interpreter; {0} are its imports
_IMPORT = """
import sys, resource, json, os
os.environ |= {{"KAGGLE_USERNAME": "nobody", "KAGGLE_KEY": "none"}}
def used():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
before, modules = used(), len(sys.modules)
{0}
cpu = used() - before
status = open("/proc/self/status").read().split()
print(json.dumps({{
    "cpu": cpu,
    "megabytes": int(status[status.index("VmHWM:") + 1]) * 1024 / 1e6,
    "modules": len(sys.modules) - modules,
}}))
"""

_BOTO3 = f"boto3=={version('boto3')}"
_TRACED = f"aws-lambda-powertools[tracer]=={version('aws-lambda-powertools')}"
_TOOLS = "from aws_lambda_powertools import Logger, Metrics, Tracer"
# by the function beside which it stands: what is installed, and what is imported
USUAL = {
    "create_run_id": ((_BOTO3, _TRACED), f"import boto3; {_TOOLS}"),
    "ingest": ((_BOTO3, _TRACED, "kaggle==2.2.3", "pandas==3.1.1"), f"import boto3, kaggle, pandas; {_TOOLS}"),
}


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
            imported = {name: (pinned, f"import functions.{name}.app")}
            if name in USUAL:
                imported[f"{name}, as usual"] = USUAL[name]
            for label, (packages, statements) in imported.items():
                python = python_with("function-" + label.replace(", ", "-").replace(" ", "-"), packages)
                sizes[label] = installed(python)
                argv = [str(python), "-c", _IMPORT.format(statements)]
                measured[label] = Program(label, lambda _, argv=argv: argv)
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
    print()
    for name, (packages, _) in USUAL.items():
        ours, usual = measured[name].medians["cpu"], measured[f"{name}, as usual"].medians["cpu"]
        size = sizes[f"{name}, as usual"] / sizes[name]
        print(
            f"- {name} is imported {usual / ours:.1f} times as fast as {', '.join(packages)}, and installed "
            f"{size:.1f} times as small"
        )


if __name__ == "__main__":
    main()

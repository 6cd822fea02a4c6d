"""The preprocess job at size, next to the same preparation with pandas and scikit-learn, and with polars.

All read the three splits of a dataset version, fit on the training split and write three prepared splits.
"""

import json
import sys
import tempfile
from pathlib import Path

from tests.benchmarks import dataset_at_size, programs
from tests.benchmarks.environments import python_with
from tests.benchmarks.houses_at_size import CASE
from tests.benchmarks.programs import Program

PEERS = {
    "pandas": ("pandas==3.1.1", "pyarrow==26.0.1", "scikit-learn"),
    "polars": ("polars==2.1.0",),
}
_PREPARE = Path(__file__).parent / "peers" / "prepare.py"
_SETTINGS = {
    "key": CASE.columns.key,
    "target": CASE.target.column,
    "numbers": [*CASE.columns.integer, *CASE.columns.number],
    "categories": list(CASE.columns.category),
    "sums": CASE.features.sums,
    "smoothing": CASE.features.category_smoothing,
    "keep": CASE.features.keep,
}


def main() -> None:
    """Measure and print one table."""
    parser = programs.parser(__doc__, rounds=5)
    parser.add_argument("--gigabytes", type=float, default=1.0, help="size of all splits together, of 10^9 bytes")
    parser.add_argument("--rows", type=int, help="their rows, instead of their size")
    options = parser.parse_args()
    megabytes = None if options.rows else (0.03 if options.quick else options.gigabytes) * 1000
    rounds = 1 if options.quick else options.rounds
    with programs.interruptible(), tempfile.TemporaryDirectory(prefix="treering-benchmark-") as folder:
        dataset = Path(folder) / "dataset"
        manifest = dataset_at_size.make(dataset, options.rows, megabytes)
        measured = _programs(dataset)
        programs.alternate(measured, rounds)
    ours, *_ = measured
    rows = sum(manifest.rows.values())
    size = sum(file.bytes for file in manifest.splits.values())
    if options.json:
        print(programs.as_json(measured, rows=rows, bytes=size, rounds=rounds))
        return
    print(programs.table(f"{size / 1e9:.2f} GB, {rows:,} rows, medians of {rounds}", measured, ours))
    peak = ours.medians["megabytes"]
    each = peak * 1e6 / manifest.splits["train"].bytes
    print(f"\nThe job's peak memory is {peak:,.0f} MB, {each:.2f} bytes for each byte of the training split.")


def _programs(dataset: Path) -> list[Program]:
    def job(folder: Path) -> list[str]:
        given = folder / "processing/input"
        given.mkdir(parents=True)
        (given / "dataset").symlink_to(dataset)
        return [sys.executable, "-m", "tests.benchmarks.job_once", "preprocess", str(folder)]

    def peer(tool: str, python: Path) -> Program:
        return Program(
            "pandas and scikit-learn" if tool == "pandas" else tool,
            lambda folder: [str(python), str(_PREPARE), tool, str(dataset), str(folder), json.dumps(_SETTINGS)],
        )

    return [
        Program("Treering, preprocess", job),
        *(peer(tool, python_with(f"prepare-{tool}", needs)) for tool, needs in PEERS.items()),
    ]


if __name__ == "__main__":
    main()

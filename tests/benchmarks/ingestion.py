"""Ingestion at size, next to pandas, polars and duckdb dividing the same file by a hash of the key.

The file looks like the use case's data (see `houses_at_size`). The peers read, divide and write; Treering's `split`
does that, its other rows do more: they check every cell, header and key, and the last is the whole function.
"""

import sys
import tempfile
import zipfile
from pathlib import Path

from tests.benchmarks import houses_at_size, programs
from tests.benchmarks.environments import python_with
from tests.benchmarks.houses_at_size import CASE
from tests.benchmarks.programs import Program

PEERS = {
    "pandas": ("pandas==3.1.1", "pyarrow==26.0.1"),
    "pandas-chunks": ("pandas==3.1.1", "pyarrow==26.0.1"),
    "polars": ("polars==2.1.0",),
    "duckdb": ("duckdb==2.0.0",),
}
# AWS, "Configure Lambda function memory": a function has one vCPU at 1,769 MB, and its share of it below
MEMORY, FULL_PROCESSOR, LONGEST = 1024, 1769, 900  # MB of 2^20 bytes, the same, seconds
_SPLIT = Path(__file__).parent / "peers" / "split.py"


def main() -> None:
    """Measure and print one table."""
    parser = programs.parser(__doc__, rounds=5)
    parser.add_argument("--gigabytes", type=float, default=1.0, help="size of the file, of 10^9 bytes")
    parser.add_argument("--rows", type=int, help="its rows, instead of its size")
    parser.add_argument("--alone", action="store_true", help="no peers, which need more memory than the file is large")
    options = parser.parse_args()
    megabytes = None if options.rows else (0.03 if options.quick else options.gigabytes) * 1000
    rounds = 1 if options.quick else options.rounds
    with programs.interruptible(), tempfile.TemporaryDirectory(prefix="treering-benchmark-") as folder:
        table = Path(folder) / CASE.source.labelled_file
        rows = houses_at_size.write(table, options.rows, megabytes)
        measured = _programs(table, zipped(table), alone=options.alone)
        programs.alternate(measured, rounds)
        size = table.stat().st_size
    split, *_, whole = measured
    if options.json:
        print(programs.as_json(measured, rows=rows, bytes=size, rounds=rounds))
        return
    print(programs.table(f"{size / 1e9:.2f} GB, {rows:,} rows, medians of {rounds}", measured, split))
    seconds = whole.medians["cpu"] * FULL_PROCESSOR / MEMORY
    said = "within" if seconds <= LONGEST else "beyond"
    print(
        f"\nIn a Lambda function of {MEMORY:,} MB, which has {MEMORY / FULL_PROCESSOR:.2f} vCPU, the whole ingestion "
        f"takes {seconds:.0f} s, {said} its {LONGEST} s; download and uploads come on top."
    )
    print(f"It ran in {MEMORY:,} MB of address space; peak memory {whole.medians['megabytes']:.0f} MB.")


def _programs(table: Path, archive: Path, *, alone: bool) -> list[Program]:
    def ours(what: str, source: Path) -> list[str]:
        return [sys.executable, "-m", "tests.benchmarks.ingest_once", what, str(source)]

    def peer(tool: str, python: Path) -> Program:
        name = tool.replace("-", ", in ")
        return Program(name, lambda folder: [str(python), str(_SPLIT), tool, str(table), CASE.columns.key, str(folder)])

    memory = MEMORY * 1024**2
    return [
        Program("Treering, split", lambda folder: [*ours("split", table), str(folder)], memory),
        *(peer(tool, python_with("-".join(needs[0].split("==")), needs)) for tool, needs in PEERS.items() if not alone),
        Program("Treering, validate and split", lambda folder: [*ours("check", table), str(folder)], memory),
        Program("Treering, whole ingestion of the zip", lambda folder: [*ours("whole", archive), str(folder)], memory),
    ]


def zipped(table: Path) -> Path:
    """The download: the table and, for the use case's other files, nothing but a line."""
    archive = table.with_suffix(".zip")
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as content:
        for name in CASE.source.files:
            if name == table.name:
                content.write(table, name)
            else:
                content.writestr(name, "Id\n")
    return archive


if __name__ == "__main__":
    main()

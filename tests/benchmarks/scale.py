"""Processor seconds and memory of ingest, preprocess, train and evaluate as the data grow, with a formula for each.

Every job's own code runs on data sets of growing size, each in a process of its own. The formulas, a + b·n and for
train a + b·n·log2(n) with n rows in all, are fitted to the relative errors; the largest of these is printed. Train
uses all processors, so its job takes its processor seconds divided by their number.
"""

import json
import math
import shutil
import sys
import tarfile
import tempfile
from pathlib import Path

import numpy as np

from tests.benchmarks import dataset_at_size, houses_at_size, programs
from tests.benchmarks.ingestion import zipped
from tests.benchmarks.programs import Program

SIZES, QUICK_SIZES = (3_000, 30_000, 300_000), (3_000, 20_000)
COMPUTED = (3_000, 300_000, 3_000_000, 30_000_000)
JOBS = ("ingest", "preprocess", "train", "evaluate")


def main() -> None:
    """Measure, fit and print one table."""
    parser = programs.parser(__doc__, rounds=1)
    parser.add_argument("--sizes", help="numbers of rows, with commas between", default=",".join(map(str, SIZES)))
    options = parser.parse_args()
    sizes = QUICK_SIZES if options.quick else tuple(int(size) for size in options.sizes.split(","))
    measured: dict[str, list[Program]] = {job: [] for job in JOBS}
    for rows in sizes:
        with programs.interruptible(), tempfile.TemporaryDirectory(prefix="treering-benchmark-") as folder:
            for job, program in _programs(Path(folder), rows).items():
                programs.alternate([program], options.rounds)
                if job == "preprocess":
                    _hand_over(Path(folder))
                if job == "train":
                    _pack(Path(folder))
                measured[job].append(program)
    formulas = {job: fit(job, sizes, [program.medians["cpu"] for program in found]) for job, found in measured.items()}
    if options.json:
        print(json.dumps({"sizes": sizes, "formulas": formulas, "medians": _medians(measured)}))
        return
    print(f"| processor seconds / peak MB | {' | '.join(f'{rows:,} rows' for rows in sizes)} | formula | off by |")
    print("|---|" + "---|" * (len(sizes) + 2))
    for job, found in measured.items():
        cells = [f"{program.medians['cpu']:.1f} / {program.medians['megabytes']:,.0f}" for program in found]
        start, slope, error = formulas[job]
        growth = "n·log2 n" if job == "train" else "n"
        print(f"| {job} | {' | '.join(cells)} | {start:.1f} + {slope:.2e}·{growth} | {error:.0%} |")
    print("\nComputed by the formulas, processor seconds:")
    for rows in COMPUTED:
        print(f"{rows:,} rows: " + ", ".join(f"{job} {seconds(job, rows, formulas[job]):,.0f}" for job in JOBS))


def fit(job: str, sizes: tuple[int, ...], found: list[float]) -> tuple[float, float, float]:
    """Start and slope of the job's formula, neither below 0, and the largest relative error on what was measured."""
    growth, took = np.array([_growth(job, rows) for rows in sizes]), np.array(found)
    scaled = np.stack([1 / took, growth / took], axis=1)  # least squares of the relative errors
    start, slope = np.linalg.lstsq(scaled, np.ones(len(took)), rcond=None)[0].tolist()
    if start < 0:
        start, slope = 0.0, float((growth / took).sum() / ((growth / took) ** 2).sum())
    if slope < 0:
        start, slope = float((1 / took).sum() / (1 / took**2).sum()), 0.0
    return start, slope, float(np.abs((start + slope * growth) / took - 1).max())


def seconds(job: str, rows: int, formula: tuple[float, float, float]) -> float:
    """By the formula."""
    return formula[0] + formula[1] * _growth(job, rows)


def _growth(job: str, rows: int) -> float:
    return rows * math.log2(rows) if job == "train" else rows


def _programs(folder: Path, rows: int) -> dict[str, Program]:
    table = folder / "train.csv"
    houses_at_size.write(table, rows)
    archive = zipped(table)
    table.unlink()
    dataset = folder / "preprocess/processing/input/dataset"
    dataset_at_size.make(dataset, rows)
    shutil.copytree(dataset, folder / "evaluate/processing/input/dataset")
    ingest = [sys.executable, "-m", "tests.benchmarks.ingest_once", "whole", str(archive)]
    found = {"ingest": Program(f"ingest, {rows:,} rows", lambda empty: [*ingest, str(empty)])}
    for job in JOBS[1:]:
        argv = [sys.executable, "-m", "tests.benchmarks.job_once", job, str(folder / job)]
        found[job] = Program(f"{job}, {rows:,} rows", lambda _, argv=argv: argv)
    return found


def _hand_over(folder: Path) -> None:
    """What preprocess wrote, into the channels of train."""
    shutil.copytree(folder / "preprocess/processing/output", folder / "train/input/data")


def _pack(folder: Path) -> None:
    """The model that train wrote, as SageMaker packs it, into an input of evaluate."""
    target = folder / "evaluate/processing/input/model"
    target.mkdir(parents=True)
    with tarfile.open(target / "model.tar.gz", "w:gz", compresslevel=1) as archive:
        archive.add(folder / "train/model", arcname=".")


def _medians(measured: dict[str, list[Program]]) -> dict[str, list[dict[str, float]]]:
    return {job: [program.medians for program in found] for job, found in measured.items()}


if __name__ == "__main__":
    main()

"""The project's training next to plain scikit-learn and others: time to fit, and error on rows held out.

Twice: on the use case's data, every row that the local source gives, divided and preprocessed by the project's own
steps; and on made-up rows by the million (see `synthetic`), with fewer trees. Each fit is a program of its own, started
in turn; all have the same rows, features and number of trees, and all processors. What counts are the ratios of the
medians. Peers are installed into their own environments on first use.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.benchmarks.environments import HERE, ROOT, python_with
from tests.benchmarks.house_model import write_house_splits
from treering import use_case
from treering.steps.csv_columns import read_columns
from treering.steps.fitting import fit, learnt, read_target

FAR_TOO_LONG = 10.0  # times plain scikit-learn's
FASTER, OURS, PLAIN = 2.0, "treering", "scikit-learn, its defaults"
FEATURES = 60  # of the made-up rows: as many as the use case keeps
QUICK_ROWS = 20_000
_SKLEARN = tuple(f"{name}=={version(name)}" for name in ("numpy", "scikit-learn"))
_OWN = {"intelex": ("scikit-learn-intelex==2026.2.0", *_SKLEARN), "lightgbm": ("lightgbm==4.7.0", *_SKLEARN)}
# what the table says of each → how peers/grow.py calls it
METHODS = {
    OURS: "treering",
    PLAIN: "scikit-learn",
    "scikit-learn, max_features 0.33": "scikit-learn 0.33",
    "scikit-learn-intelex, its defaults": "intelex",
    "scikit-learn-intelex, max_features 0.33": "intelex 0.33",
    "scikit-learn's ExtraTrees": "extra trees",
    "LightGBM as a random forest, max_features 0.33, 4,095 leaves": "lightgbm 0.33",
    "scikit-learn's HistGradientBoosting, no forest": "histogram boosting",
}


QUICK = (OURS, PLAIN, "scikit-learn, max_features 0.33", "scikit-learn-intelex, max_features 0.33")


@dataclass
class Fits:
    """What a method took and how far off it was, a value per round; `failed` if it does not run here."""

    seconds: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)
    errors: list[float] = field(default_factory=list)
    failed: str = ""

    def medians(self) -> tuple[float, float, float]:
        """Seconds, processor seconds, error."""
        return statistics.median(self.seconds), statistics.median(self.processor), statistics.median(self.errors)


def houses(folder: Path) -> str:
    """Write the prepared use case: learnt on the training split, compared on the other two. Says what it is."""
    case = use_case.load("house_prices")
    splits = write_house_splits(folder)
    train = read_columns(splits["train"].path)
    others = [read_columns(splits[name].path) for name in ("validation", "test")]
    held_out = {name: [cell for other in others for cell in other[name]] for name in train}
    preprocessing, _, _ = fit(train, case, run_id="20240101-060000-0a1b2c3d", dataset_version="0123456789abcdef")
    matrix, rest = preprocessing.transform(train), preprocessing.transform(held_out)
    target, truth = (learnt(read_target(of, case), preprocessing.log_scale) for of in (train, held_out))
    _save(folder, matrix, target, rest, truth)
    return f"{case.title}: {len(matrix):,} rows, {len(rest):,} held out, {matrix.shape[1]} features"


def synthetic(folder: Path, rows: int) -> str:
    """Write made-up rows, a tenth more held out. Says what they are.

    A third of the features is normal, a third are whole numbers from 0 to 9, a third is rounded lognormal (as areas
    are). The target is a sum over all features, scaled, with weights that fall by a tenth from one to the next, ten
    products of a feature with the sign of another, and noise.
    """
    chance = np.random.default_rng(7)
    count, third = rows + rows // 10, FEATURES // 3
    normal = chance.normal(size=(count, third))
    whole = chance.integers(0, 10, size=(count, third)).astype(float)
    area = np.round(np.exp(chance.normal(size=(count, third))) * 100)
    matrix = np.hstack([normal, whole, area])
    scaled = np.hstack([normal, (whole - 4.5) / 2.87, np.log(area + 1) - 4.6])
    target = scaled[:, chance.permutation(FEATURES)] @ (0.1 * 0.9 ** np.arange(FEATURES))
    for one, other in chance.integers(0, FEATURES, size=(10, 2)):
        target += 0.1 * scaled[:, one] * (scaled[:, other] > 0)
    target += chance.normal(scale=0.1, size=count)
    _save(folder, matrix[:rows], target[:rows], matrix[rows:], target[rows:])
    return f"made-up rows: {rows:,}, {count - rows:,} held out, {FEATURES} features"


def _save(folder: Path, *arrays: NDArray[np.float64]) -> None:
    for name, array in zip(("train", "target", "held_out", "truth"), arrays, strict=True):
        np.save(folder / name, array)


def measure(folder: Path, trees: int, rounds: int, methods: Iterable[str] = METHODS) -> dict[str, Fits]:
    """The methods in turn, `rounds` times, each round with a seed of its own; once only what takes far too long."""
    found = {name: Fits() for name in methods}
    for number in range(1, rounds + 1):
        for name, fits in found.items():
            if fits.failed or (fits.seconds and fits.seconds[0] > FAR_TOO_LONG * found[PLAIN].seconds[0]):
                continue
            try:
                took = _grow(METHODS[name], folder, trees, seed=number)
            except subprocess.CalledProcessError as error:
                if name in (OURS, PLAIN):
                    sys.exit(f"{name} failed:\n{error.stderr}")
                fits.failed = (error.stderr or str(error)).strip().splitlines()[-1]
                continue
            fits.seconds.append(took["seconds"])
            fits.processor.append(took["processor_seconds"])
            fits.errors.append(took["rmse"])
            sys.stderr.write(f"round {number}: {name}: {took['seconds']:.1f} s, RMSE {took['rmse']:.4f}\n")
    return found


def _grow(method: str, folder: Path, trees: int, seed: int) -> dict[str, float]:
    """One fit. Raises CalledProcessError if it cannot be installed or fails."""
    kind = method.partition(" ")[0]
    python = python_with(kind, _OWN[kind]) if kind in _OWN else Path(sys.executable)
    command = [python, HERE / "peers" / "grow.py", method, folder, str(trees), str(seed)]
    environ = {**os.environ, "PYTHONPATH": str(ROOT) if method == "treering" else ""}
    ran = subprocess.run(command, capture_output=True, text=True, env=environ, check=True)
    answer: dict[str, float] = json.loads(ran.stdout.splitlines()[-1])
    return answer


def table(title: str, found: dict[str, Fits]) -> str:
    """One row per method, as Markdown."""
    plain, busy, _ = found[PLAIN].medians()
    heads = (title, "fit, s", "times as fast", "by processor time", "RMSE, held out")
    lines = ["| " + " | ".join(heads) + " |", "|---|---|---|---|---|"]
    for name, fits in found.items():
        if fits.failed:
            lines.append(f"| {name} | failed: {fits.failed} | | | |")
        else:
            seconds, processor, error = fits.medians()
            ratios = f"{plain / seconds:.2f} | {busy / processor:.2f}"
            lines.append(f"| {name} | {seconds:,.2f} | {ratios} | {error:.4f} |")
    return "\n".join(lines)


def verdict(title: str, found: dict[str, Fits]) -> str:
    """The bar: at equal or better error, at most half of plain scikit-learn's time."""
    (ours, _, error), (plain, _, others_error) = found[OURS].medians(), found[PLAIN].medians()
    met = plain / ours >= FASTER and error <= others_error
    return (
        f"{title}: {plain / ours:.2f} times as fast as plain scikit-learn, bar {FASTER:g}, at an error of "
        f"{error:.4f} against {others_error:.4f}: {'met' if met else 'missed'}"
    )


def main() -> None:
    """Measure and print a table for each data set."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="on the use case's data; on the made-up rows, a third")
    parser.add_argument("--rows", type=int, default=1_000_000, help="made-up rows; 0 for none")
    parser.add_argument("--trees", type=int, default=10, help="on the made-up rows")
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS, help="beside the first two")
    parser.add_argument("--quick", action="store_true", help=f"one round, {QUICK_ROWS:,} made-up rows, fewer methods")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    options = parser.parse_args()
    rounds, rows = (1, min(options.rows, QUICK_ROWS)) if options.quick else (options.rounds, options.rows)
    methods = QUICK if options.quick else dict.fromkeys((OURS, PLAIN, *options.methods))
    trees = use_case.load("house_prices").model.n_estimators
    runs: list[tuple[int, int, Callable[[Path], str]]] = [(trees, rounds, houses)]
    if rows:
        runs.append((options.trees, max(1, rounds // 3), lambda folder: synthetic(folder, rows)))
    tables, verdicts, results = [], [], {}
    for trees, times, prepare in runs:
        with tempfile.TemporaryDirectory(prefix="treering-benchmark-") as temporary:
            what = prepare(Path(temporary))
            found = measure(Path(temporary), trees, times, methods)
        title = f"{what}, {trees} trees, medians of {times}"
        tables.append(table(title, found))
        verdicts.append(verdict(what.partition(":")[0], found))
        results[title] = {name: vars(fits) for name, fits in found.items()}
    if options.json:
        print(json.dumps({"command": sys.argv[1:], "results": results}))
        return
    versions = ", ".join(" ".join(needs[0].split("==")) for needs in (_SKLEARN[1:], *_OWN.values()))
    print(f"{len(os.sched_getaffinity(0))} processors, Python {platform.python_version()}, {versions}\n")
    print("\n\n".join(tables) + "\n")
    print("\n".join(f"- {line}" for line in verdicts))


if __name__ == "__main__":
    main()

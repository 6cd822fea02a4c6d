"""The model that all servers answer with: a forest of full-depth trees on the Ames sales, and requests for it."""

import json
import pickle
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from cli.data_source import make_feed
from tests.benchmarks.environments import CACHE
from treering import use_case
from treering.keys import Split
from treering.steps import artefact
from treering.steps.csv_columns import format_columns, read_columns
from treering.steps.fitting import fit, learnt, read_target
from treering.steps.forest import Forest
from treering.steps.splitting import SplitFile, write_splits
from treering.steps.training import grow

LARGEST_BODY = 6 * 1024**2  # bytes


@dataclass(frozen=True)
class HouseModel:
    """Where the model lies (`model/` the artefact, `forest.pickle` scikit-learn's), and what is asked of it."""

    folder: Path
    singles: tuple[bytes, ...]  # CSV with a header and one row
    batch: bytes  # 1,000 rows
    largest: bytes  # as many as 6 MB hold
    expected: tuple[float, ...]  # scikit-learn's predictions of the singles


def write_house_splits(folder: Path) -> dict[Split, SplitFile]:
    """The Ames sales, every row that the local source gives, divided as the ingestion does."""
    case = use_case.load("house_prices")
    feed = make_feed(case, "ames", by_date=False, cache=CACHE)
    table = folder / case.source.labelled_file
    content = feed.files(datetime.now(UTC))[case.source.labelled_file]
    table.write_bytes(content if isinstance(content, bytes) else content.read_bytes())
    (folder / "splits").mkdir()
    return write_splits(table, case, folder / "splits")


def make(folder: Path, trees: int) -> HouseModel:
    """Grow it, store it, and ask scikit-learn."""
    case = use_case.load("house_prices")
    splits = write_house_splits(folder)
    train, test = read_columns(splits["train"].path), read_columns(splits["test"].path)
    preprocessing, _, _ = fit(train, case, run_id="20240101-060000-0a1b2c3d", dataset_version="0123456789abcdef")
    target = learnt(read_target(train, case), preprocessing.log_scale)
    full_depth = {"n_estimators": trees, "min_samples_leaf": 1}  # whatever the use case has, as most forests are
    forest = grow(preprocessing.transform(train), target, case.model.model_copy(update=full_depth))
    flat = Forest.from_sklearn(forest)
    artefact.save(folder / "model", preprocessing, flat, run_id=preprocessing.run_id, hyperparameters={})
    (folder / "forest.pickle").write_bytes(pickle.dumps(forest))
    forest.n_jobs = 1
    predicted = forest.predict(preprocessing.transform(test))
    names, rows = preprocessing.raw_columns, len(predicted)

    def body(numbers: list[int]) -> bytes:
        return format_columns({name: [test[name][number] for number in numbers] for name in names}).encode()

    header, row = len(body([])), len(body(list(range(rows)))) / rows
    return HouseModel(
        folder,
        tuple(body([number]) for number in range(rows)),
        body([number % rows for number in range(1000)]),
        body([number % rows for number in range(int((LARGEST_BODY - header) / row * 0.98))]),
        tuple((np.exp(predicted) if preprocessing.log_scale else predicted).tolist()),
    )


def as_json(body: bytes) -> bytes:
    """The rows of a CSV as BentoML's interface wants them."""
    return json.dumps({"rows": body.decode()}).encode()

"""A dataset version of made-up houses in the use case's own columns, and a run of preprocess and train on it."""

import hashlib
import json
import math
import random
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sagemaker_jobs.preprocess.job import work as preprocess
from sagemaker_jobs.runner import Job
from sagemaker_jobs.train.job import work as train
from treering import use_case
from treering.contracts import DatasetManifest, FileRecord
from treering.keys import SPLITS, Split
from treering.steps.artefact import Artefact
from treering.steps.csv_columns import write_columns

USE_CASE = "house_prices"
VERSION = "0123456789abcdef"
RUN_ID = "20240101-060000-0a1b2c3d"
CASE = use_case.load(USE_CASE)
Columns = dict[str, list[str]]


def make_rows(count: int, seed: int) -> Columns:
    """Rows with some values missing; the target follows from the first two integers and the first category."""
    chance = random.Random(seed)  # noqa: S311  # reproducible, not secret
    columns: Columns = {CASE.columns.key: [f"{seed}-{i}" for i in range(count)]}
    for name in CASE.columns.features:
        kind = CASE.columns.type_of(name)
        values = [str(chance.randint(0, 9)) if kind != "category" else chance.choice("ABCD") for _ in range(count)]
        if kind != "integer":
            values = [value if chance.random() > 0.1 else chance.choice(["NA", ""]) for value in values]
        columns[name] = values
    first, second, level = CASE.columns.integer[0], CASE.columns.integer[1], CASE.columns.category[0]
    columns[CASE.target.column] = [
        str(round(100_000 * math.exp(0.1 * int(a) + 0.03 * int(b) + 0.2 * (c == "A") + chance.gauss(0, 0.02))))
        for a, b, c in zip(columns[first], columns[second], columns[level], strict=True)
    ]
    return columns


def write_dataset(folder: Path, splits: dict[Split, Columns], version: str = VERSION) -> None:
    """A dataset version as a job finds it: three splits and the manifest that describes them."""
    files = {}
    for split, columns in splits.items():
        path = folder / f"{split}.csv"
        write_columns(path, columns)
        content = path.read_bytes()
        files[split] = FileRecord(
            key=f"datasets/x/{version}/{split}.csv",
            bytes=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
            rows=len(columns[CASE.columns.key]),
        )
    manifest = DatasetManifest(
        dataset=CASE.dataset,
        version=version,
        use_case=USE_CASE,
        source="https://example.com/data.zip",
        competition=CASE.source.competition,
        scheduled_at=datetime(2024, 1, 1, tzinfo=UTC),
        downloaded_at=datetime(2024, 1, 1, tzinfo=UTC),
        rows={split: file.rows or 0 for split, file in files.items()},
        columns=(),
        split_salt=CASE.split.salt,
        split_shares=CASE.split.shares,
        raw=(),
        splits=files,
    )
    (folder / "manifest.json").write_text(manifest.to_json())


def preprocess_environment() -> dict[str, str]:
    """What the state machine gives to preprocess."""
    return {"TREERING_USE_CASE": USE_CASE, "TREERING_RUN_ID": RUN_ID, "TREERING_DATASET_VERSION": VERSION}


@dataclass(frozen=True)
class Run:
    """A folder as each job has its own /opt/ml."""

    folder: Path
    splits: dict[Split, Columns]

    @property
    def preprocess_job(self) -> Job:
        """The job that preprocesses."""
        return Job(self.folder / "preprocess", preprocess_environment())

    @property
    def train_job(self) -> Job:
        """The job that trains."""
        return Job(self.folder / "train", {})

    def prepare_training(self, **hyperparameters: str) -> Job:
        """Copy what preprocess wrote into the channels of a training job."""
        job = self.train_job
        for channel in ("train", "validation", "preprocessing"):
            target = job.channel(channel)
            target.mkdir(parents=True, exist_ok=True)
            for path in (self.preprocess_job.output / channel).iterdir():
                (target / path.name).write_bytes(path.read_bytes())
        config = job.root / "input/config"
        config.mkdir(parents=True, exist_ok=True)
        given = {"use_case": USE_CASE, "run_id": RUN_ID, "dataset_version": VERSION, **hyperparameters}
        (config / "hyperparameters.json").write_text(json.dumps(given))
        return job

    def artefact(self) -> Artefact:
        """The model that training wrote."""
        return Artefact.load(self.train_job.model)

    def archive(self, path: Path) -> Path:
        """model.tar.gz, as SageMaker makes it."""
        with tarfile.open(path, "w:gz") as archive:
            for file in sorted(self.train_job.model.iterdir()):
                archive.add(file, file.name)
        return path


Make = Callable[..., Run]


@pytest.fixture(scope="session")
def make_run(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Makes a run: its dataset only, or what preprocess or train made of it too."""

    def make(until: str = "train", splits: dict[Split, Columns] | None = None) -> Run:
        made = {split: make_rows(240 if split == "train" else 60, seed) for seed, split in enumerate(SPLITS)}
        run = Run(tmp_path_factory.mktemp("run"), {**made, **(splits or {})})
        dataset = run.preprocess_job.input("dataset")
        write_dataset(dataset, run.splits)
        if until in ("preprocess", "train"):
            preprocess(run.preprocess_job)
        if until == "train":
            train(run.prepare_training(n_estimators="20"))
        return run

    return make


@pytest.fixture(scope="session")
def run(make_run: Make) -> Run:
    """A run that preprocess and train have finished; not to be changed."""
    return make_run()


@pytest.fixture(scope="session")
def artefact(run: Run) -> Artefact:
    """Its model."""
    return run.artefact()


@pytest.fixture
def fresh_run(make_run: Make) -> Run:
    """A run that has its dataset only."""
    return make_run(until="dataset")


@pytest.fixture(scope="session")
def rows_of() -> Callable[[int, int], Columns]:
    """The function `make_rows`."""
    return make_rows


@pytest.fixture(scope="session")
def dataset_writer() -> Callable[..., None]:
    """The function `write_dataset`."""
    return write_dataset

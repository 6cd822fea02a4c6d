"""The job image alone, as SageMaker starts it: a mounted /opt/ml, no network, a root that cannot be written to."""

import contextlib
import json
import re
import shutil
import tarfile
from pathlib import Path

import pytest

from tests.containers.conftest import Images, Place, WeeklyRun
from tests.containers.measurements import Measurements
from tests.containers.sagemaker_like import Ended, run, serving

USE_CASE = "house_prices"


def files(folder: Path) -> dict[str, bytes]:
    """Contents of all files below a folder, but for what the local cloud notes beside its objects."""
    paths = [path for path in folder.rglob("*") if path.is_file() and not path.name.endswith(".meta.json")]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def copied(source: Path, target: Path) -> Path:
    """A folder's objects, without what the local cloud notes beside them."""
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("*.meta.json"))
    return target


@pytest.fixture(scope="module")
def job_image(images: Images) -> str:
    """What the engine knows the job image by."""
    assert images.job.engine_image is not None
    return images.job.engine_image.reference


@pytest.fixture(scope="module")
def run_folder(weekly_run: WeeklyRun) -> Path:
    """What the weekly run in the local cloud made."""
    return weekly_run.bucket / "runs" / weekly_run.report["run_id"]


@pytest.fixture(scope="module")
def preprocessed(
    place: Place,
    job_image: str,
    weekly_run: WeeklyRun,
    measurements: Measurements,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Ended, Path]:
    """`preprocess` on the weekly run's dataset version: how it ended, and /opt/ml."""
    ml = tmp_path_factory.mktemp("preprocess") / "ml"
    version = weekly_run.report["dataset_version"]
    copied(weekly_run.bucket / "datasets" / "house-prices" / version, ml / "processing" / "input" / "dataset")
    (ml / "processing" / "output").mkdir()
    variables = {
        "TREERING_USE_CASE": USE_CASE,
        "TREERING_RUN_ID": weekly_run.report["run_id"],
        "TREERING_DATASET_VERSION": version,
    }
    with measurements.seconds("job image", "preprocess_seconds"):
        ended = run(place.engine, job_image, ml, entrypoint="preprocess", variables=variables)
    return ended, ml


@pytest.fixture(scope="module")
def trained(
    place: Place,
    job_image: str,
    preprocessed: tuple[Ended, Path],
    weekly_run: WeeklyRun,
    measurements: Measurements,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Ended, Path]:
    """`train` on what `preprocess` made: how it ended, and /opt/ml."""
    ml = tmp_path_factory.mktemp("train") / "ml"
    for channel in ("train", "validation", "preprocessing"):
        shutil.copytree(preprocessed[1] / "processing" / "output" / channel, ml / "input" / "data" / channel)
    for folder in ("input/config", "model", "output/data"):
        (ml / folder).mkdir(parents=True)
    hyperparameters = {
        "use_case": USE_CASE,
        "run_id": weekly_run.report["run_id"],
        "dataset_version": weekly_run.report["dataset_version"],
    }
    (ml / "input" / "config" / "hyperparameters.json").write_text(json.dumps(hyperparameters))
    with measurements.seconds("job image", "train_seconds"):
        ended = run(place.engine, job_image, ml, program=["train"])
    return ended, ml


@pytest.fixture
def model(trained: tuple[Ended, Path], tmp_path: Path) -> Path:
    """An /opt/ml with the trained model in it."""
    shutil.copytree(trained[1] / "model", tmp_path / "ml" / "model")
    return tmp_path / "ml"


def test_preprocess_makes_what_the_weekly_run_made(preprocessed: tuple[Ended, Path], run_folder: Path) -> None:
    """Without network, with nothing but its declared input, `preprocess` writes the very files of the weekly run."""
    ended, ml = preprocessed

    assert ended.code == 0, ended.output
    assert files(ml / "processing" / "output") == files(run_folder / "preprocess")
    assert (ml / "output" / "message").read_text().startswith("Prepared ")


def test_train_makes_the_model_of_the_weekly_run(
    trained: tuple[Ended, Path], weekly_run: WeeklyRun, run_folder: Path, tmp_path: Path
) -> None:
    """`docker run image train` writes the weekly run's model, and prints the metrics that SageMaker looks for."""
    ended, ml = trained
    (archive,) = run_folder.glob("train/*/output/model.tar.gz")
    with tarfile.open(archive) as tar:
        theirs = {member.name: tar.extractfile(member) for member in tar if member.isfile()}
        expected = {name: file.read() for name, file in theirs.items() if file is not None}
    printed = re.search(r"^validation:rmse_log=([0-9.eE+-]+)$", ended.output, re.MULTILINE)

    assert ended.code == 0, ended.output
    assert files(ml / "model") == expected
    assert printed is not None
    assert float(printed[1]) == pytest.approx(weekly_run.report["train"]["validation"]["rmse_log"])


def test_train_says_why_it_failed(place: Place, job_image: str, tmp_path: Path) -> None:
    """Without its channels `train` ends with exit code 1, and /opt/ml/output/failure says what is missing."""
    (tmp_path / "input" / "config").mkdir(parents=True)
    ended = run(place.engine, job_image, tmp_path, program=["train"])

    assert ended.code == 1
    assert "hyperparameters.json cannot be read" in (tmp_path / "output" / "failure").read_text()


def test_serve_answers_with_the_model(
    place: Place, job_image: str, model: Path, weekly_run: WeeklyRun, measurements: Measurements
) -> None:
    """`docker run image serve` answers /ping and /invocations of a model it only reads, and ends on SIGTERM."""
    version = weekly_run.report["dataset_version"]
    rows = weekly_run.bucket / "datasets" / "house-prices" / version / "test.csv"
    shutil.copy(rows, model / "rows.csv")
    examples = weekly_run.report["test_endpoint"]["examples"]
    with contextlib.ExitStack() as ending:
        with measurements.seconds("job image", "serve_cold_start_seconds"):
            server = ending.enter_context(serving(place.engine, job_image, model, ["serve"]))
            healthy, _ = server.ask_soon("/ping")
        status, body = server.ask("/invocations", "text/csv", "/opt/ml/rows.csv")
        refused, _ = server.ask("/invocations", "image/png", "/opt/ml/rows.csv")
        code = server.stop()
    predictions = [float(line) for line in body.split()]

    assert (healthy, status) == (200, 200)
    assert len(predictions) == weekly_run.report["dataset"]["rows"]["test"]
    assert {example["predicted"] for example in examples} <= set(predictions)
    assert refused == 415
    assert code == 0

"""One engine, its images and one weekly run for all tests of this folder; nothing of them is left afterwards."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from local_cloud.containers import container
from local_cloud.containers.bases import BaseImages
from local_cloud.containers.engine import Engine, EngineMissingError, find_engine, remove
from local_cloud.containers.images import ContainerImages
from local_cloud.images import ImageRegistry, ImageSpec
from tests.containers.measurements import Measurements

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".treering" / "cache"  # the archive that stand-ins are made of; `make clean` removes it
FUNCTIONS = sorted(path.parent.name for path in (ROOT / "functions").glob("*/app.py"))
_MEASUREMENTS = pytest.StashKey[tuple[Measurements, str]]()
_MEGABYTE = 1e6


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--measurements FILE`."""
    default = ROOT / ".treering" / "containers.json"
    parser.addoption("--measurements", type=Path, default=default, help="JSON file for sizes and start-up times")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print what was measured."""
    if _MEASUREMENTS not in config.stash:
        return
    measurements, engine = config.stash[_MEASUREMENTS]
    file: Path = config.getoption("--measurements")
    measurements.save(file, engine)
    terminalreporter.section(f"sizes and start-up times ({engine}; {file})")
    for line in measurements.lines():
        terminalreporter.write_line(line)


@dataclass(frozen=True)
class Place:
    """A state folder for `treering`, and the engine that it uses."""

    state: Path
    engine: Engine
    bases: BaseImages


@pytest.fixture(scope="session")
def place(pytestconfig: pytest.Config) -> Iterator[Place]:
    """The engine, with storage of its own where it is Podman's; removed with everything in it."""
    state = Path(tempfile.mkdtemp(prefix="treering-containers-"))
    folder = state / "containers"
    CACHE.mkdir(parents=True, exist_ok=True)
    (state / "cache").symlink_to(CACHE)
    try:
        engine = find_engine(folder)
    except EngineMissingError as missing:
        pytest.skip(str(missing))
    pytestconfig.stash[_MEASUREMENTS] = (Measurements(), f"{engine.name} {engine.version}")
    try:
        yield Place(state, engine, BaseImages(engine, CACHE))
    finally:
        container.remove_all()
        remove(engine, folder)
        shutil.rmtree(state)


@pytest.fixture(scope="session")
def measurements(place: Place, pytestconfig: pytest.Config) -> Measurements:
    """Where tests note what they measured."""
    return pytestconfig.stash[_MEASUREMENTS][0]


@dataclass(frozen=True)
class Images:
    """The repository's images."""

    job: ImageSpec
    functions: Mapping[str, ImageSpec]


@pytest.fixture(scope="session")
def images(place: Place, measurements: Measurements, tmp_path_factory: pytest.TempPathFactory) -> Images:
    """All images, built by the engine from the repository's Dockerfiles."""
    state = tmp_path_factory.mktemp("images")
    builder = ContainerImages(place.engine, place.bases, ImageRegistry(state), state)

    def build(subject: str, name: str, dockerfile: str, **arguments: str) -> ImageSpec:
        with measurements.seconds(subject, "build_seconds"):
            image = builder.build(name, dockerfile=ROOT / dockerfile, context=ROOT, build_args=arguments)
        assert image.engine_image is not None
        size = place.engine.run("image", "inspect", "--format", "{{.Size}}", image.engine_image.reference)
        measurements.note(subject, "size_megabytes", int(size) / _MEGABYTE)
        return image

    def base(subject: str, dockerfile: str) -> None:
        with measurements.seconds(subject, "pull_or_make_seconds"):
            place.bases.find(base_of(ROOT / dockerfile))

    base("jobs' base image", "sagemaker_jobs/Dockerfile")
    with ThreadPoolExecutor(2) as pool:
        job = pool.submit(build, "job image", "jobs", "sagemaker_jobs/Dockerfile")  # the longest first
        pool.submit(base, "functions' base image", "functions/Dockerfile").result()
        functions = {
            name: pool.submit(build, f"function {name}", name, "functions/Dockerfile", FUNCTION=name)
            for name in FUNCTIONS
        }
        return Images(job.result(), {name: future.result() for name, future in functions.items()})


@dataclass(frozen=True)
class WeeklyRun:
    """What `treering run --containers` said; the folder of its local cloud, and the bucket's in it."""

    report: Mapping[str, Any]
    state: Path
    bucket: Path


@pytest.fixture(scope="session")
def begun(place: Place, images: Images, measurements: Measurements) -> Iterator[Future[WeeklyRun]]:
    """One weekly run in containers, in the state folder whose engine already has the images' layers.

    The tests that do not need it run meanwhile: it waits more than it works.
    """

    def run() -> WeeklyRun:
        with measurements.seconds("treering run --containers", "all_seconds"):
            done = treering("run", "--containers", "--json", "--state", str(place.state))
        assert done.returncode == 0, done.stderr
        report = json.loads(done.stdout)
        (folder,) = (place.state / "runs").iterdir()
        (bucket,) = (folder / "s3" / "000000000000").glob("treering-databucket-*")
        return WeeklyRun(report, folder, bucket)

    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(run)


@pytest.fixture(scope="session")
def weekly_run(begun: Future[WeeklyRun]) -> WeeklyRun:
    """The weekly run, at its end."""
    return begun.result()


def base_of(dockerfile: Path) -> str:
    """The base image that a Dockerfile names."""
    (reference,) = re.findall(r"^ARG BASE_IMAGE=(\S+)$", dockerfile.read_text(), re.MULTILINE)
    return str(reference)


def treering(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the command in this checkout to its end."""
    return subprocess.run(
        [sys.executable, str(ROOT / "cli"), *arguments],
        env=os.environ | variables, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip

"""The images: their own packages suffice, and they hold no others."""

import json
import re
import tomllib
from pathlib import Path

import pytest

from local_cloud.containers.engine import Engine
from local_cloud.images import ImageSpec
from tests.containers.conftest import FUNCTIONS, ROOT, Images, Place, base_of
from tests.containers.measurements import Measurements
from tests.containers.sagemaker_like import serving

pytestmark = pytest.mark.usefixtures("begun")

_IMPORT_ALL = """
import importlib, pkgutil, sagemaker_jobs
for module in pkgutil.walk_packages(sagemaker_jobs.__path__, "sagemaker_jobs."):
    if not module.name.endswith(".__main__"):
        importlib.import_module(module.name)
"""
_INVOCATIONS = "/2015-03-31/functions/function/invocations"


def reference(image: ImageSpec) -> str:
    """What the engine knows an image by."""
    assert image.engine_image is not None
    return image.engine_image.reference


def packages(engine: Engine, image: str) -> dict[str, str]:
    """Python packages of an image: normalised name → version."""
    listed = engine.run(
        "run", "--rm", "--network=none", "--entrypoint=python3", image, "-m", "pip", "list", "--format=json"
    )
    return {re.sub(r"[-_.]+", "-", item["name"]).lower(): item["version"] for item in json.loads(listed)}


def pins(requirements: Path) -> set[tuple[str, str]]:
    """The pinned packages of a requirements file, for any Python: normalised names with versions."""
    found = re.findall(r"^([\w.-]+)(?:\[[\w,-]+\])?==([\w.]+)", requirements.read_text(), re.MULTILINE)
    return {(re.sub(r"[-_.]+", "-", name).lower(), version) for name, version in found}


def own_packages() -> set[tuple[str, str]]:
    """Packages that the repository itself holds, and an image may install beside the pinned ones."""
    projects = [tomllib.loads(path.read_text())["project"] for path in ROOT.glob("*/pyproject.toml")]
    return {(project["name"], project["version"]) for project in projects}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_starts_with_its_own_packages(
    place: Place, images: Images, function: str, tmp_path: Path, measurements: Measurements
) -> None:
    """Under its image's own entry point, without network, each handler is imported and checks its event."""
    image, handler = reference(images.functions[function]), f"functions.{function}.app.handler"
    event = tmp_path / "event.json"
    event.write_text("{}")
    variables = {"AWS_LAMBDA_FUNCTION_TIMEOUT": "60", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1024"}
    with serving(place.engine, image, tmp_path, [handler], variables) as server:
        with measurements.seconds(f"function {function}", "cold_start_seconds"):
            status, body = server.ask_soon(_INVOCATIONS, "application/json", "/opt/ml/event.json")
        with measurements.seconds(f"function {function}", "warm_seconds"):
            server.ask(_INVOCATIONS, "application/json", "/opt/ml/event.json")

    assert status == 200
    assert json.loads(body)["errorType"] == "InvalidEventError"


def test_the_job_image_holds_what_its_programs_import(place: Place, images: Images) -> None:
    """Every module of the jobs is imported in their image, without network."""
    place.engine.run(
        "run", "--rm", "--network=none", "--read-only", "--tmpfs=/tmp", "--entrypoint=python3", reference(images.job),
        "-c", _IMPORT_ALL,
    )  # fmt: skip


@pytest.mark.parametrize("name", [*FUNCTIONS, "job"])
def test_an_image_has_the_locked_packages_and_no_others(place: Place, images: Images, name: str) -> None:
    """An image has beside its base only what its requirements.txt pins, and its packages agree with each other."""
    image = reference(images.job if name == "job" else images.functions[name])
    folder = ROOT / "sagemaker_jobs" if name == "job" else ROOT / "functions" / name
    base = place.bases.find(base_of((folder if name == "job" else folder.parent) / "Dockerfile"))
    pinned, before = pins(folder / "requirements.txt"), packages(place.engine, base)
    after = packages(place.engine, image)
    added = {package: version for package, version in after.items() if before.get(package) != version}
    place.engine.run("run", "--rm", "--network=none", "--entrypoint=python3", image, "-m", "pip", "check")

    assert added
    assert added.items() <= pinned | own_packages()

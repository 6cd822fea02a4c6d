"""The project's own images: they build from what is checked in, and hold all that their programs import."""

import uuid
from pathlib import Path

import pytest

from local_cloud.images import ImageRegistry, ImageSpec
from local_cloud.lambda_runtime import LambdaRuntime
from local_cloud.sandbox import spawn

ROOT = Path(__file__).parent.parent.parent
FUNCTIONS = sorted(path.parent.name for path in (ROOT / "functions").glob("*/app.py"))
PROGRAMS = sorted(path.name for path in (ROOT / "sagemaker_jobs" / "bin").iterdir())

IMPORT_ALL = """
import importlib, pkgutil, sagemaker_jobs
for module in pkgutil.walk_packages(sagemaker_jobs.__path__, "sagemaker_jobs."):
    if not module.name.endswith(".__main__"):
        importlib.import_module(module.name)
"""


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> ImageRegistry:
    """A registry that all images of this module go to."""
    return ImageRegistry(tmp_path_factory.mktemp("state"))


def target_of(image: ImageSpec, path: str) -> Path:
    """Where a path of an image lies on this machine."""
    mount = next(mount for mount in image.mounts if Path(path).is_relative_to(mount.target))
    return mount.source / Path(path).relative_to(mount.target)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_function_image_holds_its_handler(registry: ImageRegistry, function: str) -> None:
    """Each function's image builds, and its handler is imported in it: an event without anything reaches its check."""
    image = registry.build(
        function, dockerfile=ROOT / "functions" / "Dockerfile", context=ROOT, build_args={"FUNCTION": function}
    )
    runtime = LambdaRuntime(registry, endpoint_url="http://127.0.0.1:9", credentials_for=lambda _config: {})
    config = {
        "FunctionName": function,
        "FunctionArn": f"arn:aws:lambda:us-east-1:000000000000:function:{function}",
        "ImageUri": image.uri,
        "ImageConfigResponse": {"ImageConfig": {"Command": [f"functions.{function}.app.handler"]}},
        "Timeout": 60,
        "MemorySize": 512,
    }
    try:
        body = runtime.invoke(config, {}, str(uuid.uuid4()))["body"]
    finally:
        runtime.close()
    others = [name for name in FUNCTIONS if name != function]

    assert body["errorType"] == "InvalidEventError"
    assert not any(target_of(image, f"/var/task/functions/{name}").exists() for name in others)


def test_job_image_holds_its_programs(registry: ImageRegistry, tmp_path: Path) -> None:
    """The job image builds, every program is on its PATH, and what they import is there."""
    image = registry.build("jobs", dockerfile=ROOT / "sagemaker_jobs" / "Dockerfile", context=ROOT)
    script = f"for program in {' '.join(PROGRAMS)}; do command -v $program; done; exec python3 -c '{IMPORT_ALL}'"
    log = tmp_path / "log"
    sandbox = spawn(
        ["/bin/sh", "-c", script], env=image.env, cwd=image.workdir, mounts=image.mounts, log=log, stop_grace_seconds=1
    )

    assert sandbox.wait(60) == 0, log.read_text()
    assert log.read_text().split() == [f"/opt/program/sagemaker_jobs/bin/{name}" for name in PROGRAMS]


def test_images_hold_nothing_else(registry: ImageRegistry) -> None:
    """No image holds tests, the local cloud, secrets or the repository itself."""
    image = registry.build("jobs", dockerfile=ROOT / "sagemaker_jobs" / "Dockerfile", context=ROOT)

    assert {path.name for path in target_of(image, "/opt/program").iterdir()} == {
        "native", "requirements.txt", "sagemaker_jobs", "treering",
    }  # fmt: skip

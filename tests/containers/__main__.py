"""`make test-containers`: gets a container engine where none is at hand and one may be installed, then runs the tests.

Where no engine can be had, one sentence says why, and the exit code is 0. With `--prepare` it gets the engine and what
stand-ins of AWS's base images are made of, and runs no test.
"""

import io
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

import pytest

from local_cloud.containers.bases import BaseImages
from local_cloud.containers.engine import DEBIAN_PACKAGES, Engine, EngineError, EngineMissingError, find_engine, remove
from local_cloud.images import ImageError
from local_cloud.lambda_runtime.emulator import emulator_binary
from tests.containers.conftest import CACHE, ROOT, base_of

_RUNS_SECONDS = 10.0
_TEST_SECONDS = 1200


def main() -> int:
    """Find or install an engine, run the tests, and return their exit code."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C, so that everything is removed
    with tempfile.TemporaryDirectory(prefix="treering-engine-") as folder:
        problem = _problem(Path(folder) / "engine")
        if problem and _may_install():
            _tell(f"Installing a container engine with apt-get ({' '.join(DEBIAN_PACKAGES)}) …")
            problem = _install() or _problem(Path(folder) / "engine")
    if problem:
        _tell(f"make test-containers is skipped: {problem}")
        return 0
    if sys.argv[1:] == ["--prepare"]:
        _prepare()
        return 0
    # the first test waits for the images to be built
    return int(pytest.main([str(ROOT / "tests" / "containers"), f"--timeout={_TEST_SECONDS}", *sys.argv[1:]]))


def _prepare() -> None:
    """Fill the cache, with storage that is removed again; what goes wrong is for the tests to tell."""
    with tempfile.TemporaryDirectory(prefix="treering-engine-") as parent:
        folder = Path(parent) / "engine"
        engine = find_engine(folder)
        try:
            BaseImages(engine, CACHE).find(base_of(ROOT / "sagemaker_jobs" / "Dockerfile"))
        except (ImageError, EngineError, TimeoutError) as problem:
            _tell(f"no base image: {problem}")
        finally:
            remove(engine, folder)


def _tell(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _problem(folder: Path) -> str | None:
    """Why no container can be run here, None if one can."""
    try:
        engine = find_engine(folder)
    except EngineMissingError as missing:
        return str(missing)
    try:
        return _cannot_run(engine)
    finally:
        remove(engine, folder)


def _cannot_run(engine: Engine) -> str | None:
    """Run the one program at hand that needs no libraries: AWS's Runtime Interface Emulator, which waits for work."""
    image, name = "localhost/treering/smoke:1", f"treering-smoke-{os.getpid()}"
    try:
        with tempfile.NamedTemporaryFile(suffix=".tar") as file:
            file.write(_archive(emulator_binary()))
            file.flush()
            engine.run("import", file.name, image)
        engine.run("run", "--detach", "--network=none", f"--name={name}", image, "/emulator", "/program")
        deadline = time.monotonic() + _RUNS_SECONDS
        while engine.run("container", "inspect", "--format", "{{.State.Running}}", name).strip() != "true":
            if time.monotonic() > deadline:
                return f"{engine.name} {engine.version} starts a container, but it does not run"
            time.sleep(0.1)
    except (EngineError, TimeoutError) as error:
        return f"{engine.name} {engine.version} cannot run a container here: {error}"
    finally:
        for command in (["rm", "--force", name], ["image", "rm", "--force", image]):
            subprocess.run(
                [engine.program, *command], env=os.environ | engine.environment, capture_output=True, check=False
            )
    return None


def _archive(program: Path) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        tar.add(program, arcname="emulator")
    return buffer.getvalue()


def _may_install() -> bool:
    return os.geteuid() == 0 and shutil.which("apt-get") is not None and shutil.which("podman") is None


def _install() -> str | None:
    """Install Podman and what it needs; say why it cannot be."""
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    options = ["-o", "DPkg::Lock::Timeout=300", "--quiet", "--quiet"]
    for command in (
        ["apt-get", *options, "update"],
        ["apt-get", *options, "install", "--yes", "--no-install-recommends", *DEBIAN_PACKAGES],
    ):
        done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        if done.returncode != 0:
            said = (done.stderr or done.stdout).decode(errors="replace").strip().splitlines()
            why = said[-1] if said else "it does not say why"
            return f"no container engine is here, and `{' '.join(command)}` failed: {why}"
    return None


if __name__ == "__main__":
    sys.exit(main())

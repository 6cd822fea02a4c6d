"""Real containers as far as they can be judged without an engine: finding one, building with one, saying what lacks."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from local_cloud.containers import pip_settings, podman
from local_cloud.containers.bases import BaseImages
from local_cloud.containers.engine import Engine, EngineMissingError, find_engine
from local_cloud.containers.images import ContainerImages
from local_cloud.images import ImageError, ImageRegistry

ROOT = Path(__file__).parents[2]
DIGEST = "5" * 64
STAND_IN = "localhost/stand-in:1"


def program(folder: Path, name: str, script: str) -> Path:
    """A shell script that stands for an engine's command."""
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def test_docker_is_used_where_its_daemon_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Docker whose daemon answers is taken as it is set up."""
    docker = program(tmp_path, "docker", "echo 28.2.2")
    monkeypatch.setenv("PATH", str(tmp_path))
    engine = find_engine(tmp_path / "storage")

    assert (engine.program, engine.name, engine.version, engine.owned) == (str(docker), "docker", "28.2.2", False)
    assert not (tmp_path / "storage").exists()


def test_storage_is_removed_when_nothing_uses_it_any_more(tmp_path: Path) -> None:
    """A program that sees to the end of a container makes Podman's folders anew; the removal waits for its end."""
    folder = tmp_path / "containers"
    podman.write_settings(folder)
    late = "import os, time; time.sleep(1); os.makedirs(os.path.dirname(os.environ['CONTAINERS_CONF']) + '/networks')"
    variables = {**os.environ, "CONTAINERS_CONF": f"{folder}/run.conf"}
    cleaning = subprocess.Popen([sys.executable, "-c", late], env=variables)
    podman.remove(str(program(tmp_path, "podman", "")), folder)
    cleaning.wait(20)

    assert cleaning.returncode == 0
    assert not folder.exists()


def test_without_an_engine_the_message_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no engine is installed, the error says so and names the packages."""
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(EngineMissingError, match=r"neither docker nor podman is installed.*apt-get install .*podman"):
        find_engine(tmp_path / "storage")


def test_an_engine_that_does_not_answer_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Docker is installed but its daemon is not running, the error has Docker's own words."""
    program(tmp_path, "docker", "echo 'Cannot connect to the Docker daemon' >&2; exit 1")
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(EngineMissingError, match="Cannot connect to the Docker daemon"):
        find_engine(tmp_path / "storage")


def test_the_command_says_what_lacks_before_it_starts_anything(tmp_path: Path) -> None:
    """`treering run --containers` without an engine ends with exit code 1, says what to do, and starts no cloud."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "cli"), "run", "--containers", "--state", str(tmp_path)],
        env=os.environ | {"PATH": str(tmp_path)}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert done.returncode == 1
    assert "--containers needs a container engine" in done.stderr
    assert "Install Docker" in done.stderr
    assert not list(tmp_path.rglob("cloud.log"))


def test_the_stage_is_skipped_where_no_engine_can_be_had(tmp_path: Path) -> None:
    """`make test-containers` without an engine, and without apt-get to install one, says so in a line and succeeds."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.containers"], cwd=ROOT, env=os.environ | {"PATH": str(tmp_path)},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert done.returncode == 0
    assert done.stdout.startswith("make test-containers is skipped: No container engine can be used here")
    assert done.stdout.count("\n") == 1


class Bases(BaseImages):
    """Base images that cannot be pulled and have a stand-in."""

    def __init__(self) -> None:
        """Without an engine."""

    def find(self, reference: str) -> str:
        """The stand-in."""
        return STAND_IN


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    """An engine that notes its arguments, builds one and the same image, and describes it."""
    config = {"Env": ["PATH=/bin", "COLOUR=a=b"], "WorkingDir": "/var/task", "Entrypoint": ["/start"], "Cmd": None}
    (tmp_path / "described.json").write_text(json.dumps([{"Config": config}]))
    script = f"""
        echo "$*" >> {tmp_path}/arguments
        [ "$1" = image ] && exec cat {tmp_path}/described.json
        while [ "$1" != --iidfile ]; do shift; done
        echo sha256:{DIGEST} > "$2"
    """
    return Engine(str(program(tmp_path, "docker", script)), "1", {"SETTINGS": "of the engine"})


def test_an_image_is_built_on_the_stand_in_and_known_by_its_digest(engine: Engine, tmp_path: Path) -> None:
    """The build argument that names the base gets the stand-in; the image is found by its URI as the engine has it."""
    state = tmp_path / "state"
    images = ContainerImages(engine, Bases(), ImageRegistry(state), state)
    built = images.build(
        "ingest", dockerfile=ROOT / "functions" / "Dockerfile", context=ROOT, build_args={"FUNCTION": "ingest"}
    )
    found = ImageRegistry(state).resolve(built.uri)
    arguments = (tmp_path / "arguments").read_text().splitlines()[0]

    assert f"--build-arg FUNCTION=ingest --build-arg BASE_IMAGE={STAND_IN}" in arguments
    assert built.uri.endswith(f"/ingest@sha256:{DIGEST}")
    assert found == built
    assert (found.env, found.workdir, found.entrypoint, found.command) == (
        {"PATH": "/bin", "COLOUR": "a=b"}, "/var/task", ("/start",), (),
    )  # fmt: skip
    assert found.engine_image is not None
    assert found.engine_image.reference == f"sha256:{DIGEST}"
    assert found.engine_image.environment == {"SETTINGS": "of the engine"}
    assert STAND_IN in found.notes[0]


def test_a_base_that_no_argument_names_cannot_be_replaced(engine: Engine, tmp_path: Path) -> None:
    """A Dockerfile whose FROM is fixed fails where its base cannot be pulled, and the error says how to write it."""
    dockerfile = tmp_path / "Dockerfile"
    dockerfile.write_text("FROM python:3.12-slim\n")
    images = ContainerImages(engine, Bases(), ImageRegistry(tmp_path), tmp_path)

    with pytest.raises(ImageError, match=r"python:3.12-slim cannot be pulled.*FROM \$\{BASE_IMAGE\}"):
        images.build("fixed", dockerfile=dockerfile, context=tmp_path)


def test_what_the_engine_says_of_a_failed_build_is_passed_on(tmp_path: Path) -> None:
    """A build that fails is an error with the engine's words."""
    engine = Engine(str(program(tmp_path, "docker", "echo 'no space left' >&2; exit 125")), "1")
    images = ContainerImages(engine, Bases(), ImageRegistry(tmp_path), tmp_path)

    with pytest.raises(ImageError, match=r"Dockerfile could not be built.*exit code 125: no space left"):
        images.build("jobs", dockerfile=ROOT / "sagemaker_jobs" / "Dockerfile", context=ROOT)


def test_pip_of_a_build_is_set_up_as_this_machines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables count before files; a certificate and an index in a folder are shown to the build at their paths."""
    certificate, index = tmp_path / "ca.pem", tmp_path / "index" / "simple"
    certificate.touch()
    index.mkdir(parents=True)
    settings = tmp_path / "pip.ini"
    settings.write_text(f"[global]\nindex-url = https://one.example/simple\nextra-index-url = file://{index}\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(settings))
    monkeypatch.setenv("PIP_INDEX_URL", "https://two.example/simple")
    monkeypatch.setenv("PIP_CERT", str(certificate))
    volumes = pip_settings.volumes(tmp_path / "pip.conf")
    written = (tmp_path / "pip.conf").read_text()

    assert "index-url = https://two.example/simple" in written
    assert "one.example" not in written
    assert f"{tmp_path / 'pip.conf'}:/etc/pip.conf:ro" in volumes
    assert f"{certificate}:{certificate}:ro" in volumes
    assert f"{index.parent}:{index.parent}:ro" in volumes

"""A program of an image that an engine holds, started as the local cloud starts it."""

import dataclasses
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from local_cloud import program
from local_cloud.images import ImageSpec
from local_cloud.program import Program
from local_cloud.sandbox import Mount, ProgramNotFoundError, SandboxError
from tests.containers.conftest import ROOT, Images, Place

Start = Callable[..., Program]
pytestmark = pytest.mark.usefixtures("begun")


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Standard output and error of the program."""
    return tmp_path / "log"


@pytest.fixture
def start(images: Images, log: Path) -> Start:
    """Starts a shell script, or `argv`, in the job image."""

    def begin(script: str = "", *, argv: list[str] | None = None, **settings: Any) -> Program:
        given = {"env": dict(images.job.env), "cwd": "/", "log": log, "stop_grace_seconds": 1.0} | settings
        return program.start(images.job, argv or ["sh", "-c", script], **given)

    return begin


def left(place: Place, image: ImageSpec) -> str:
    """Containers of the image's cloud that are still there, in any state."""
    assert image.engine_image is not None
    return place.engine.run("ps", "--all", "--quiet", "--filter", f"label=treering.cloud={image.engine_image.owner}")


def test_output_exit_code_environment_and_folder(place: Place, images: Images, start: Start, log: Path) -> None:
    """A program has its variables, folder and log; its exit code is told; nothing is left."""
    running = start("echo $COLOUR in $PWD; echo trouble >&2; exit 7", env={"COLOUR": "a b='c'"}, cwd="/opt")

    assert running.wait(30) == 7
    assert running.poll() == running.returncode == 7
    assert log.read_text().splitlines() == ["a b='c' in /opt", "trouble"]
    assert not left(place, images.job)


def test_only_mounts_and_tmpfs_can_be_written_to(start: Start, log: Path, tmp_path: Path) -> None:
    """With a read-only root a program writes to its mounts and its tmpfs, up to their size, and nowhere else."""
    shown, kept = tmp_path / "shown", tmp_path / "kept"
    shown.mkdir()
    kept.mkdir()
    kept.chmod(0o777)
    running = start(
        """
        for place in / /tmp /var/tmp /run /dev /etc /shown /kept /scratch; do
            touch $place/file 2>/dev/null && echo $place
        done
        head -c 3000000 /dev/zero > /scratch/large 2>/dev/null || echo full
        """,
        mounts=[Mount(shown, "/shown", read_only=True), Mount(kept, "/kept")],
        tmpfs=[("/scratch", 1 << 20)],
        read_only_root=True,
        user="993:990",
    )

    assert running.wait(30) == 0
    assert log.read_text().split() == ["/kept", "/scratch", "full"]


def test_no_semaphores_without_shared_memory(start: Start, log: Path) -> None:
    """As in Lambda, a program whose /dev/shm is hidden can make no semaphore."""
    running = start(argv=["python3", "-c", "import multiprocessing; multiprocessing.Lock()"], hide_shm=True)

    assert running.wait(30) == 1
    assert "Error" in log.read_text().splitlines()[-1]


def test_memory_is_limited(start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that takes more memory than it may is killed, and where the user stands no file tells of it."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    running = start(argv=["python3", "-c", "print(sum(bytearray(b'x') * (200 << 20)))"], memory_megabytes=64)

    assert running.wait(60) == 128 + signal.SIGKILL
    assert not list(here.iterdir())


def test_a_function_has_no_privileges(start: Start, log: Path) -> None:
    """A program with a user of its own is that user, without capabilities."""
    running = start("id -u; id -g; grep CapEff /proc/self/status", user="993:990")

    assert running.wait(30) == 0
    assert log.read_text().split() == ["993", "990", "CapEff:", "0000000000000000"]


def test_sigterm_then_sigkill(start: Start, log: Path) -> None:
    """A program that handles SIGTERM ends as it likes; one that does not is killed when its grace is over."""
    polite = start("trap 'echo bye; exit 3' TERM; echo ready; while :; do sleep 0.05; done", stop_grace_seconds=60)
    wait_for(log, "ready")
    polite.terminate()
    stubborn = start("trap '' TERM; echo deaf; sleep 600", stop_grace_seconds=0.5)
    wait_for(log, "deaf")
    stubborn.terminate()

    assert polite.wait(30) == 3
    assert stubborn.wait(30) == 128 + signal.SIGKILL
    assert "bye" in log.read_text()


def test_kill_ends_everything(place: Place, images: Images, start: Start, log: Path) -> None:
    """A killed program is gone with what it started."""
    running = start("setsid sleep 600 & echo up; sleep 600")
    wait_for(log, "up")
    running.kill()

    assert running.wait(30) == 128 + signal.SIGKILL
    assert not left(place, images.job)


@pytest.mark.parametrize(("argv", "cwd"), [(["no-such-program"], "/"), (["true"], "/no/such/folder")])
def test_what_cannot_be_started_is_said(place: Place, images: Images, start: Start, argv: list[str], cwd: str) -> None:
    """A program or folder that the image lacks is named, and no container is left."""
    wanted = cwd if argv == ["true"] else argv[0]
    with pytest.raises(ProgramNotFoundError, match=wanted):
        start(argv=argv, cwd=cwd)

    assert not left(place, images.job)


def test_an_image_that_is_gone(images: Images, start: Start, log: Path) -> None:
    """An image that the engine no longer holds is named."""
    engine_image = images.job.engine_image
    assert engine_image is not None
    gone = dataclasses.replace(
        images.job, engine_image=dataclasses.replace(engine_image, reference="sha256:" + "0" * 64)
    )

    with pytest.raises(SandboxError, match="0000"):
        program.start(gone, ["true"], env={}, cwd="/", log=log, stop_grace_seconds=0)


def test_no_container_outlives_its_cloud(place: Place, images: Images, tmp_path: Path) -> None:
    """When the process that started a container is killed with SIGKILL, the container goes, too."""
    (tmp_path / "image.json").write_text(images.job.to_json(tmp_path))
    script = f"""
    import os, pathlib, signal
    from local_cloud import program
    from local_cloud.images import ImageSpec
    folder = pathlib.Path({str(tmp_path)!r})
    image = ImageSpec.from_json((folder / "image.json").read_text(), folder, "image")
    program.start(image, ["sleep", "600"], env=image.env, cwd="/", log=folder / "log", stop_grace_seconds=600)
    print("runs", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    deadline = time.monotonic() + 30
    while left(place, images.job) and time.monotonic() < deadline:
        time.sleep(0.05)

    assert (done.stdout, done.returncode) == ("runs\n", -signal.SIGKILL), done.stderr
    assert not left(place, images.job)


def wait_for(log: Path, word: str, seconds: float = 30.0) -> None:
    """Wait until the log says a word."""
    deadline = time.monotonic() + seconds
    while word not in log.read_text():
        assert time.monotonic() < deadline, f"the log never said {word}"
        time.sleep(0.02)

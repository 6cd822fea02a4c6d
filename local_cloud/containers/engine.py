"""The container engine of this machine: Docker where its daemon answers, else Podman."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from local_cloud.containers import podman

_ASK_SECONDS = 30.0
# What Podman needs beside itself on Debian, where it is installed without recommendations.
DEBIAN_PACKAGES = ("podman", "runc", "netavark", "aardvark-dns", "iptables", "mmdebstrap")


class EngineMissingError(RuntimeError):
    """No container engine can be used; says what to install."""


class EngineError(RuntimeError):
    """The engine refused a command; the message has its words."""


@dataclass(frozen=True)
class Engine:
    """An engine's command.

    ``environment`` is for every command, ``build_environment`` instead of it for builds. ``version`` is the engine's.
    ``owned`` says that its storage is ours alone, so that it may be removed.
    """

    program: str
    version: str
    environment: Mapping[str, str] = field(default_factory=dict)
    build_environment: Mapping[str, str] = field(default_factory=dict)
    owned: bool = False

    @property
    def name(self) -> str:
        """``docker`` or ``podman``."""
        return Path(self.program).name

    def run(self, *arguments: str, build: bool = False, timeout: float | None = None) -> str:
        """Run a command of the engine and return its standard output. Raises EngineError, TimeoutError."""
        environment = self.build_environment if build else self.environment
        return run(self.program, *arguments, environment=environment, timeout=timeout)

    def has_image(self, reference: str) -> bool:
        """Whether the engine holds an image."""
        try:
            self.run("image", "inspect", reference)
        except EngineError:
            return False
        return True


def run(program: str, *arguments: str, environment: Mapping[str, str], timeout: float | None = None) -> str:
    """Run an engine's command and return its standard output. Raises EngineError, TimeoutError."""
    try:
        done = subprocess.run(
            [program, *arguments],
            env=os.environ | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        raise TimeoutError(f"{program} {arguments[0]} has not answered within {timeout:.0f} s") from late
    if done.returncode != 0:
        said = (done.stderr or done.stdout).decode(errors="replace").strip()
        raise EngineError(f"{program} {' '.join(arguments[:2])} failed with exit code {done.returncode}: {said}")
    return done.stdout.decode(errors="replace")


def find_engine(folder: Path) -> Engine:
    """Return this machine's engine. ``folder`` keeps its images where they are not the user's own engine's.

    Root's Podman gets settings and storage of its own there (see ``podman``); Docker, and Podman of an ordinary user,
    are used as they are set up. Raises EngineMissingError.
    """
    tried: list[str] = []
    docker = shutil.which("docker")
    if docker is not None:
        with _noting(tried):
            version = run(
                docker, "version", "--format", "{{.Server.Version}}", environment={}, timeout=_ASK_SECONDS
            ).strip()
            return Engine(docker, version)
    program = shutil.which("podman")
    if program is not None:
        with _noting(tried):
            own = os.geteuid() == 0
            settings = podman.write_settings(folder) if own else podman.Settings()
            version = run(
                program, "info", "--format", "{{.Version.Version}}",
                environment=settings.environment, timeout=_ASK_SECONDS,
            ).strip()  # fmt: skip
            return Engine(program, version, settings.environment, settings.build_environment, owned=own)
    why = "; ".join(tried) or "neither docker nor podman is installed"
    raise EngineMissingError(
        f"No container engine can be used here: {why}. "
        "Install Docker and start it; or, on Debian as root, run "
        f"`apt-get install --no-install-recommends {' '.join(DEBIAN_PACKAGES)}`."
    )


def remove(engine: Engine, folder: Path) -> None:
    """Remove an engine's storage under ``folder`` with all its images and containers, if it is ours alone."""
    if engine.owned:
        podman.remove(engine.program, folder)


@contextmanager
def _noting(tried: list[str]) -> Iterator[None]:
    """Note why an engine cannot be used, and go on."""
    try:
        yield
    except (EngineError, TimeoutError, OSError) as problem:
        tried.append(str(problem))

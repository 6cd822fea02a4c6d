"""Settings and storage of their own for root's Podman, all below one folder.

Debian's Podman as it comes fails for root inside of another container, or where control groups are mounted the old and
the new way together: crun does not know these, limits of open files above the machine's are refused, netavark is not
chosen. See containers.conf(5) and containers-storage.conf(5).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from local_cloud.containers import pip_settings

_RUN = Path("/run")  # Podman's own files of the running machine; gone after a restart, which it needs to notice
_STORAGE = "storage"
_END_SECONDS = 10.0  # for what still sees to the end of a container


@dataclass(frozen=True)
class Settings:
    """Environment variables that lead Podman to its settings: for every command, and for builds."""

    environment: Mapping[str, str] = field(default_factory=dict)
    build_environment: Mapping[str, str] = field(default_factory=dict)


def write_settings(folder: Path) -> Settings:
    """Write the settings' files below ``folder``, which then holds the storage, and return how to use them."""
    folder = folder.absolute()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    running = _running(folder)
    running.mkdir(parents=True, exist_ok=True, mode=0o700)
    storage = folder / "storage.conf"
    storage.write_text(
        f'[storage]\ndriver = "overlay"\ngraphroot = {_quoted(folder / _STORAGE)}\nrunroot = {_quoted(running / "s")}\n'
    )
    runs, builds = folder / "run.conf", folder / "build.conf"
    runs.write_text(_containers_conf(folder, running, http_proxy=False, volumes=[]))
    # pip inside of a build reaches the registry as this machine's pip does; what is built runs without these files
    volumes = pip_settings.volumes(folder / "pip.conf")
    builds.write_text(_containers_conf(folder, running, http_proxy=True, volumes=volumes))
    common = {"CONTAINERS_STORAGE_CONF": str(storage)}
    # in Docker's format, as `sam build` asks for: the same layers then serve both
    return Settings(
        common | {"CONTAINERS_CONF": str(runs)},
        common | {"CONTAINERS_CONF": str(builds), "BUILDAH_FORMAT": "docker"},
    )


def remove(program: str, folder: Path) -> None:
    """Remove all containers, what is mounted and every file of the storage below ``folder``."""
    folder = folder.absolute()
    if not (folder / "run.conf").is_file():
        return
    running = _running(folder)
    variables = {"CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"), "CONTAINERS_CONF": str(folder / "run.conf")}
    with contextlib.suppress(FileNotFoundError):  # Podman is gone, and so are its containers
        subprocess.run(
            [program, "rm", "--all", "--force", "--time", "0"],
            env=os.environ | variables, stdin=subprocess.DEVNULL, capture_output=True, check=False,
        )  # fmt: skip
    for point in _mount_points(folder, running):
        subprocess.run(["umount", "--lazy", point], stdin=subprocess.DEVNULL, capture_output=True, check=False)
    _wait_for_users(folder)
    shutil.rmtree(running, ignore_errors=True)
    shutil.rmtree(folder)


def _wait_for_users(folder: Path) -> None:
    """Wait for programs that were given the storage: one that sees to the end of a container makes its folders anew."""
    deadline = time.monotonic() + _END_SECONDS
    while _has_users(os.fsencode(f"{folder}/")) and time.monotonic() < deadline:
        time.sleep(0.05)


def _has_users(folder: bytes) -> bool:
    for process in Path("/proc").glob("[0-9]*"):
        if process.name == str(os.getpid()):
            continue
        with contextlib.suppress(OSError):  # it has ended, or is somebody else's
            if any(folder in (process / name).read_bytes() for name in ("cmdline", "environ")):
                return True
    return False


def _running(folder: Path) -> Path:
    """Podman refuses a path of more than 50 characters here."""
    return _RUN / f"treering-{hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]}"


def _containers_conf(folder: Path, running: Path, *, http_proxy: bool, volumes: list[str]) -> str:
    return f"""\
[containers]
default_ulimits = ["nofile=20000:20000", "nproc=30000:30000"]
http_proxy = {str(http_proxy).lower()}
label = false
volumes = {json.dumps(volumes)}

[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"
tmp_dir = {_quoted(running / "p")}

[network]
network_backend = "netavark"
network_config_dir = {_quoted(folder / "networks")}
"""


def _mount_points(*folders: Path) -> list[str]:
    """Mount points below the folders, the deepest first."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    points = [line.split(" ")[4].encode().decode("unicode_escape") for line in lines]
    below = [point for point in points if any(Path(point).is_relative_to(folder) for folder in folders)]
    return sorted(below, key=len, reverse=True)


def _quoted(path: Path) -> str:
    return json.dumps(str(path), ensure_ascii=False)

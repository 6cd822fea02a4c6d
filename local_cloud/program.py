"""Starts a program of an image: in a sandbox of its files, or in a container where an engine holds the image.

The parts of the local cloud that run something (`lambda_runtime`, `sagemaker`) start it here and need not know which.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from local_cloud import sandbox
from local_cloud.sandbox import Mount, SandboxError, Volume

if TYPE_CHECKING:
    from local_cloud.images.spec import EngineImage


class Program(Protocol):
    """A running program with all that it started. Its exit code is 128 + the number of the signal that ended it."""

    @property
    def pid(self) -> int:
        """Process ID, on the host, of the parent of the program's first process."""

    @property
    def returncode(self) -> int | None:
        """Exit code, None as long as nobody has seen it end."""

    def poll(self) -> int | None:
        """The exit code if the program has ended."""

    def wait(self, timeout: float | None = None) -> int:
        """Waits for the end of all its processes; TimeoutError after `timeout` seconds."""

    def terminate(self) -> None:
        """Sends SIGTERM; after the grace everything is killed. Does not wait."""

    def kill(self) -> None:
        """Kills everything. Does not wait."""


class Image(Protocol):
    """As much of an image as starting one of its programs takes."""

    @property
    def mounts(self) -> Sequence[Mount]:
        """Its files at their paths; none where an engine holds it."""

    @property
    def engine_image(self) -> "EngineImage | None":
        """What a container engine knows it by, if one holds it."""


def start(
    image: Image,
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: str,
    mounts: Sequence[Mount] = (),
    log: Path | int,
    read_only_root: bool = False,
    tmpfs: Sequence[tuple[str, int]] = (),
    volumes: Sequence[Volume] = (),
    hide_shm: bool = False,
    stop_grace_seconds: float,
    memory_megabytes: int | None = None,
    user: str | None = None,
) -> Program:
    """Starts a program and returns once it runs; the arguments are those of `sandbox.spawn`.

    `mounts` are shown beside the image's own files. Only a container has a limit of memory and another `user`
    ("uid:gid", then without any privilege); in a sandbox the program is this process's user's. Raises SandboxError,
    ProgramNotFoundError; only a sandbox has `volumes`.
    """
    if image.engine_image is None:
        return sandbox.spawn(
            argv, env=env, cwd=cwd, mounts=[*image.mounts, *mounts], log=log, read_only_root=read_only_root,
            tmpfs=tmpfs, volumes=volumes, hide_shm=hide_shm, stop_grace_seconds=stop_grace_seconds,
        )  # fmt: skip
    if volumes:
        raise SandboxError(
            "A container engine gives no program a volume of a size of its own: use volume faults without an engine."
        )
    from local_cloud.containers import container

    settings = container.Settings(
        env=env, cwd=cwd, mounts=tuple(mounts), read_only_root=read_only_root, tmpfs=tuple(tmpfs), hide_shm=hide_shm,
        memory_megabytes=memory_megabytes, user=user, stop_grace_seconds=stop_grace_seconds,
    )  # fmt: skip
    return container.start(image.engine_image, argv, settings, log)

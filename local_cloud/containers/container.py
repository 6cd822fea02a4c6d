"""One program in one container: created, started, followed to its end, removed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from local_cloud.containers import engine, keeper
from local_cloud.containers.engine import EngineError
from local_cloud.images.spec import EngineImage
from local_cloud.sandbox import Mount, ProgramNotFoundError, SandboxError

_START_SECONDS = 60.0
_SHM = "/dev/shm"  # noqa: S108  the container's
_NOT_FOUND = ("not found", "no such file", "does not exist", "permission denied")
_OWNER, _PROCESS = "treering.cloud", "treering.process"


@dataclass(frozen=True)
class Settings:
    """How a program is run; see `local_cloud.program.start`."""

    env: Mapping[str, str]
    cwd: str
    mounts: tuple[Mount, ...]
    read_only_root: bool
    tmpfs: tuple[tuple[str, int], ...]
    hide_shm: bool
    memory_megabytes: int | None
    user: str | None
    stop_grace_seconds: float


class Container:
    """A running container; see `local_cloud.program.Program`."""

    def __init__(self, image: EngineImage, name: str, client: subprocess.Popen[bytes], grace_seconds: float) -> None:
        """Follow a container whose output ``client`` passes on."""
        self._image, self._name, self._client, self._grace = image, name, client, grace_seconds
        self._lock = threading.Lock()
        self._code: int | None = None
        self._timer: threading.Timer | None = None
        self.pid = client.pid

    @property
    def returncode(self) -> int | None:
        """The exit code, None as long as nobody has seen the end."""
        return self._code

    def await_start(self) -> None:
        """Return once the program runs, or has run. Raises ProgramNotFoundError, SandboxError."""
        deadline = time.monotonic() + _START_SECONDS
        while True:
            ended = self._client.poll() is not None
            state = self._state()
            if state["Status"] not in ("created", "configured", "initialized"):
                if state.get("Pid"):
                    self.pid = _parent(state["Pid"]) or self.pid
                return
            if ended:
                self._raise_not_started()
            if time.monotonic() > deadline:
                raise SandboxError(f"The container {self._name} has not started within {_START_SECONDS:.0f} s.")
            time.sleep(0.01)

    def poll(self) -> int | None:
        """The exit code if the program has ended."""
        return self._code if self._client.poll() is None else self._settle()

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end; TimeoutError after ``timeout`` seconds."""
        try:
            self._client.wait(timeout)
        except subprocess.TimeoutExpired as late:
            raise TimeoutError(f"The program in container {self._name} has not ended after {timeout} s.") from late
        return self._settle()

    def terminate(self) -> None:
        """Send SIGTERM; kill after the grace. Does not wait."""
        self._signal("TERM")
        with self._lock:
            if self._timer is None and self._code is None:
                self._timer = threading.Timer(self._grace, self.kill)
                self._timer.daemon = True
                self._timer.start()

    def kill(self) -> None:
        """Kill everything in the container."""
        self._signal("KILL")

    def remove(self) -> None:
        """Remove what is left of the container."""
        keeper.remove(self._image.program, [self._name], self._image.environment)

    def _signal(self, name: str) -> None:
        if self._client.poll() is None:
            try:
                self._engine("kill", "--signal", name, self._name)
            except EngineError:
                if self._client.poll() is None and self._runs():
                    raise

    def _runs(self) -> bool:
        try:
            return bool(self._state()["Running"])
        except EngineError:  # somebody else has removed it
            return False

    def _settle(self) -> int:
        """Note how the container ended, once, and remove it."""
        with self._lock:
            if self._code is None:
                try:
                    self._code = int(self._state()["ExitCode"])
                except EngineError:  # somebody else has removed it
                    self._code = self._client.returncode
                if self._timer is not None:
                    self._timer.cancel()
                self.remove()
            return self._code

    def _state(self) -> dict[str, Any]:
        state: dict[str, Any] = json.loads(
            self._engine("container", "inspect", "--format", "{{json .State}}", self._name)
        )
        return state

    def _raise_not_started(self) -> None:
        try:
            self._engine("start", self._name)  # says once more, and to us alone, what went wrong
        except EngineError as error:
            if any(words in str(error).lower() for words in _NOT_FOUND):
                raise ProgramNotFoundError(
                    f"The program could not be started: {error}. Check the image's ENTRYPOINT, PATH and WORKDIR."
                ) from error
            raise SandboxError(f"The container could not be started: {error}") from error
        raise SandboxError(f"The container {self._name} has not started; its engine does not say why.")

    def _engine(self, *arguments: str) -> str:
        return engine.run(self._image.program, *arguments, environment=self._image.environment, timeout=_START_SECONDS)


def start(image: EngineImage, argv: Sequence[str], settings: Settings, log: Path | int) -> Container:
    """Start a program in a container of its own and return once it runs. Raises SandboxError."""
    label = _Keeper.of(image).label
    name = f"treering-{image.owner}-{uuid.uuid4().hex[:12]}"
    labels = [f"--label={_OWNER}={image.owner}", f"--label={label}"]
    try:
        engine.run(
            image.program, "create", f"--name={name}", *labels, *_options(image, settings), f"--entrypoint={argv[0]}",
            image.reference, *argv[1:],
            environment=image.environment, timeout=_START_SECONDS,
        )  # fmt: skip
    except (EngineError, TimeoutError) as error:
        raise SandboxError(f"The container could not be created: {error}") from error
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644) if isinstance(log, Path) else log
    try:
        client = subprocess.Popen(
            [image.program, "start", "--attach", name],
            env=os.environ | image.environment,
            # conmon, which stays with the container, leaves a file `oom` where it was started if memory runs out
            cwd=Path(image.environment.get("CONTAINERS_STORAGE_CONF", "/")).parent,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for the local cloud, which then ends its programs in order
        )
    finally:
        if isinstance(log, Path):
            os.close(output)
    container = Container(image, name, client, settings.stop_grace_seconds)
    try:
        container.await_start()
    except BaseException:
        container.remove()
        client.wait()
        raise
    return container


def _options(image: EngineImage, settings: Settings) -> list[str]:
    docker = Path(image.program).name == "docker"
    options = ["--network=host", f"--workdir={settings.cwd}"]
    options += [f"--env={name}={value}" for name, value in settings.env.items()]
    for mount in settings.mounts:
        source, read_only = mount.source.absolute(), ",readonly" if mount.read_only else ""
        options.append(f"--mount=type=bind,source={source},target={mount.target}{read_only}")
    for target, size in settings.tmpfs:
        options.append(
            f"--shm-size={size}b" if target == _SHM else f"--tmpfs={target}:rw,exec,nosuid,nodev,size={size},mode=1777"
        )
    if settings.read_only_root:
        # Podman would add writable /tmp, /run and /var/tmp by itself
        options += ["--read-only", *(() if docker else ("--read-only-tmpfs=false",))]
    if settings.hide_shm:
        options.append("--ipc=none")
    if settings.memory_megabytes is not None:
        options.append(f"--memory={settings.memory_megabytes}m")
    if settings.user is not None:
        options += [f"--user={settings.user}", "--cap-drop=ALL", "--security-opt=no-new-privileges"]
    elif docker and os.geteuid() != 0:
        # Files of the daemon's root could not be removed by us
        options.append(f"--user={os.geteuid()}:{os.getegid()}")
    return options


def remove_all() -> None:
    """Remove every container of this process; to be called before an engine's storage is removed under them."""
    _Keeper.end_all()


def _parent(pid: int) -> int | None:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return None


class _Keeper:
    """A process that outlives this one for as long as it takes to remove its containers."""

    _lock = threading.Lock()
    _known: ClassVar[dict[tuple[str, str], _Keeper]] = {}

    def __init__(self, image: EngineImage) -> None:
        self.label = f"{_PROCESS}={os.getpid()}-{uuid.uuid4().hex[:12]}"
        left = keeper.containers(image.program, f"{_OWNER}={image.owner}", image.environment)
        keeper.remove(image.program, left, image.environment)  # of a cloud whose keeper was killed with it
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", keeper.__file__, image.program, self.label],
            env=os.environ | image.environment,
            stdin=subprocess.PIPE,  # the lifeline
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    @classmethod
    def of(cls, image: EngineImage) -> _Keeper:
        """The keeper of an owner's containers, started when it is first asked for."""
        with cls._lock:
            key = (image.program, image.owner)
            if key not in cls._known:
                cls._known[key] = cls(image)
            return cls._known[key]

    @classmethod
    def end_all(cls) -> None:
        """Let every keeper of this process remove what is left of its containers, and wait for their end."""
        with cls._lock:
            known = list(cls._known.values())
            cls._known.clear()
        for each in known:
            each._process.communicate()  # closes the lifeline

"""Runs a program as a container would see the machine: own mounts, own processes, nothing left behind.

A sandbox is a mount and a pid namespace of the Linux kernel: the program sees the host's file system with the given
directories mounted at their image paths (`/opt/ml`, `/var/task`, …). It is *not* a security boundary: network and users
are the host's. It needs neither root, nor a container engine, nor another program.

`spawn` starts one program and returns once it runs. The program's processes end with it, and with the local cloud, even
when that is killed with SIGKILL (see `sandbox_launcher`).
"""

import errno
import marshal
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

LAUNCHER = Path(__file__).with_name("sandbox_launcher.py")
_REPORT_BYTES = 65536


class SandboxError(RuntimeError):
    """A program could not be started; says what happened, to what, and what to do next."""


class ProgramNotFoundError(SandboxError):
    """The program or its working directory does not exist in the sandbox, or cannot be run."""


@dataclass(frozen=True)
class Mount:
    """A directory or file of the host, shown at an absolute path of the sandbox."""

    source: Path
    target: str
    read_only: bool = False


@dataclass(frozen=True)
class Volume:
    """A file system of `size` bytes of its own at an absolute path of the sandbox.

    It starts as a copy of the host's directory `source`, which at the end of the program gets what is in it then.
    """

    source: Path
    target: str
    size: int


class VolumeFullError(SandboxError):
    """A volume is too small for what it is to start with."""


class Sandboxed:
    """A program in a sandbox. Its exit code is 128 + the number of the signal when a signal ended it."""

    def __init__(
        self, process: "subprocess.Popen[bytes]", lifeline: int, volumes: Sequence[tuple[int, Path]] = ()
    ) -> None:
        self._process = process
        self._lifeline: int | None = lifeline
        self._volumes = list(volumes)
        self._lock = threading.Lock()

    @property
    def pid(self) -> int:
        """Process ID, on the host, of the launcher that stands for the whole sandbox."""
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """Exit code of the program, None as long as nobody has seen it end."""
        return self._process.returncode

    def poll(self) -> int | None:
        """The exit code if the program has ended."""
        code = self._process.poll()
        if code is not None:
            self._ended()
        return code

    def wait(self, timeout: float | None = None) -> int:
        """Waits for the end of every process in the sandbox; TimeoutError after `timeout` seconds."""
        try:
            code = self._process.wait(timeout)
        except subprocess.TimeoutExpired as error:
            raise TimeoutError(f"The program in sandbox {self.pid} has not ended after {timeout} s.") from error
        self._ended()
        return code

    def terminate(self) -> None:
        """Sends SIGTERM to the program; after the sandbox's grace everything in it is killed. Does not wait."""
        self._process.terminate()

    def kill(self) -> None:
        """Kills everything in the sandbox. Does not wait."""
        self._cut_lifeline()

    def _ended(self) -> None:
        self._cut_lifeline()
        with self._lock:
            while self._volumes:
                _bring_back(*self._volumes.pop())

    def _cut_lifeline(self) -> None:
        lifeline, self._lifeline = self._lifeline, None
        if lifeline is not None:
            os.close(lifeline)


def spawn(
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: str,
    mounts: Sequence[Mount],
    log: Path | int,
    read_only_root: bool = False,
    tmpfs: Sequence[tuple[str, int]] = (),
    volumes: Sequence[Volume] = (),
    hide_shm: bool = False,
    stop_grace_seconds: float,
) -> Sandboxed:
    """Starts a program in a new sandbox and returns once it runs.

    `argv[0]` is looked for on the PATH of `env`, which is the whole environment. `log` takes standard output and error:
    a file to append to, or a file descriptor. `tmpfs` lists (absolute path, size in bytes) of empty, writable
    directories; with `read_only_root` only these, `volumes` and the writable mounts can be written to. `hide_shm`
    leaves out `/dev/shm`, so that semaphores cannot be made. A mount point need not exist on the host, which is never
    changed; one inside another mount is created in that mount's source, as container engines do. `stop_grace_seconds`
    is the time between `terminate` and the end of everything.

    Raises SandboxError: the kernel refuses namespaces, a mount fails; ProgramNotFoundError: nothing to run;
    VolumeFullError.
    """
    if not sys.platform.startswith("linux"):
        raise SandboxError(
            f"The local cloud needs Linux: {sys.platform} has no mount namespaces. "
            "Run it on a Linux machine or in a virtual one (on Windows: WSL 2)."
        )
    lifeline_read, lifeline_write = os.pipe()
    status_read, status_write = os.pipe()
    receiving, sending = socket.socketpair() if volumes else (None, None)
    specification = {
        "argv": list(argv),
        "env": dict(env),
        "cwd": cwd,
        "mounts": [asdict(mount) | {"source": str(mount.source.absolute())} for mount in mounts],
        "tmpfs": list(tmpfs),
        "volumes": [(volume.target, str(volume.source.absolute()), volume.size) for volume in volumes],
        "channel": sending.fileno() if sending is not None else -1,
        "read_only_root": read_only_root,
        "hide_shm": hide_shm,
        "keep": _interpreter_paths(),
        "stop_grace_seconds": stop_grace_seconds,
        "lifeline": lifeline_read,
        "status": status_write,
    }
    try:
        process = _start_launcher(specification, log)
    except BaseException:
        os.close(lifeline_write)
        os.close(status_read)
        if receiving is not None:
            receiving.close()
        raise
    finally:
        os.close(lifeline_read)
        os.close(status_write)
        if sending is not None:
            sending.close()
    with os.fdopen(status_read, "rb") as file:
        report = file.read(_REPORT_BYTES)  # ends when the program runs: its copy is closed on exec
    opened = _receive(receiving, len(volumes)) if receiving is not None else ()
    sources = [volume.source for volume in volumes]
    sandboxed = Sandboxed(process, lifeline_write, list(zip(opened, sources, strict=False)))
    if report:
        sandboxed.kill()
        sandboxed.wait()
        raise _error(marshal.loads(report), argv)  # noqa: S302  the launcher wrote it
    return sandboxed


def _receive(receiving: socket.socket, number: int) -> Sequence[int]:
    """The volumes' directories, opened by the launcher; fewer than there are volumes if it failed before."""
    with receiving:
        return socket.recv_fds(receiving, 16, number)[1]


def _bring_back(opened: int, directory: Path) -> None:
    """Replaces a directory's contents by those of a volume that nobody uses any more, and lets the volume go."""

    def special(folder: str, names: list[str]) -> list[str]:
        """Pipes and sockets, which cannot be copied."""
        paths = {name: Path(folder, name) for name in names}
        return [name for name, path in paths.items() if not (path.is_symlink() or path.is_dir() or path.is_file())]

    try:
        shutil.rmtree(directory)
        shutil.copytree(f"/proc/self/fd/{opened}", directory, symlinks=True, ignore=special)
    finally:
        os.close(opened)


def ensure_supported() -> None:
    """Raises SandboxError, with what to do about it, where this machine cannot run sandboxes."""
    sandboxed = spawn(
        ["true"], env={"PATH": "/usr/bin:/bin"}, cwd="/", mounts=(), log=subprocess.DEVNULL, stop_grace_seconds=0
    )
    sandboxed.wait()


def _start_launcher(specification: dict[str, Any], log: Path | int) -> "subprocess.Popen[bytes]":
    message = os.memfd_create("sandbox")  # arguments and environment may be longer than a command line
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644) if isinstance(log, Path) else log
    try:
        os.write(message, marshal.dumps(specification))
        passed = [message, specification["lifeline"], specification["status"]]
        passed += [specification["channel"]] if specification["volumes"] else []
        return subprocess.Popen(
            [sys.executable, "-I", "-S", str(LAUNCHER), str(message)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=passed,
            start_new_session=True,  # Ctrl-C is for the local cloud, which then ends its programs in order
            cwd="/",
        )
    finally:
        os.close(message)
        if isinstance(log, Path):
            os.close(output)


def _interpreter_paths() -> list[str]:
    """Where Python is installed: must stay visible even if a mount covers it (a virtual environment under /tmp)."""
    prefixes = {sys.prefix, sys.base_prefix, str(Path(sys.executable).resolve().parent.parent)}
    return sorted(str(Path(prefix).absolute()) for prefix in prefixes)


def _error(report: Mapping[str, Any], argv: Sequence[str]) -> SandboxError:
    number: int = report["errno"]
    reason = os.strerror(number) if number else ""
    problem = f"Could not {report['what']}{f': {reason}' if reason else ''}."
    if report["kind"] == "namespaces":
        return SandboxError(f"{problem} {_namespace_advice()}")
    if report["kind"] == "exec":
        if number in (errno.ENOENT, errno.EACCES, errno.ENOTDIR, errno.ENOEXEC):
            return ProgramNotFoundError(
                f"{problem} Check that {argv[0]!r} is an executable file in the image, on its PATH, and that its first "
                "line names an interpreter that exists."
            )
        return SandboxError(f"{problem} The command was {list(argv)}.")
    if report["kind"] == "cwd":
        return ProgramNotFoundError(f"{problem} Check the image's WORKDIR.")
    if report["kind"] == "volume" and number == errno.ENOSPC:
        return VolumeFullError(problem)
    if number == errno.ENOSYS:
        return SandboxError(f"{problem} The local cloud needs Linux 5.2 or later; this is {os.uname().release}.")
    if report["kind"] == "source":
        return SandboxError(f"{problem} Check that it exists and that this user may read it.")
    return SandboxError(
        f"{problem} It was to run {list(argv)}. Try again as root; `dmesg` may say why the kernel refused."
    )


def _namespace_advice() -> str:
    """What to do on this machine so that namespaces work."""
    switches = {
        "kernel/apparmor_restrict_unprivileged_userns": ("1", "0", "Ubuntu's AppArmor keeps ordinary users from it"),
        "kernel/unprivileged_userns_clone": ("0", "1", "this kernel keeps ordinary users from it"),
        "user/max_user_namespaces": ("0", "15000", "the number of user namespaces is limited to 0"),
    }
    for name, (value, wanted, why) in switches.items():
        path = Path("/proc/sys") / name
        if path.exists() and path.read_text().strip() == value:
            return f"Here {why}. Run `sudo sysctl {name.replace('/', '.')}={wanted}`, or run the local cloud as root."
    return (
        "Inside a container, start that container with `--privileged` (or with `--cap-add SYS_ADMIN "
        "--security-opt seccomp=unconfined --security-opt apparmor=unconfined`); otherwise run the local cloud as root."
    )

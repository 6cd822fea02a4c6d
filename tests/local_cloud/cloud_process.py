"""Starts a local cloud as a process of its own, waits until it is ready, and stops it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from local_cloud.state_directory import LOG_FILE, CloudFile, read_cloud

_CHECKOUT = Path(__file__).resolve().parents[2]
_LAST_LINES = 15


class CloudNotStartedError(RuntimeError):
    """The local cloud's process ended, or was not ready in time; the message holds what it said."""


@dataclass(frozen=True)
class RunningCloud:
    """A local cloud and its process; ``process`` is None for a cloud that somebody else started."""

    file: CloudFile
    state: Path
    process: subprocess.Popen[bytes] | None = None

    def stop(self, seconds: float = 30.0) -> None:
        """End the cloud and all it runs; kill it when it takes longer than ``seconds``."""
        if self.process is None:
            stop_cloud(self.file, self.state, seconds)
            return
        self.process.terminate()
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def start_cloud(
    state: Path,
    *,
    port: int = 0,
    ephemeral: bool = True,
    clock: datetime | None = None,
    retry_seconds: float = 1.0,
    timeout: float = 60.0,
) -> RunningCloud:
    """Start a local cloud and return once it is ready.

    ``ephemeral`` ends it with this process, whatever ends this process; otherwise it lives on in a session of its own.
    Raises CloudNotStartedError.
    """
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    command = [sys.executable, "-m", "local_cloud", "--state", str(state), "--port", str(port)]
    command += ["--retry-seconds", str(retry_seconds)]
    command += ["--parent-pid", str(os.getpid())] if ephemeral else []
    command += ["--clock", clock.isoformat()] if clock else []
    process = subprocess.Popen(
        command,
        cwd=_CHECKOUT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C in a terminal reaches the command, which then stops the cloud in order
    )
    try:
        file = _wait_until_ready(process, state, timeout)
    except BaseException:
        process.kill()
        process.wait()
        raise
    return RunningCloud(file, state, process)


def stop_cloud(file: CloudFile, state: Path, seconds: float = 30.0) -> None:
    """End the cloud that lives in a state directory; kill it when it takes longer than ``seconds``."""
    for number, patience in ((signal.SIGTERM, seconds), (signal.SIGKILL, 5.0)):
        try:
            os.kill(file.pid, number)
        except ProcessLookupError:
            return
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            if read_cloud(state) is None:
                return
            time.sleep(0.05)


def _wait_until_ready(process: subprocess.Popen[bytes], state: Path, timeout: float) -> CloudFile:
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        file = read_cloud(state)
        if file is not None and file.pid == process.pid:
            return file
        if process.poll() is not None:
            said = process.stderr.read().decode(errors="replace") if process.stderr else ""
            raise CloudNotStartedError(f"the local cloud ended with code {process.returncode}: {said}{_tail(state)}")
        time.sleep(0.02)
    raise CloudNotStartedError(f"the local cloud was not ready within {timeout:.0f} s{_tail(state)}")


def _tail(state: Path) -> str:
    try:
        lines = (state / LOG_FILE).read_text(errors="replace").splitlines()[-_LAST_LINES:]
    except OSError:
        return ""
    return f"\n{state / LOG_FILE} ends with\n" + "\n".join(lines) if lines else ""

"""The endpoint's real program in a process of its own, and its memory."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from local_cloud.ports import ReservedPort
from tests.fuzz.connection import Connection

ROOT = Path(__file__).parents[2]
# SageMaker mounts the model at /opt/ml/model; here another folder stands for /opt/ml.
PROGRAM = """
import pathlib, sys
from sagemaker_jobs.runner import Job
from sagemaker_jobs.serve.__main__ import main
main(Job(pathlib.Path(sys.argv[1])))
"""
_START = 60  # seconds


class Endpoint:
    """A running server: its port, and what can be seen of it from outside."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
        self.process = process
        self.port = port
        self._log = log

    def log(self) -> str:
        """All that it wrote."""
        return self._log.read_text("utf-8", errors="replace")

    def megabytes(self) -> float:
        """Memory of the program and the processes it started, but for files, which strangers may share with them."""
        return megabytes(self.process.pid, "Pss_Anon")


@contextlib.contextmanager
def running(ml: Path, log: Path) -> Iterator[Endpoint]:
    """The server on the model in `ml`/model, healthy; ended at the end."""
    reserved = ReservedPort()
    port = reserved.number
    environ = {**os.environ, "SAGEMAKER_BIND_TO_PORT": str(port), "PYTHONUNBUFFERED": "1"}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(ml)],
            cwd=ROOT,
            env=environ,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait_until_healthy(process, port, log)
        yield Endpoint(process, port, log)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        reserved.release()


def _wait_until_healthy(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + _START
    while True:
        with contextlib.suppress(OSError), Connection(port) as connection:
            (reply,) = connection.ask(b"GET /ping HTTP/1.1\r\nhost: x\r\n\r\n")
            assert reply.status == 200
            return
        assert process.poll() is None, f"the server ended at once:\n{log.read_text('utf-8')}"
        assert time.monotonic() < deadline, "the server is not healthy"
        time.sleep(0.05)


def megabytes(pid: int, field: str = "Pss") -> float:
    """Memory of a process and all that descend from it: a field of proc(5)'s smaps_rollup, e.g. Pss or Pss_Anon."""
    return sum(_kilobytes(each, field) for each in family(pid)) / 1024


def family(pid: int) -> list[int]:
    """A process and all that descend from it."""
    found = [pid]
    for parent in found:
        for children in Path(f"/proc/{parent}/task").glob("*/children"):
            found += map(int, children.read_text().split())
    return found


def _kilobytes(pid: int, field: str) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1])
    raise ValueError(f"no {field} of process {pid}")

"""Runs a container of the job image as SageMaker does, but without network and with a read-only root."""

import os
import subprocess
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from local_cloud.containers.engine import Engine, EngineError

_ISOLATED = ("--network=none", "--read-only", "--tmpfs=/tmp", "--security-opt=no-new-privileges")
_ASK = """
import sys, urllib.error, urllib.request
path, content_type, file = sys.argv[1:]
body = open(file, "rb").read() if file else None
headers = {"Content-Type": content_type, "Accept": "text/csv"}
request = urllib.request.Request("http://127.0.0.1:8080" + path, body, headers)
try:
    answer = urllib.request.urlopen(request, timeout=60)
except urllib.error.HTTPError as error:
    answer = error
print(answer.status)
sys.stdout.write(answer.read().decode())
"""


@dataclass(frozen=True)
class Ended:
    """A container that has ended: its exit code, and what it wrote to standard output and error."""

    code: int
    output: str


def run(
    engine: Engine,
    image: str,
    ml: Path,
    *,
    program: Sequence[str] = (),
    entrypoint: str | None = None,
    variables: Mapping[str, str] | None = None,
) -> Ended:
    """`docker run [--entrypoint entrypoint] image [program]` with `ml` as /opt/ml, to its end."""
    done = subprocess.run(
        [engine.program, "run", "--rm", *_arguments(ml, entrypoint, variables or {}), image, *program],
        env=os.environ | engine.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return Ended(done.returncode, done.stdout + done.stderr)


@dataclass(frozen=True)
class Server:
    """A container that serves on its own port 8080, which only a program inside of it reaches."""

    engine: Engine
    name: str

    def ask(self, path: str, content_type: str = "", file: str = "") -> tuple[int, str]:
        """GET a path, or POST a file of the container to it: status and body."""
        said = self.engine.run("exec", self.name, "python3", "-c", _ASK, path, content_type, file, timeout=90)
        status, _, body = said.partition("\n")
        return int(status), body

    def ask_soon(self, path: str, content_type: str = "", file: str = "", seconds: float = 60.0) -> tuple[int, str]:
        """`ask`, as soon as somebody listens. Raises TimeoutError with what the container wrote."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                return self.ask(path, content_type, file)
            except EngineError:  # nobody listens yet
                if time.monotonic() > deadline:
                    raise TimeoutError(self.engine.run("logs", self.name)) from None
            time.sleep(0.02)

    def stop(self) -> int:
        """SIGTERM, SIGKILL after 30 s, as SageMaker does; the exit code."""
        self.engine.run("stop", "-t", "30", self.name)
        return int(self.engine.run("container", "inspect", "--format", "{{.State.ExitCode}}", self.name))


@contextmanager
def serving(
    engine: Engine, image: str, ml: Path, program: Sequence[str], variables: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """`docker run image program`, in the background."""
    name = f"treering-test-{uuid.uuid4().hex[:12]}"
    engine.run("run", "--detach", f"--name={name}", *_arguments(ml, None, variables or {}), image, *program)
    try:
        yield Server(engine, name)
    finally:
        engine.run("rm", "--force", name)


def _arguments(ml: Path, entrypoint: str | None, variables: Mapping[str, str]) -> list[str]:
    arguments = [*_ISOLATED, f"--volume={ml}:/opt/ml"]
    if os.geteuid() != 0:  # what the engine's root writes could not be removed
        arguments.append(f"--user={os.geteuid()}:{os.getegid()}")
    arguments += [f"--env={name}={value}" for name, value in variables.items()]
    return arguments if entrypoint is None else [*arguments, f"--entrypoint={entrypoint}"]

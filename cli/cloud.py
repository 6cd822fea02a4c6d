"""The local cloud as a process: start it, find the one that is there, move its clock, end it.

The commands know of it what stands in its `cloud.json` and what its AWS endpoint answers, no more.
"""

import contextlib
import functools
import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from cli import interrupts
from cli.errors import CloudGoneError, CommandError
from local_cloud.state_directory import LOG_FILE, killed_cloud, read_cloud

REPOSITORY = Path(__file__).resolve().parents[1]
OUTPUT = "cloud.out"  # what the process prints; its log proper is beside it, in cloud.log
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # no proxy leads to this machine
START_SECONDS = 60.0  # until cloud.json is there; it takes about two on an idle machine
_MAKING = threading.Lock()  # boto3's own session is not safe to create clients from several threads
STOP_SECONDS = 40.0  # the cloud itself gives jobs and the endpoint at most 30 seconds to end


@dataclass(frozen=True)
class Cloud:
    """A local cloud that answers: where it is, and the credentials of its account's administrator."""

    folder: Path
    endpoint: str
    region: str
    account_id: str
    pid: int
    access_key_id: str
    secret_access_key: str
    started_at: str

    @property
    def log(self) -> Path:
        """What the cloud itself writes down."""
        return self.folder / LOG_FILE

    def client(self, service: str) -> Any:
        """A boto3 client of the service, with the administrator's credentials; the same one each time."""
        return _client(service, self.endpoint, self.region, self.access_key_id, self.secret_access_key)

    def environment(self) -> dict[str, str]:
        """What to export so that the AWS command line, boto3 and SDKs of other languages talk to this cloud."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_REGION": self.region,
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret_access_key,
        }

    def healthy(self) -> bool:
        """Whether its process lives and its endpoint answers."""
        if not alive(self.pid):
            return False
        try:
            self._call("health")
        except (OSError, ValueError):
            return False
        return True

    def now(self) -> datetime:
        """What time it is in the cloud."""
        return datetime.fromisoformat(self._call("clock")["now"])

    def move_clock(self, to: datetime) -> dict[str, Any]:
        """Move the clock forward; schedules due by then fire. Gives `now`, and `rule` and `time` of each `fired`."""
        return self._call("clock", {"now": to.isoformat()})

    def set_clock(self, to: datetime) -> None:
        """Make it that time, also an earlier one; nothing fires."""
        self._call("clock", {"now": to.isoformat(), "fire": False})

    def waiting(self) -> dict[str, Any]:
        """What waits for an instant of the cloud's time (see `local_cloud.waits`): `next`, and each of `waiting`."""
        return self._call("waiting")

    def permissions(self) -> dict[str, Any]:
        """What each role was granted, what of it was used, and what was denied (see `local_cloud.iam.report`)."""
        return self._call("permissions")

    def arm(self, faults: list[dict[str, Any]]) -> dict[str, Any]:
        """Let something go wrong (see `local_cloud.faults`). Gives the `armed` ones, with their numbers."""
        return self._call("faults", faults)

    def faults(self) -> dict[str, Any]:
        """What is `armed`, and what is `spent`."""
        return self._call("faults")

    def disarm(self) -> dict[str, Any]:
        """Let nothing go wrong any more; tells how many were `cleared`."""
        return self._call("faults", method="DELETE")

    def _call(self, path: str, body: object = None, method: str | None = None) -> dict[str, Any]:
        request = urllib.request.Request(  # noqa: S310  # the endpoint is the loopback address
            f"{self.endpoint}/_local_cloud/{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
            method=method,
        )
        try:
            with _DIRECT.open(request, timeout=60) as answer:
                content: dict[str, Any] = json.load(answer)
                return content
        except urllib.error.HTTPError as error:
            raise CommandError(
                f"The local cloud refused {path} {body or ''}: {error.code} {error.read().decode(errors='replace')}"
            ) from error
        except (OSError, http.client.HTTPException, ValueError) as error:  # it has ended
            raise gone(error) from error

    def describe(self) -> dict[str, Any]:
        """As JSON."""
        return {**asdict(self), "folder": str(self.folder)}


def gone(error: Exception) -> CloudGoneError:
    """What to say of a cloud that was there and does not answer."""
    return CloudGoneError(
        f"The local cloud does not answer any more: {str(error) or type(error).__name__}.",
        hint="`treering up` starts one again.",
    )


@functools.cache
def _client(service: str, endpoint: str, region: str, access_key_id: str, secret_access_key: str) -> Any:
    import boto3  # here, since it takes half a second, which not every command needs to spend
    from botocore.config import Config

    with _MAKING:
        return boto3.client(
            service,  # type: ignore[call-overload]  # the service's name is not a literal here
            endpoint_url=endpoint,
            region_name=region,
            aws_access_key_id=access_key_id,
            aws_secret_access_key=secret_access_key,
            config=Config(retries={"mode": "standard"}, read_timeout=120, proxies={}),
        )


def find(folder: Path) -> Cloud | None:
    """The cloud that keeps its state in `folder`, if it runs and answers."""
    cloud = load(folder)
    return cloud if cloud is not None and cloud.healthy() else None


def load(folder: Path) -> Cloud | None:
    """The cloud that keeps its state in `folder`, without asking whether it answers."""
    content = read_cloud(folder)
    return None if content is None else Cloud(folder=folder, **asdict(content))


def killed(folder: Path) -> str:
    """What to say of a cloud in `folder` that did not end in order; empty where there is none."""
    cloud = killed_cloud(folder)
    if cloud is None:
        return ""
    return f"The local cloud in {folder} (process {cloud.pid}) was killed or the machine restarted"


class Starting:
    """A cloud that is being started in `folder`.

    With `parent_pid` the cloud ends when that process does, however it ends. Without, it lives until it is stopped.
    """

    def __init__(self, folder: Path, *, parent_pid: int | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._log = folder / OUTPUT
        arguments = [sys.executable, "-m", "local_cloud", "--state", str(folder)]
        if parent_pid is not None:
            arguments += ["--parent-pid", str(parent_pid)]
        self._process = spawn(arguments, self._log)

    @property
    def pid(self) -> int:
        """The process that the cloud is."""
        return self._process.pid

    def wait(self) -> Cloud:
        """Wait until it answers. Raises CommandError with its last words where it does not come up."""
        deadline = time.monotonic() + START_SECONDS
        while (cloud := find(self._folder)) is None:
            if self._process.poll() is not None:
                raise CommandError(
                    f"The local cloud ended while it started (exit code {self._process.returncode}).\n{tail(self._log)}"
                )
            if time.monotonic() > deadline:
                raise CommandError(f"The local cloud did not answer in {START_SECONDS:.0f} seconds.\n{tail(self._log)}")
            time.sleep(0.05)
        return cloud


def stop(pid: int) -> None:
    """End the cloud and all that it started: it is asked to end in order, and killed if that takes too long."""
    with interrupts.held():
        end(pid)


def spawn(arguments: list[str], log: Path) -> subprocess.Popen[bytes]:
    """Start a process of this checkout in a session of its own: the terminal's Ctrl-C reaches only the command."""
    with log.open("ab") as output:
        return subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=REPOSITORY,
            start_new_session=True,
        )


def end(pid: int, seconds: float = STOP_SECONDS) -> None:
    """Ask the process to end (SIGTERM) and wait; kill it after `seconds`."""
    for number, patience in ((signal.SIGTERM, seconds), (signal.SIGKILL, 5.0)):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            if not alive(pid):
                return
            time.sleep(0.02)


def alive(pid: int) -> bool:
    """Whether a process of that ID runs; one that has ended but was not waited for does not."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    try:
        state = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return False
    return state not in "ZX"


def tail(log: Path, lines: int = 20) -> str:
    """The last lines of a file, indented."""
    try:
        return "\n".join(f"    {line}" for line in log.read_text("utf-8", "replace").splitlines()[-lines:])
    except OSError:
        return "    (no log)"

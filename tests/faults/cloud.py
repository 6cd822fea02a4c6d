"""The process that a local cloud is: started, asked, killed and started again."""

import json
import os
import signal
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import boto3
from botocore.config import Config

from tests.faults.processes import descendants
from tests.local_cloud.cloud_process import RunningCloud, start_cloud

FIRST_SUNDAY = datetime(2026, 1, 4, 12, tzinfo=UTC)
RETRY_SECONDS = 0.05  # what a minute of Lambda's queue lasts here
_POLL_SECONDS = 0.1
_LONGEST_POLL_SECONDS = 0.6
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # no proxy leads to this machine
_SESSION = boto3.Session()
_MAKING = threading.Lock()  # a session is not safe to create clients from several threads
T = TypeVar("T")


class DifferenceError(Exception):
    """What was seen is not what was expected."""


class Cloud:
    """A local cloud that ends with this process; its state lies in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._clients: dict[str, Any] = {}
        self.running: RunningCloud = start_cloud(folder, clock=FIRST_SUNDAY, retry_seconds=RETRY_SECONDS)

    def kill(self) -> None:
        """`kill -9` of the cloud; returns when nothing of it is left."""
        pids = descendants(self.running.file.pid)
        os.kill(self.running.file.pid, signal.SIGKILL)
        if self.running.process is not None:
            self.running.process.wait()
        self.until(
            lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids), 20, "end of what the cloud had started"
        )

    def restart(self) -> None:
        """Start a cloud anew on the folder of one that was killed."""
        self.running = start_cloud(self.folder, retry_seconds=RETRY_SECONDS)
        with _MAKING:
            self._clients.clear()

    def client(self, service: str) -> Any:
        """Client with the administrator's credentials, which tries once."""
        file = self.running.file
        with _MAKING:
            if service not in self._clients:
                config = Config(retries={"total_max_attempts": 1}, proxies={}, read_timeout=70, max_pool_connections=20)
                self._clients[service] = _SESSION.client(  # type: ignore[call-overload]  # the service's name is not a literal here
                    service,
                    endpoint_url=file.endpoint,
                    region_name=file.region,
                    aws_access_key_id=file.access_key_id,
                    aws_secret_access_key=file.secret_access_key,
                    config=config,
                )
            return self._clients[service]

    def call(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """Answer of one of the local cloud's own paths."""
        content = None if body is None else json.dumps(body).encode()
        url = f"{self.running.file.endpoint}/_local_cloud/{path}"
        request = urllib.request.Request(url, content, method=method)
        try:
            with _DIRECT.open(request, timeout=30) as answer:
                found: dict[str, Any] = json.load(answer)
                return found
        except urllib.error.HTTPError as error:
            raise DifferenceError(f"{method} {path}: {error.code} {error.read().decode(errors='replace')}") from error

    @staticmethod
    def until(look: Callable[[], T], seconds: float, what: str, *, at_once: bool = True) -> T:
        """The first true value of `look`. Raises DifferenceError when the time is up.

        What need not be seen `at_once` is looked at less and less often: every look takes the cloud's time, too.
        """
        deadline, pause = time.monotonic() + seconds, _POLL_SECONDS
        while True:
            value = look()
            if value:
                return value
            if time.monotonic() > deadline:
                raise DifferenceError(f"after {seconds:.0f} s still no {what}")
            time.sleep(pause)
            if not at_once:
                pause = min(pause * 1.5, _LONGEST_POLL_SECONDS)

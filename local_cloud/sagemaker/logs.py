"""Sends a container's output to CloudWatch Logs while it runs, with the credentials of the container's role."""

import contextlib
import logging
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from local_cloud.sagemaker.environment import SageMakerEnvironment
from local_cloud.sagemaker.storage import client

_LOGGER = logging.getLogger(__name__)
_INTERVAL_SECONDS = 0.5
_BATCH_EVENTS = 1000  # PutLogEvents takes at most 10,000 events and 1 MiB, an event at most 256 KiB
_MAX_EVENT_CHARACTERS = 60_000


class LogShipper:
    """Follows a log file and puts its lines into one log stream.

    A role that may not write logs loses them, as in AWS: the job goes on, the file stays.
    """

    def __init__(
        self, cloud: SageMakerEnvironment, credentials: Mapping[str, str], log: Path, group: str, stream: str
    ) -> None:
        self._cloud, self._credentials, self._log = cloud, credentials, log
        self._group, self._stream = group, stream
        self._offset = 0
        self._rest = b""
        self._broken = False
        self._created = False
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"log {stream}", daemon=True)

    def start(self) -> "LogShipper":
        """Starts to follow the file, which need not exist yet."""
        self._thread.start()
        return self

    def close(self) -> None:
        """Sends what is left and stops."""
        self._closing.set()
        self._thread.join()

    def abandon(self) -> None:
        """Stops without sending what is left: whoever would take it is going away."""
        self._broken = True
        self._closing.set()

    def _run(self) -> None:
        while not self._closing.wait(_INTERVAL_SECONDS):
            self._ship(final=False)
        self._ship(final=True)

    def _ship(self, final: bool) -> None:
        if self._broken:
            return
        lines = self._new_lines(final)
        try:
            for start in range(0, len(lines), _BATCH_EVENTS):
                self._put(lines[start : start + _BATCH_EVENTS])
        except (ClientError, BotoCoreError) as error:
            self._broken = True
            _LOGGER.warning(
                "The log %s is not in %s: %s. It is whole in %s.", self._stream, self._group, error, self._log
            )

    def _new_lines(self, final: bool) -> list[str]:
        with contextlib.suppress(FileNotFoundError), self._log.open("rb") as file:
            file.seek(self._offset)
            content = file.read()
            self._offset += len(content)
            self._rest += content
        *lines, self._rest = self._rest.split(b"\n")
        if final and self._rest:
            lines.append(self._rest)
            self._rest = b""
        return [line.decode(errors="replace").rstrip("\r")[:_MAX_EVENT_CHARACTERS] or " " for line in lines]

    def _put(self, lines: list[str]) -> None:
        with client("logs", self._cloud.endpoint_url(), self._cloud.region, self._credentials) as logs:
            if not self._created:
                self._create(logs.create_log_group, logGroupName=self._group)
                self._create(logs.create_log_stream, logGroupName=self._group, logStreamName=self._stream)
                self._created = True
            now = int(self._cloud.now().timestamp() * 1000)
            events = [{"timestamp": now, "message": line} for line in lines]
            logs.put_log_events(logGroupName=self._group, logStreamName=self._stream, logEvents=events)

    @staticmethod
    def _create(call: Any, **arguments: str) -> None:
        try:
            call(**arguments)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceAlreadyExistsException":
                raise

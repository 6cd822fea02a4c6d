"""One execution environment: a sandbox with the emulator and the function, which takes one invocation at a time.

What AWS refuses fails here the same way: only ``/tmp`` can be written to, up to the function's ephemeral storage; there
is no ``/dev/shm``, so locks, queues and pools of ``multiprocessing`` cannot be made; the home directory does not exist.
"""

from __future__ import annotations

import http.client
import os
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from local_cloud.faults.strikes import Strikes
from local_cloud.images import ImageSpec
from local_cloud.lambda_runtime.emulator import EXIT_ERROR, Addresses, Answer, command_line, exited, invoke, timed_out
from local_cloud.lambda_runtime.function import Function
from local_cloud.lambda_runtime.output import Line, Output
from local_cloud.memory import MemoryMeter
from local_cloud.program import Program, start
from local_cloud.sandbox import Mount

_MB = 1024 * 1024
_USER = "993:990"  # sbx_user1051, whom Lambda runs every function as
_START_SECONDS = 10.0  # AWS gives the Init phase as much
_PATIENCE_SECONDS = 10.0  # past the function's timeout, which the emulator watches itself
_OUTPUT_SECONDS = 0.5


class EnvironmentStartError(Exception):
    """An execution environment could not be started; says why."""


@dataclass(frozen=True)
class Invocation:
    """What an invocation came to, and its log: the platform's lines and the function's."""

    answer: Answer
    lines: tuple[Line, ...]


class ExecutionEnvironment:
    """Starts on creation; raises EnvironmentStartError or SandboxError. ``close`` it in the end."""

    def __init__(
        self, function: Function, image: ImageSpec, variables: Mapping[str, str], log_stream: str, emulator: Path
    ) -> None:
        self.function = function
        self.log_stream = log_stream
        self.credentials_key = variables.get("AWS_ACCESS_KEY_ID", "")
        self.started = self.last_used = time.monotonic()
        program = (*(function.entrypoint or image.entrypoint), *(function.command or image.command))
        self._addresses = Addresses()
        reading, writing = os.pipe()
        try:
            self._sandbox: Program = start(
                image,
                command_line(emulator, self._addresses, program),
                env=variables,
                cwd=function.workdir or image.workdir,
                mounts=[Mount(emulator, str(emulator), read_only=True)] if image.engine_image else (),
                log=writing,
                read_only_root=True,
                tmpfs=[("/tmp", function.storage * _MB)],  # noqa: S108  Lambda's
                hide_shm=True,
                stop_grace_seconds=0,
                memory_megabytes=function.memory,
                user=_USER,
            )
        except BaseException:
            os.close(reading)
            self._addresses.release()
            raise
        finally:
            os.close(writing)
        self._output = Output(reading)
        if not self._listens():
            self.close()
            said = "\n".join(line.text for line in self._output.take(None, _OUTPUT_SECONDS))
            raise EnvironmentStartError(f"the Runtime Interface Emulator of {function.name} did not start: {said}")
        self._meter = MemoryMeter(self._sandbox.pid, function.memory)

    def invoke(self, payload: bytes, request_id: str, strikes: Strikes) -> Invocation:
        """Invoke the function with a JSON payload. If the answer says ``ended``, the environment is of no more use."""
        start = time.monotonic()
        begun = _now()
        with self._meter.watching(), strikes.watching(self._sandbox, self._output.says):
            answer = self._ask(payload, request_id)
        if strikes.ended():
            answer = exited(request_id, "signal: killed")
        self.last_used = time.monotonic()
        milliseconds = (self.last_used - start) * 1000
        if answer.ended:
            self.close()  # and with it its output
        lines = self._output.take(f"REPORT RequestId: {request_id}", _OUTPUT_SECONDS)
        return Invocation(answer, self._log(lines, answer, request_id, milliseconds, begun))

    def close(self) -> None:
        """End the function and everything it has started."""
        self._sandbox.kill()
        self._sandbox.wait()
        self._addresses.release()

    def _listens(self) -> bool:
        deadline = time.monotonic() + _START_SECONDS
        while self._sandbox.poll() is None and time.monotonic() < deadline:
            if self._addresses.listening():
                return True
            time.sleep(0.002)
        return False

    def _ask(self, payload: bytes, request_id: str) -> Answer:
        try:
            return invoke(self._addresses, payload, request_id, self.function.timeout + _PATIENCE_SECONDS)
        except TimeoutError:
            return timed_out(request_id, self.function.timeout)
        except (OSError, http.client.HTTPException):
            return exited(request_id, "signal: killed")

    def _log(
        self, lines: list[Line], answer: Answer, request_id: str, milliseconds: float, begun: int
    ) -> tuple[Line, ...]:
        """The function's lines between those of the platform, which the emulator knows only half of."""
        platform = tuple(f"{word} RequestId: {request_id}" for word in ("START", "END", "REPORT"))
        own = [line for line in lines if not line.text.startswith(platform)]
        function, end = self.function, _now()
        before = [Line(begun, f"{platform[0]} Version: {function.version}")]
        after = []
        if answer.timed_out:
            stamp = datetime.fromtimestamp(end / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
            after.append(Line(end, f"{stamp} {request_id} Task timed out after {function.timeout}.00 seconds"))
        elif answer.ended and isinstance(answer.payload, dict) and answer.payload.get("errorType") == EXIT_ERROR:
            after.append(Line(end, f"{answer.payload['errorMessage']}\n{EXIT_ERROR}"))
        report = (
            f"{platform[2]}\tDuration: {milliseconds:.2f} ms\tBilled Duration: {int(milliseconds) + 1} ms\t"
            f"Memory Size: {function.memory} MB\tMax Memory Used: {self._meter.most_mb} MB"
            f"{self._status(answer)}"
        )
        return (*before, *own, *after, Line(end, platform[1]), Line(end, report))

    def _status(self, answer: Answer) -> str:
        """The end of the REPORT line when the platform ended the invocation; an exception leaves it out."""
        if answer.timed_out:
            return "\tStatus: timeout"
        if not answer.ended:
            return ""
        kind = answer.payload.get("errorType") if isinstance(answer.payload, dict) else None
        return f"\tStatus: error\tError Type: {'Runtime.OutOfMemory' if self._meter.exceeded else kind}"


def new_log_stream(version: str) -> str:
    """A name for the log stream of an environment, in AWS's form."""
    return f"{datetime.now(UTC):%Y/%m/%d}/[{version}]{uuid.uuid4().hex}"


def _now() -> int:
    return time.time_ns() // 1_000_000

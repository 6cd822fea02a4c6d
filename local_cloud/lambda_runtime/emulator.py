"""AWS's Runtime Interface Emulator: where it is, how it is started, how it is asked.

It comes with ``aws-sam-cli`` and is the program that ``sam local`` runs functions with. It starts the function's
runtime (``awslambdaric``) at the first invocation, takes one invocation at a time, and stops one at its timeout.
"""

from __future__ import annotations

import http.client
import importlib.util
import json
import os
import platform
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from local_cloud.ports import ReservedPort

_ARCHITECTURES = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}
_PATH = "/2015-03-31/functions/function/invocations"
_TIMED_OUT = re.compile(r"Task timed out after \d+\.\d\d seconds")
EXIT_ERROR = "Runtime.ExitError"
# What awslambdaric sends for an exception; a handler that returns these very keys with its request ID means it so.
_ERROR_KEYS = {"errorMessage", "errorType", "requestId", "stackTrace"}


class EmulatorMissingError(RuntimeError):
    """The emulator is not there for this machine; says what to install."""


def emulator_binary() -> Path:
    """Return the emulator's program for this machine. Raises EmulatorMissingError."""
    architecture = _ARCHITECTURES.get(platform.machine().lower())
    if architecture is None:
        raise EmulatorMissingError(
            f"AWS's Runtime Interface Emulator exists for x86_64 and arm64, not {platform.machine()}"
        )
    package = importlib.util.find_spec("samcli")
    folders = list(package.submodule_search_locations or []) if package else []
    for folder in folders:
        binary = Path(folder, "local", "rapid", f"aws-lambda-rie-{architecture}")
        if binary.is_file():
            if not os.access(binary, os.X_OK):
                raise EmulatorMissingError(f"{binary} is not executable: run `chmod +x {binary}`")
            return binary
    raise EmulatorMissingError(
        "AWS's Runtime Interface Emulator is not installed: it comes with aws-sam-cli, at "
        f"samcli/local/rapid/aws-lambda-rie-{architecture}; install requirements/dev.txt"
    )


class Addresses:
    """Two ports on the loopback interface, the environment's own until they are released."""

    def __init__(self) -> None:
        self._invocations, self._runtime = ReservedPort(), ReservedPort()

    @property
    def invocations(self) -> int:
        """Where invocations go."""
        return self._invocations.number

    @property
    def runtime(self) -> int:
        """Where the runtime asks for them."""
        return self._runtime.number

    def listening(self) -> bool:
        """Whether the emulator takes invocations."""
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.invocations)) == 0

    def release(self) -> None:
        """Let others have the ports: the emulator has ended."""
        self._invocations.release()
        self._runtime.release()


def command_line(binary: Path, addresses: Addresses, program: Sequence[str]) -> list[str]:
    """The emulator's command line; ``program`` is the image's entry point with its command."""
    return [
        str(binary),
        "--log-level", "fatal",
        "--runtime-interface-emulator-address", f"127.0.0.1:{addresses.invocations}",
        "--runtime-api-address", f"127.0.0.1:{addresses.runtime}",
        *program,
    ]  # fmt: skip


@dataclass(frozen=True)
class Answer:
    """What an invocation came to.

    ``payload`` is what the caller gets; ``failed`` says that it is an error of the function, ``timed_out`` that the
    function was stopped, ``ended`` that its runtime is no longer there.
    """

    payload: object
    failed: bool = False
    timed_out: bool = False
    ended: bool = False


def invoke(addresses: Addresses, payload: bytes, request_id: str, patience: float) -> Answer:
    """Invoke the function, waiting for ``patience`` seconds at most.

    Raises TimeoutError past that time; OSError or HTTPException when the emulator is gone.
    """
    connection = http.client.HTTPConnection("127.0.0.1", addresses.invocations, timeout=patience)
    try:
        headers = {"Content-Type": "application/json", "X-Amzn-RequestId": request_id}
        connection.request("POST", _PATH, payload, headers)
        response = connection.getresponse()
        return _answer(response.status, response.read(), request_id)
    finally:
        connection.close()


def timed_out(request_id: str, seconds: int) -> Answer:
    """The answer of an invocation that took too long, in AWS's words."""
    return _timed_out(request_id, f"Task timed out after {seconds}.00 seconds")


def exited(request_id: str, how: str) -> Answer:
    """The answer of an invocation whose environment went away, in AWS's words."""
    message = f"RequestId: {request_id} Error: Runtime exited with error: {how}"
    return Answer({"errorType": EXIT_ERROR, "errorMessage": message}, failed=True, ended=True)


def _timed_out(request_id: str, how: str) -> Answer:
    payload = {"errorType": "Sandbox.Timedout", "errorMessage": f"RequestId: {request_id} Error: {how}"}
    return Answer(payload, failed=True, timed_out=True, ended=True)


def _answer(status: int, body: bytes, request_id: str) -> Answer:
    content = body.decode("utf-8", errors="replace")
    if match := _TIMED_OUT.fullmatch(content.strip()):
        return _timed_out(request_id, match[0])
    try:
        payload = json.loads(content)
    except ValueError:
        return exited(request_id, content.strip() or f"HTTP status {status}")
    if status != http.client.OK:
        return Answer(payload, failed=True, ended=True)
    if isinstance(payload, dict) and set(payload) == _ERROR_KEYS and payload["requestId"] == request_id:
        return Answer(payload, failed=True)
    # the emulator answers a response that is too large with status 200, and the runtime ends
    too_large = isinstance(payload, dict) and payload.get("errorType") == "Function.ResponseSizeTooLarge"
    return Answer(payload, failed=too_large, ended=too_large)

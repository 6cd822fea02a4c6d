"""One model server: the process behind a production variant of an endpoint."""

import contextlib
import http.client
import logging
import queue
import secrets
import shutil
import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local_cloud.sagemaker.container import Container, command
from local_cloud.sagemaker.environment import RoleNotAssumableError, SageMakerEnvironment
from local_cloud.sagemaker.errors import JobFailedError
from local_cloud.sagemaker.logs import LogShipper
from local_cloud.sagemaker.storage import RoleStorage, unpack
from local_cloud.sandbox import Mount, Sandboxed

_LOGGER = logging.getLogger(__name__)
# "How Your Container Should Respond to Health Check (Ping) Requests"
PING_TIMEOUT_SECONDS = 2
STARTUP_TIMEOUT_SECONDS = 8 * 60
# "A customer's model containers must respond to requests within 60 seconds."
INVOCATION_TIMEOUT_SECONDS = 60
_RESTART_PAUSE_SECONDS = 1.0


class NoAnswerError(Exception):
    """The model server did not answer; the message is AWS's for this case."""


@dataclass(frozen=True)
class Answer:
    """A model server's response."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class ModelServer:
    """Downloads a model, runs `docker run <image> serve`, and passes requests on.

    One process answers for all instances of the variant: they would share this machine anyway.
    """

    def __init__(
        self,
        cloud: SageMakerEnvironment,
        directory: Path,
        endpoint_name: str,
        variant: Mapping[str, Any],
        model: Mapping[str, Any],
    ) -> None:
        self._cloud, self._directory, self._variant, self._model = cloud, directory, variant, model
        self._group = f"/aws/sagemaker/Endpoints/{endpoint_name}"
        self._lock = threading.Lock()
        self._port = 0
        self._program: Sandboxed | None = None
        self._shipper: LogShipper | None = None
        self._stopping = False
        self._healthy = False
        self._idle: queue.SimpleQueue[http.client.HTTPConnection] = queue.SimpleQueue()

    @property
    def name(self) -> str:
        """The variant's name."""
        return str(self._variant["VariantName"])

    def start(self) -> None:
        """Returns when the server is healthy; raises JobFailedError when it does not become so."""
        container = self._container()
        self._launch(container)
        limit = self._variant.get("ContainerStartupHealthCheckTimeoutInSeconds", STARTUP_TIMEOUT_SECONDS)
        deadline = time.monotonic() + limit
        pause = 0.02
        while not self._ping():
            code = self._program.poll() if self._program is not None else 0
            if code is not None:
                # SageMaker starts it again, for up to half an hour, before it says so
                raise JobFailedError(
                    f"The primary container for production variant {self.name} did not pass the ping health check: it "
                    f"ended with exit code {code}. Please check CloudWatch logs for this endpoint ({container.log})."
                )
            if self._stopping or time.monotonic() > deadline:
                raise JobFailedError(
                    f"The primary container for production variant {self.name} did not pass the ping health check. "
                    f"Please check CloudWatch logs for this endpoint ({container.log})."
                )
            time.sleep(pause)
            pause = min(pause * 1.5, 0.1)
        self._healthy = True
        threading.Thread(target=self._keep_running, args=(container,), name=f"variant {self.name}", daemon=True).start()

    def stop(self, kill: bool = False) -> None:
        """Ends the server (SIGTERM, SIGKILL after the grace; or at once) and returns when it has ended."""
        with self._lock:
            self._stopping = True
            program = self._program
        if program is not None:
            program.kill() if kill else program.terminate()
            program.wait()
        if self._shipper is not None:
            self._shipper.abandon() if kill else self._shipper.close()
        while not self._idle.empty():
            with contextlib.suppress(queue.Empty):
                self._idle.get_nowait().close()
        shutil.rmtree(self._directory / "tmp", ignore_errors=True)
        shutil.rmtree(self._directory / "ml", ignore_errors=True)
        shutil.rmtree(self._directory / "model", ignore_errors=True)

    def invoke(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        """`POST /invocations`; raises NoAnswerError."""
        try:
            return self._post(body, headers)
        except TimeoutError as error:
            raise NoAnswerError(
                "Your invocation timed out while waiting for a response from container primary. Review the latency "
                "metrics for each container in Amazon CloudWatch, resolve the issue, and try again."
            ) from error
        except (OSError, http.client.HTTPException) as error:
            raise NoAnswerError(f"The container primary did not answer: {error!r}.") from error

    def _post(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        try:
            connection, reused = self._idle.get_nowait(), True
        except queue.Empty:
            connection, reused = self._connect(), False
        try:
            connection.request("POST", "/invocations", body, dict(headers))
            response = connection.getresponse()
            answer = Answer(response.status, dict(response.getheaders()), response.read())
        except (ConnectionError, http.client.RemoteDisconnected, http.client.CannotSendRequest):
            connection.close()
            if reused:  # the server closed a connection it kept alive, or was started again meanwhile
                return self._post(body, headers)
            raise
        except BaseException:
            connection.close()
            raise
        if response.will_close or self._stopping:
            connection.close()
        else:
            self._idle.put(connection)
        return answer

    def _connect(self) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=INVOCATION_TIMEOUT_SECONDS)
        connection.connect()
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def _container(self) -> Container:
        definition, role_arn = self._model["PrimaryContainer"], self._model["ExecutionRoleArn"]
        try:
            image = self._cloud.resolve_image(definition["Image"])
            credentials = self._cloud.credentials_for_role(role_arn, "SageMaker-Endpoint")
        except LookupError as error:
            raise JobFailedError(f"Requested image {definition['Image']} not found: {error}") from error
        except RoleNotAssumableError as error:
            raise JobFailedError(str(error)) from error
        shutil.rmtree(self._directory, ignore_errors=True)
        (self._directory / "ml").mkdir(parents=True)
        self._fetch_model(definition, credentials, role_arn)
        self._port = _free_port()
        return Container(
            image=image,
            argv=command(image, (), ("serve",), ()),
            directory=self._directory,
            credentials=credentials,
            environment={
                **definition.get("Environment", {}),
                # AWS sets it for several containers in one endpoint; 8080 may be taken on this machine
                "SAGEMAKER_BIND_TO_PORT": str(self._port),
            },
            grace_seconds=self._cloud.serving_grace_seconds,
            # "/opt/ml/model … Your container has read-only access to this directory"
            mounts=(Mount(self._directory / "model", "/opt/ml/model", read_only=True),),
        )

    def _fetch_model(self, definition: Mapping[str, Any], credentials: Mapping[str, str], role_arn: str) -> None:
        directory = self._directory / "model"
        directory.mkdir()
        url = definition.get("ModelDataUrl")
        if not url:
            return
        archive = self._directory / "model.tar.gz"
        RoleStorage(self._cloud.endpoint_url(), self._cloud.region, credentials, role_arn).download(url, archive)
        unpack(archive, directory)
        archive.unlink()

    def _launch(self, container: Container) -> None:
        with self._lock:
            if self._stopping:
                raise JobFailedError("The endpoint was deleted while its container started.")
            self._program = container.start(self._cloud)
        if self._shipper is None:
            stream = f"{self.name}/i-{secrets.token_hex(9)[:17]}"
            self._shipper = LogShipper(self._cloud, container.credentials, container.log, self._group, stream).start()

    def _ping(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PING_TIMEOUT_SECONDS)
        try:
            connection.request("GET", "/ping")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _keep_running(self, container: Container) -> None:
        """Starts a server that has ended by itself again, as SageMaker does with a container that crashed."""
        while True:
            program = self._program
            if program is None:
                return
            code = program.wait()
            if self._stopping:
                return
            _LOGGER.warning(
                "The container of variant %s ended with exit code %s and is started again.", self.name, code
            )
            time.sleep(_RESTART_PAUSE_SECONDS)
            try:
                self._launch(container)
            except JobFailedError:
                return


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

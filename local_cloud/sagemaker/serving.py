"""One model server: the process behind a production variant of an endpoint."""

import http.client
import logging
import secrets
import shutil
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from local_cloud.faults import Answer as AnswerFault
from local_cloud.faults.base import ENDPOINT
from local_cloud.faults.strikes import Log, Strikes
from local_cloud.ports import ReservedPort
from local_cloud.program import Program
from local_cloud.sagemaker.container import Container, command
from local_cloud.sagemaker.container_client import (
    INVOCATION_TIMEOUT_SECONDS,
    PING_TIMEOUT_SECONDS,
    Answer,
    ContainerClient,
)
from local_cloud.sagemaker.environment import RoleNotAssumableError, SageMakerEnvironment
from local_cloud.sagemaker.errors import JobFailedError
from local_cloud.sagemaker.logs import LogShipper
from local_cloud.sagemaker.storage import RoleStorage, unpack
from local_cloud.sandbox import Mount

_LOGGER = logging.getLogger(__name__)
# "How Your Container Should Respond to Health Check (Ping) Requests": "… during the 8 minutes after startup"
STARTUP_TIMEOUT_SECONDS = 8 * 60
_RESTART_PAUSE_SECONDS = 1.0
_SESSION = "SageMaker-Endpoint"  # of the model's execution role
_RENEW_SECONDS = 3600.0
# SageMaker "launches new inference containers" for "replacing unhealthy instances" (same page); how often it asks, and
# how often in vain, it does not say
PING_EVERY_SECONDS = 5.0
UNHEALTHY_PINGS = 3
_NO_RESPONSE = (  # as SageMaker's users report it
    "Amazon SageMaker could not get a response from the {endpoint} endpoint. This can occur when CPU or memory "
    "utilization is high. To check your utilization, see Amazon CloudWatch. To fix this problem, use an instance type "
    "with more CPU capacity or memory."
)


class NoAnswerError(Exception):
    """The model server did not answer; the message is AWS's for this case."""


class ModelServer:
    """Downloads a model, runs `docker run <image> serve`, and passes requests on.

    One process answers for all instances of the variant: they would share this machine anyway.
    """

    def __init__(
        self,
        cloud: SageMakerEnvironment,
        directory: Path,
        endpoint_name: str,
        config_name: str,
        variant: Mapping[str, Any],
        model: Mapping[str, Any],
    ) -> None:
        self._cloud, self._directory, self._variant, self._model = cloud, directory, variant, model
        self.endpoint_name, self.config_name = endpoint_name, config_name
        self._credentials: tuple[float, Mapping[str, str]] = (0.0, {})
        self._group = f"/aws/sagemaker/Endpoints/{endpoint_name}"
        self._lock = threading.Lock()
        self._port = ReservedPort()
        self._client = ContainerClient(self._port.number)
        self._start_seconds: float = STARTUP_TIMEOUT_SECONDS
        self._program: Program | None = None
        self._shipper: LogShipper | None = None
        self._stopped = threading.Event()
        self._healthy = False
        self._given_up = False

    @property
    def name(self) -> str:
        """The variant's name."""
        return str(self._variant["VariantName"])

    @property
    def credentials(self) -> Mapping[str, str]:
        """Credentials of the model's execution role that are valid for some hours. Raises RoleNotAssumableError."""
        since, credentials = self._credentials
        if time.monotonic() - since > _RENEW_SECONDS:
            credentials = self._cloud.credentials_for_role(self._model["ExecutionRoleArn"], _SESSION)
            self._credentials = (time.monotonic(), credentials)
        return credentials

    @property
    def _where(self) -> dict[str, str]:
        """What a fault may be limited to."""
        return {"config": self.config_name, "variant": self.name}

    def start(self) -> None:
        """Returns when the server is healthy; raises JobFailedError when it does not become so."""
        container = self._container()
        self._launch(container)
        self._start_seconds = self._variant.get("ContainerStartupHealthCheckTimeoutInSeconds", STARTUP_TIMEOUT_SECONDS)
        begun = time.monotonic()
        pause = 0.02
        while not self._ping("start"):
            code = self._program.poll() if self._program is not None else 0
            if code is not None:
                # SageMaker starts it again, for up to half an hour, before it says so
                raise JobFailedError(
                    f"The primary container for production variant {self.name} did not pass the ping health check: it "
                    f"ended with exit code {code}. Please check CloudWatch logs for this endpoint ({container.log})."
                )
            if self._stopped.is_set() or time.monotonic() - begun > self._start_seconds:
                raise JobFailedError(
                    f"The primary container for production variant {self.name} did not pass the ping health check. "
                    f"Please check CloudWatch logs for this endpoint ({container.log})."
                )
            time.sleep(pause)
            pause = min(pause * 1.5, 0.1)
        self._healthy = True
        threading.Thread(target=self._keep_running, args=(container,), name=f"variant {self.name}", daemon=True).start()
        threading.Thread(target=self._keep_healthy, name=f"health of {self.name}", daemon=True).start()

    def serves(self) -> bool:
        """Whether the server is healthy; waits for one that is being started again."""
        begun = time.monotonic()
        while not self._client.ping():
            if self._given_up or self._stopped.is_set() or time.monotonic() - begun > self._start_seconds:
                return False
            time.sleep(0.1)
        return True

    def stop(self, kill: bool = False) -> None:
        """Ends the server (SIGTERM, SIGKILL after the grace; or at once) and returns when it has ended."""
        with self._lock:
            self._stopped.set()
            program = self._program
        if program is not None:
            program.kill() if kill else program.terminate()
            program.wait()
        if self._shipper is not None:
            self._shipper.abandon() if kill else self._shipper.close()
        self._client.close()
        self._port.release()
        shutil.rmtree(self._directory / "tmp", ignore_errors=True)
        shutil.rmtree(self._directory / "ml", ignore_errors=True)
        shutil.rmtree(self._directory / "model", ignore_errors=True)

    def invoke(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        """`POST /invocations`; raises NoAnswerError."""
        fault = self._cloud.faults.take(AnswerFault, ENDPOINT, self.endpoint_name, **self._where)
        try:
            return self._client.post(body, headers) if fault is None else self._faulty_answer(fault, body, headers)
        except TimeoutError as error:
            raise NoAnswerError(
                "Your invocation timed out while waiting for a response from container primary. Review the latency "
                "metrics for each container in Amazon CloudWatch, resolve the issue, and try again."
            ) from error
        except (OSError, http.client.HTTPException) as error:
            raise NoAnswerError(_NO_RESPONSE.format(endpoint=self.endpoint_name)) from error

    def _faulty_answer(self, fault: AnswerFault, body: bytes, headers: Mapping[str, str]) -> Answer:
        time.sleep(min(fault.seconds, INVOCATION_TIMEOUT_SECONDS))
        if fault.seconds >= INVOCATION_TIMEOUT_SECONDS:
            raise TimeoutError
        if not fault.instead:
            return self._client.post(body, headers)
        given = {"Content-Type": fault.content_type or headers.get("content-type", "application/octet-stream")}
        return Answer(fault.status or 200, given, (fault.body or "").encode())

    def _container(self) -> Container:
        definition, role_arn = self._model["PrimaryContainer"], self._model["ExecutionRoleArn"]
        try:
            image = self._cloud.resolve_image(definition["Image"])
            credentials = self._cloud.credentials_for_role(role_arn, _SESSION)
        except LookupError as error:
            raise JobFailedError(f"Requested image {definition['Image']} not found: {error}") from error
        except RoleNotAssumableError as error:
            raise JobFailedError(str(error)) from error
        self._credentials = (time.monotonic(), credentials)
        shutil.rmtree(self._directory, ignore_errors=True)
        (self._directory / "ml").mkdir(parents=True)
        self._fetch_model(definition, credentials, role_arn)
        return Container(
            image=image,
            argv=command(image, (), ("serve",), ()),
            directory=self._directory,
            credentials=credentials,
            environment={
                **definition.get("Environment", {}),
                # AWS sets it for several containers in one endpoint; 8080 may be taken on this machine
                "SAGEMAKER_BIND_TO_PORT": str(self._port.number),
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
            if self._stopped.is_set():
                raise JobFailedError("The endpoint was deleted while its container started.")
            strikes, log = Strikes(self._cloud.faults, ENDPOINT, self.endpoint_name, **self._where), Log(container.log)
            self._program = container.start(self._cloud)
            strikes.follow(self._program, log.says)
        if self._shipper is None:
            stream = f"{self.name}/i-{secrets.token_hex(9)[:17]}"
            self._shipper = LogShipper(self._cloud, container.credentials, container.log, self._group, stream).start()

    def _ping(self, during: Literal["start", "service"]) -> bool:
        fault = self._cloud.faults.take_ping(self.endpoint_name, during, **self._where)
        if fault is not None:
            if fault.give_up_seconds is not None:
                self._start_seconds = fault.give_up_seconds
            time.sleep(PING_TIMEOUT_SECONDS if fault.status == "stall" else 0)
            return False
        return self._client.ping()

    def _keep_running(self, container: Container) -> None:
        """Starts a server that has ended again, as SageMaker does with a container that crashed."""
        while True:
            program = self._program
            if program is None:
                return
            code = program.wait()
            self._healthy = False
            if self._stopped.wait(_RESTART_PAUSE_SECONDS):
                return
            _LOGGER.warning("The container of variant %s ended with exit code %s, it is started again", self.name, code)
            try:
                self._launch(container)
            except JobFailedError as error:
                _LOGGER.error("The container of variant %s cannot be started again: %s", self.name, error)
                self._given_up = True
                return

    def _keep_healthy(self) -> None:
        """Ends a server that was healthy and no longer answers health checks, so that it is started again."""
        failures = 0
        while not self._stopped.wait(PING_EVERY_SECONDS):
            if self._ping("service"):
                self._healthy, failures = True, 0
                continue
            failures = failures + 1 if self._healthy else 0  # one that has just started may take its time
            program = self._program
            if failures >= UNHEALTHY_PINGS and program is not None:
                _LOGGER.warning("The container of variant %s answers no health check and is ended", self.name)
                self._healthy, failures = False, 0
                program.kill()

"""What processing and training jobs have in common: a thread that prepares, runs, uploads; stopping; time limits."""

import logging
import shutil
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from local_cloud.faults import Capacity, words
from local_cloud.faults.base import JOB
from local_cloud.faults.jobs import JobFaults
from local_cloud.program import Program
from local_cloud.sagemaker.container import Container
from local_cloud.sagemaker.environment import ImageSpec, SageMakerEnvironment
from local_cloud.sagemaker.errors import JobFailedError, JobStoppedError
from local_cloud.sagemaker.logs import LogShipper
from local_cloud.sagemaker.names import Kind
from local_cloud.sagemaker.storage import RoleStorage

_LOGGER = logging.getLogger(__name__)
MAX_REASON = 1024  # FailureReason, ExitMessage: "up to 1 KB"
# CreateProcessingJob, CreateTrainingJob: "default value is 1 day"
_DEFAULT_MAX_RUNTIME_SECONDS = 86400


class Job(ABC):
    """One job. `describe` may be called from any thread at any time."""

    kind: Kind
    log_group: str

    def __init__(
        self, cloud: SageMakerEnvironment, request: Mapping[str, Any], image: ImageSpec, credentials: Mapping[str, str]
    ) -> None:
        self.cloud, self.request, self.image, self.credentials = cloud, request, image, credentials
        self.name: str = request[self.kind.name_member]
        self.arn = self.kind.arn(cloud.region, cloud.account_id, self.name)
        self.lock = threading.RLock()
        self.created = self.modified = cloud.now()
        self.started: datetime | None = None
        self.ended: datetime | None = None
        self.status = "InProgress"
        self.failure_reason: str | None = None
        self.container = self._container()
        self.storage = RoleStorage(cloud.endpoint_url(), cloud.region, credentials, request["RoleArn"])
        self._program: Program | None = None
        self._stopping = False
        self._closing = False
        self.out_of_time = False
        self._faults: JobFaults | None = None
        self._thread = threading.Thread(target=self._run, name=f"{self.kind.arn_type} {self.name}", daemon=True)

    @property
    def directory(self) -> Path:
        """The job's files on the host."""
        return self.cloud.state_dir / "sagemaker" / f"{self.kind.arn_type}s" / self.name

    def start(self) -> None:
        """Starts the job in the background."""
        shutil.rmtree(self.directory, ignore_errors=True)  # of a job of an earlier life of this state directory
        (self.directory / "ml").mkdir(parents=True)
        self.changed()
        self._thread.start()

    def stop(self) -> None:
        """Ends the job as Stop… does: SIGTERM, and SIGKILL when the grace is over. One that has ended stays so."""
        with self.lock:
            if self.status != "InProgress":
                return
            self.status = "Stopping"
            self._stop_program()
        self.changed()

    def close(self) -> None:
        """Kills the job; returns when none of its processes is left."""
        with self.lock:
            self._closing = self._stopping = True
            if self._program is not None:
                self._program.kill()
        if self._thread.ident is not None:
            self._thread.join(timeout=10)

    def wait(self, timeout: float | None = None) -> None:
        """Waits for the job's end."""
        self._thread.join(timeout)

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """The answer of Describe…."""

    @abstractmethod
    def _container(self) -> Container:
        """What to run."""

    @abstractmethod
    def _prepare(self) -> None:
        """Fills /opt/ml before the program starts."""

    @abstractmethod
    def _finish(self, code: int) -> None:
        """Uploads what the program made; raises JobFailedError when it failed."""

    @abstractmethod
    def _end(self, status: str) -> None:
        """Sets the final status."""

    def changed(self) -> None:
        """Tells the hooks that the status is a new one."""
        with self.lock:
            self.modified = self.ended or self.cloud.now()
        notify(self.cloud, self.kind.noun, self.describe())

    def check_stop(self) -> None:
        """Raises JobStoppedError when the job is to go no further."""
        if self._stopping:
            raise JobStoppedError

    def _run(self) -> None:
        try:
            if self.cloud.faults.take(Capacity, JOB, self.name) is not None:
                raise JobFailedError(words.NO_CAPACITY)
            self._prepare()
            code = self._execute()
            if self._closing:
                return  # its instance is gone; nothing is uploaded, and the next cloud says that it has failed
            self._finish(code)
            outcome = "Stopped" if self._stopping else "Completed"
        except JobStoppedError:
            outcome = "Stopped"
        except JobFailedError as error:
            reason = (self._faults and self._faults.reason) or str(error)
            outcome, self.failure_reason = "Failed", reason[:MAX_REASON]
        except Exception as error:
            _LOGGER.exception("%s failed inside the local cloud", self.arn)
            reason = f"InternalServerError: We encountered an internal error ({error!r}). Please try again."
            outcome, self.failure_reason = "Failed", reason[:MAX_REASON]
        if self._closing:
            return
        if outcome == "Failed" and self._stopping:
            outcome, self.failure_reason = (
                "Stopped",
                None,
            )  # whatever a program does while it is stopped, it was stopped
        with self.lock:
            self.ended = self.modified = self.cloud.now()
            self._end(outcome)
        if outcome == "Completed":
            for part in ("ml", "tmp"):
                shutil.rmtree(self.directory / part, ignore_errors=True)
        self.changed()

    def _execute(self) -> int:
        self._faults = faults = JobFaults(self.cloud.faults, self.name, self.container.log)
        with self.lock:
            self.check_stop()
            self.started = self.started or self.cloud.now()
            self._program = program = self.container.start(self.cloud, faults.volume)
        stream = f"{self.name}/algo-1-{int(self.started.timestamp())}"
        shipper = LogShipper(self.cloud, self.credentials, self.container.log, self.log_group, stream).start()
        limit = self.request.get("StoppingCondition", {}).get("MaxRuntimeInSeconds", _DEFAULT_MAX_RUNTIME_SECONDS)
        timer = threading.Timer(limit, self._time_over)
        timer.daemon = True
        timer.start()
        try:
            with faults.watching(program):
                code = program.wait()
        finally:
            timer.cancel()
            with self.lock:
                self._program = None
            shipper.abandon() if self._closing else shipper.close()
        code = faults.exit_code(code)
        if faults.instance_lost:
            raise JobFailedError(words.INTERNAL_ERROR)
        return code

    def _time_over(self) -> None:
        with self.lock:
            self.out_of_time = True
            self._stop_program()

    def _stop_program(self) -> None:
        self._stopping = True
        if self._program is not None:
            self._program.terminate()


def notify(cloud: SageMakerEnvironment, kind: str, description: dict[str, Any]) -> None:
    """Tells all hooks of a change of state; one that fails does not disturb the service."""
    for hook in cloud.hooks:
        try:
            hook(kind, description)
        except Exception:
            _LOGGER.exception("A hook for changes of state failed for %s", kind)


def without_missing(description: dict[str, Any]) -> dict[str, Any]:
    """A description without the members that have no value."""
    return {name: value for name, value in description.items() if value is not None}

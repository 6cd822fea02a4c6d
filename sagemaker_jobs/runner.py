"""Runs a job inside SageMaker's contract: the folders under /opt/ml, an exit code, and one sentence for a person.

Sources: SageMaker AI developer guide, "Run Training with your own container", "Build Your Own Processing Container".
"""

import contextlib
import errno
import gc
import json
import logging
import os
import shutil
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from treering.clock import SYSTEM_CLOCK, Clock
from treering.errors import ConfigurationError, TreeringError
from treering.leaving import leave

LONGEST_MESSAGE = 1024  # bytes kept of /opt/ml/output/message and /opt/ml/output/failure
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """Where a job finds what, and its clock. Tests give another `root`; the programs never do."""

    root: Path = Path("/opt/ml")
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    clock: Clock = SYSTEM_CLOCK

    @property
    def output(self) -> Path:
        """Folder that a processing job's only output is uploaded from."""
        return self.root / "processing/output"

    @property
    def model(self) -> Path:
        """Folder that a training job's model.tar.gz is made of, and that the endpoint's container finds unpacked."""
        return self.root / "model"

    @property
    def training_data(self) -> Path:
        """Folder that a training job's output.tar.gz is made of."""
        return self.root / "output/data"

    def input(self, name: str) -> Path:
        """Folder of an input of a processing job."""
        return self.root / "processing/input" / name

    def channel(self, name: str) -> Path:
        """Folder of a channel of a training job."""
        return self.root / "input/data" / name

    def hyperparameters(self) -> dict[str, str]:
        """Hyperparameters of a training job; all values are text."""
        path = self.root / "input/config/hyperparameters.json"
        try:
            given = json.loads(path.read_bytes())
        except (OSError, ValueError) as error:
            raise ConfigurationError(
                f"{path} cannot be read: {error}. SageMaker writes it for a training job."
            ) from error
        return {str(name): str(value) for name, value in given.items()}


class StoppedError(TreeringError):
    """SageMaker asked the job to stop: StopTrainingJob, StopProcessingJob, or the time limit."""


def run(work: Callable[[Job], str], job: Job) -> int:
    """Do the `work`, whose answer is one sentence on what was done; the program's exit code.

    The sentence becomes the exit message of a processing job. What went wrong becomes the failure reason (training) or
    the exit message (processing). The job's log has the stack trace of what should not have happened.
    """
    try:
        message = work(job)
    except TreeringError as error:
        return _fail(job, f"{type(error).__name__}: {error}")
    except Exception as error:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            return _fail(job, f"The job's volume is full: {error}. Raise the template's parameter JobVolumeSizeInGB.")
        log.exception("Unexpected error")
        return _fail(job, f"Unexpected {type(error).__name__}: {error}. The job's log has the stack trace.")
    log.info("%s", message)
    _say(job, "message", message)
    return 0


def main(work: Callable[[Job], str], job: Job | None = None) -> None:
    """Body of a job's program: run the `work` under /opt/ml and exit."""
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(message)s")
    logging.getLogger("botocore").setLevel(logging.WARNING)  # it tells where it found credentials at every start
    signal.signal(signal.SIGTERM, _stop)
    gc.freeze()  # what was imported stays
    gc.enable()
    leave(run(work, job or Job()))


def _stop(_signal: int, _frame: FrameType | None) -> None:
    raise StoppedError("The job was asked to stop before it had finished (SIGTERM): by hand or by its time limit.")


def _fail(job: Job, reason: str) -> int:
    log.error("%s", reason)
    _say(job, "failure", reason, make_room=True)
    _say(job, "message", reason, make_room=True)
    return 1


def _say(job: Job, name: str, text: str, *, make_room: bool = False) -> None:
    path = job.root / "output" / name
    content = text.encode()[:LONGEST_MESSAGE].decode(errors="ignore")
    with contextlib.suppress(OSError):  # the exit code still tells, and the log has the text
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            path.write_text(content, "utf-8")
        except OSError:
            if not make_room:
                raise
            # A full volume; and what a job that failed has written goes nowhere.
            for folder in (job.output, job.model):
                shutil.rmtree(folder, ignore_errors=True)
            path.write_text(content, "utf-8")

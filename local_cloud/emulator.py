"""Starts the emulator underneath, ministack, inside this process, the way the local cloud needs it.

Its settings are environment variables that it reads when it is imported: ``prepare`` sets them first.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import cast

REGION = "us-east-1"
ACCOUNT_ID = "000000000000"
# The emulator's root user. Worth nothing outside: the endpoint answers on the loopback interface only.
ADMINISTRATOR = ("test", "test")

# Only these answer; a request to any other service is refused by name.
SERVICES = (
    "cloudformation",
    "ecr",
    "events",
    "iam",
    "kms",
    "lambda",
    "logs",
    "monitoring",
    "s3",
    "secretsmanager",
    "sns",
    "sqs",
    "ssm",
    "states",
    "sts",
    "tagging",
)
# The emulator's names for the states of these services. Step Functions and SageMaker keep their own; sessions end.
_SAVED = frozenset(
    {
        "cloudformation",
        "cloudwatch",
        "cloudwatch_logs",
        "ecr",
        "eventbridge",
        "iam",
        "kms",
        "lambda",
        "s3",
        "secretsmanager",
        "sns",
        "sqs",
        "ssm",
        "tagging",
    }
)
_WORKER_THREADS = 64
_SAVE_SECONDS = 10.0
_logger = logging.getLogger(__name__)


def prepare(state: Path, port: int) -> None:
    """Set the environment for the emulator; call it before anything of ministack is imported.

    The user's own AWS settings are taken out of this process and so out of everything it starts: a program here that
    reached the real AWS with them would be the worst of surprises.
    """
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    loopback = "127.0.0.1,localhost"
    os.environ.update(
        AWS_ACCESS_KEY_ID=ADMINISTRATOR[0],
        AWS_SECRET_ACCESS_KEY=ADMINISTRATOR[1],
        AWS_CONFIG_FILE=os.devnull,
        AWS_SHARED_CREDENTIALS_FILE=os.devnull,
        AWS_EC2_METADATA_DISABLED="true",
        AUTH="true",
        SERVICES=",".join(SERVICES),
        MINISTACK_HOST="127.0.0.1",
        GATEWAY_PORT=str(port),
        MINISTACK_REGION=REGION,
        MINISTACK_ACCOUNT_ID=ACCOUNT_ID,
        S3_PERSIST="1",  # object bodies live in files: <state>/s3/<account>/<bucket>/<key>
        S3_DATA_DIR=str(state / "s3"),
        PERSIST_STATE="1",
        STATE_DIR=str(state / "services"),
        IOT_MTLS_ENABLED="0",
        SFTP_ENABLED="0",
        LOG_LEVEL="WARNING",
        NO_PROXY=f"{os.environ.get('NO_PROXY', '')},{loopback}".lstrip(","),
        no_proxy=f"{os.environ.get('no_proxy', '')},{loopback}".lstrip(","),
    )


def start(loop: asyncio.AbstractEventLoop) -> ModuleType:
    """Import the emulator, load what an earlier cloud left in the state directory, and return its ``app`` module.

    The emulator's own start-up (container engine, further listeners, schedulers) is left out on purpose.
    """
    with _without_container_engine():
        from ministack import app
        from ministack.services import lambda_svc  # noqa: F401  imports the engine's client where it is installed

    loop.set_default_executor(ThreadPoolExecutor(_WORKER_THREADS, thread_name_prefix="worker"))
    app._MAIN_LOOP = loop
    app._load_persisted_state()
    return cast(ModuleType, app)


@contextmanager
def _without_container_engine() -> Iterator[None]:
    """Keep the emulator from importing a container engine's client: half a second for what is never used here."""
    if "docker" in sys.modules:
        yield
        return
    sys.modules["docker"] = None  # type: ignore[assignment]  # makes the import fail, as if it were not installed
    try:
        yield
    finally:
        del sys.modules["docker"]


class Persistence:
    """Saves the emulator's resources, so that a stopped cloud can be started again with what it had."""

    def __init__(self, app: ModuleType) -> None:
        self._app = app
        self._changed = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="persistence", daemon=True)

    def start(self) -> None:
        """Save every ten seconds when something may have changed, so that little is lost by ``kill -9``."""
        self._thread.start()

    def note_change(self) -> None:
        """Say that something may have changed."""
        self._changed = True

    def close(self) -> None:
        """Save for the last time."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)
        self._save()

    def _run(self) -> None:
        while not self._stop.wait(_SAVE_SECONDS):
            if self._changed:
                self._changed = False
                self._save()

    def _save(self) -> None:
        from ministack.core.persistence import save_all

        try:
            states = self._app._build_persistence_save_dict()
            save_all({name: state for name, state in states.items() if name in _SAVED})
        except Exception:
            _logger.exception("saving the resources failed; a restart finds those of the previous save")

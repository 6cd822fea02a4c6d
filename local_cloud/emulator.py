"""Starts the emulator underneath, ministack, inside this process, the way the local cloud needs it.

Its settings are environment variables that it reads when it is imported: ``prepare`` sets them first.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import cast

from local_cloud import object_writes

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
_WORKER_THREADS = 64


def prepare(state: Path, port: int) -> None:
    """Set the environment for the emulator, and finish what the last one wrote; call it before ministack is imported.

    The user's own AWS settings are taken out of this process and so out of everything it starts: a program here that
    reached the real AWS with them would be the worst of surprises.
    """
    object_writes.finish(state)
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
    """Import the emulator and return its ``app`` module; it finds the objects that an earlier cloud kept.

    The emulator's own start-up (container engine, further listeners, schedulers) is left out on purpose.
    """
    with _without_container_engine():
        from ministack import app
        from ministack.services import lambda_svc  # noqa: F401  imports the engine's client where it is installed

    loop.set_default_executor(ThreadPoolExecutor(_WORKER_THREADS, thread_name_prefix="worker"))
    app._MAIN_LOOP = loop
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

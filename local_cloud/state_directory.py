"""The state directory of a local cloud: who holds it, and the file that tells others where the cloud is."""

from __future__ import annotations

import fcntl
import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path

CLOUD_FILE = "cloud.json"
LOG_FILE = "cloud.log"
PERMISSIONS_FILE = "permissions.json"
_LOCK_FILE = "cloud.lock"


class StateDirectoryInUseError(RuntimeError):
    """Another local cloud lives in the directory."""


@dataclass(frozen=True)
class CloudFile:
    """What ``cloud.json`` says of a running cloud: where it answers, and the administrator's credentials."""

    endpoint: str
    region: str
    account_id: str
    pid: int
    access_key_id: str
    secret_access_key: str
    started_at: str


class StateDirectory:
    """A state directory held by this process for as long as it lives (by a lock, which even ``kill -9`` lets go)."""

    def __init__(self, path: Path) -> None:
        """Claim the directory, creating it if need be; raise StateDirectoryInUseError when another cloud has it."""
        self.path = path
        path.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(path / _LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if not _lock_soon(self._lock):
            os.close(self._lock)
            raise StateDirectoryInUseError(_in_use(path))
        os.ftruncate(self._lock, 0)
        os.write(self._lock, str(os.getpid()).encode())
        (path / CLOUD_FILE).unlink(missing_ok=True)  # of a cloud that was killed

    def publish(self, cloud: CloudFile) -> None:
        """Write ``cloud.json``, readable by its owner only, so that a reader sees all of it or nothing."""
        unfinished = self.path / f"{CLOUD_FILE}.tmp"
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(asdict(cloud), file, indent=2)
            file.write("\n")
        unfinished.replace(self.path / CLOUD_FILE)

    def release(self) -> None:
        """Remove ``cloud.json`` and let the directory go."""
        (self.path / CLOUD_FILE).unlink(missing_ok=True)
        os.close(self._lock)


def read_cloud(path: Path) -> CloudFile | None:
    """Return the cloud that lives in a state directory; None when there is none, or only the traces of a dead one."""
    try:
        cloud = CloudFile(**json.loads((path / CLOUD_FILE).read_text()))
    except (OSError, ValueError, TypeError):
        return None
    return cloud if _held(path) else None


def killed_cloud(path: Path) -> CloudFile | None:
    """Return the cloud that lived in a state directory and did not end in order; None where there is no such trace."""
    try:
        cloud = CloudFile(**json.loads((path / CLOUD_FILE).read_text()))
    except (OSError, ValueError, TypeError):
        return None
    return None if _held(path) else cloud


def forget_killed_cloud(path: Path) -> None:
    """Remove the trace of a cloud that did not end in order."""
    if killed_cloud(path) is not None:
        (path / CLOUD_FILE).unlink(missing_ok=True)


def _lock_soon(descriptor: int) -> bool:
    """Take the lock; a reader (``read_cloud``) may hold it for an instant, so try for half a second."""
    for _ in range(10):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.05)
        else:
            return True
    return False


def _held(path: Path) -> bool:
    try:
        descriptor = os.open(path / _LOCK_FILE, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _in_use(path: Path) -> str:
    try:
        cloud = CloudFile(**json.loads((path / CLOUD_FILE).read_text()))
        who = f"at {cloud.endpoint} (process {cloud.pid})"
    except (OSError, ValueError, TypeError):
        pid = (path / _LOCK_FILE).read_text().strip()
        who = f"that is still starting or stopping (process {pid})"
    return f"a local cloud {who} already uses {path}: use that one, stop it, or name another directory with --state"

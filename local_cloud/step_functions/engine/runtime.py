"""What the engine's tasks reach the service through.

The engine builds its own objects and threads, so the service cannot be handed down to them. One service per process is
active at a time; it is found here.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from local_cloud.step_functions.dependencies import Dependencies
from local_cloud.step_functions.engine.clients import RoleClients


@dataclass(frozen=True)
class Runtime:
    """The active service's neighbours and clients."""

    dependencies: Dependencies
    clients: RoleClients


_lock = threading.Lock()
_active: Runtime | None = None


def activate(runtime: Runtime) -> None:
    """Make a service the active one."""
    global _active
    with _lock:
        if _active is not None:
            raise RuntimeError("a Step Functions service is active in this process already; close it first")
        _active = runtime


def deactivate(runtime: Runtime) -> None:
    """End a service's turn."""
    global _active
    with _lock:
        if _active is runtime:
            _active = None


def active() -> Runtime:
    """The active service's runtime; an error where it has been closed."""
    runtime = _active
    if runtime is None:
        raise RuntimeError("the Step Functions service has been closed")
    return runtime


def now() -> datetime:
    """The active service's time."""
    return active().dependencies.now()


def boto_client_for(region: str, service: str, state_credentials: Any = None) -> Any:
    """Make a client with a state's role (replaces the engine's, which has fixed keys and moto's own endpoint)."""
    if state_credentials is None:
        raise RuntimeError(f"the engine asks for {service} without a role, which the local cloud does not grant")
    return active().clients.for_role(service, state_credentials.role_arn, region)

"""What Step Functions needs of the rest of the local cloud."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

_LOG = logging.getLogger("local_cloud.step_functions")

#: The principal that a state machine's role must trust.
SERVICE_PRINCIPAL = "states.amazonaws.com"


class CredentialsForRole(Protocol):
    """Opens a session of a role: the `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN` of it.

    Raises `PermissionError` where the role does not trust the service, `LookupError` where there is no such role.
    """

    def __call__(self, role_arn: str, session_name: str, service: str = SERVICE_PRINCIPAL) -> Mapping[str, str]:
        """Open the session."""


def _utc_now() -> datetime:
    return datetime.now(tz=UTC)


def _ignore_event(_source: str, _detail_type: str, _detail: Mapping[str, Any], _resources: Sequence[str]) -> None:
    """Send the event nowhere."""


@dataclass(frozen=True)
class Dependencies:
    """The neighbours, as callables, so that the service can be run without them."""

    #: Where every AWS service of the local cloud answers.
    endpoint_url: str
    credentials_for_role: CredentialsForRole
    #: `is_allowed(role_arn, action, resource)`: whether the role's policies allow it.
    is_allowed: Callable[[str, str, str], bool]
    account_id: str = "000000000000"
    region: str = "us-east-1"
    #: State machines and executions are journalled in its folder `step_functions`; None keeps them in memory only.
    state_dir: Path | None = None
    #: `emit_event(source, detail_type, detail, resources)` puts an event of AWS's own on the default bus.
    emit_event: Callable[[str, str, Mapping[str, Any], Sequence[str]], None] = _ignore_event
    #: Credentials of the log delivery service, which writes a state machine's logs; None delivers no logs.
    delivery_credentials: Callable[[], Mapping[str, str]] | None = None
    #: `wait_for_job(job_arn, seconds)` returns when the job may have changed, after `seconds` at the latest.
    wait_for_job: Callable[[str, float], None] | None = None
    #: No wait between two tries of a state is longer, seconds; the number of tries stays as the definition says.
    longest_retry_wait: float = math.inf
    now: Callable[[], datetime] = _utc_now
    #: Takes one line about what the service itself could not do.
    log: Callable[[str], None] = field(default=_LOG.warning)

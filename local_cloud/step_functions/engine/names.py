"""Error names and instants as AWS has them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from local_cloud.step_functions import json_text

#: Step Functions Developer Guide, "Handling errors": States.ALL and States.TaskFailed do not catch these.
_BEYOND_WILDCARDS = frozenset({"States.Runtime", "States.DataLimitExceeded"})


def iso_milliseconds(instant: datetime) -> str:
    """Write an instant as the context object does, e.g. `2026-11-21T03:00:00.123Z`."""
    return instant.strftime("%Y-%m-%dT%H:%M:%S.") + f"{instant.microsecond // 1000:03d}Z"


def to_json_text(obj: Any, separators: tuple[str, str] | None = None) -> str:
    """Write JSON as Step Functions does, without blanks (replaces `encoding.to_json_str`)."""
    return json_text.write(obj, separators or (",", ":"), _json_value)


def _json_value(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def evaluate_error_equals(self: Any, env: Any) -> None:
    """Match the error on the stack against the names listed (replaces `ErrorEqualsDecl._eval_body`).

    States.ALL matches every error but States.Runtime and States.DataLimitExceeded; States.TaskFailed matches what
    States.ALL does, but for States.Timeout. The engine lets the first match all, and the second no `States.` name.
    A missed heartbeat is both a States.HeartbeatTimeout and a States.Timeout.
    """
    error = env.stack.pop()
    name = error.error_name if error is not None else None
    listed = [known.error_name for known in self.error_names]
    env.stack.append(
        (name in listed and name != "States.Runtime")
        or (getattr(error, "missed_heartbeat", False) and "States.HeartbeatTimeout" in listed)
        or (name not in _BEYOND_WILDCARDS and "States.ALL" in listed)
        or (name not in _BEYOND_WILDCARDS and name != "States.Timeout" and "States.TaskFailed" in listed)
    )


def accept_error_name(self: Any, error_name: str | None) -> None:
    """Take any name (replaces `CustomErrorName.__init__`).

    A Fail state may pass on `States.TaskFailed` from `$.error.Error`, a Parallel state the name of a branch's error.
    """
    self.error_name = error_name


def state_data(now: Callable[[], datetime]) -> Callable[..., dict[str, Any]]:
    """Build `$$.State` with AWS's form of instants and a retry count for every state (replaces `state.StateData`)."""

    def build(EnteredTime: str, Name: str) -> dict[str, Any]:  # noqa: ARG001, N803  (the engine names them)
        return {"EnteredTime": iso_milliseconds(now()), "Name": Name, "RetryCount": 0}

    return build

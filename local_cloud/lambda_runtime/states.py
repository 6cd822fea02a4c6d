"""What may be done with a function while it is created or updated, and what it runs meanwhile.

Source: https://docs.aws.amazon.com/lambda/latest/dg/functions-states.html. While a function is Pending, Invoke,
UpdateFunctionCode, UpdateFunctionConfiguration and PublishVersion fail; while its LastUpdateStatus is InProgress the
last three do, and an invocation runs the code and configuration of before. The words are those of the API's
ResourceConflictException.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from local_cloud.lambda_runtime.limits import FunctionRefusedError

_NOT_NOW = "The operation cannot be performed at this time."


def check_invocable(config: Mapping[str, Any]) -> None:
    """Raise FunctionRefusedError unless a function with this configuration can be invoked."""
    if config.get("State") == "Pending":
        raise _conflict(f"{_NOT_NOW} The function is currently in the following state: Pending")


def check_changeable(config: Mapping[str, Any]) -> None:
    """Raise FunctionRefusedError unless a function with this configuration can be updated or published."""
    check_invocable(config)
    if config.get("LastUpdateStatus") == "InProgress":
        raise _conflict(f"{_NOT_NOW} An update is in progress for resource: {config['FunctionArn']}")


class Updates:
    """The updates that are in progress, and the configurations that hold until they are done."""

    def __init__(self) -> None:
        self._before: dict[str, dict[str, Any]] = {}  # by the function's name

    def begin(self, config: Mapping[str, Any]) -> None:
        """Remember a function's configuration before an update."""
        self._before[config["FunctionName"]] = copy.deepcopy(dict(config))

    def started(self, config: dict[str, Any]) -> dict[str, Any]:
        """Leave a function that is updated in the state Active: only its LastUpdateStatus says that it changes."""
        config |= {"State": "Active", "StateReason": "", "StateReasonCode": ""}
        return config

    def done(self, config: dict[str, Any]) -> None:
        """End an update now, as CloudFormation waits for its end."""
        self.started(config)
        config["LastUpdateStatus"] = "Successful"
        self._before.pop(config["FunctionName"], None)

    def effective(self, config: Mapping[str, Any]) -> Mapping[str, Any]:
        """What an invocation runs of a function with this configuration."""
        before = self._before.get(config["FunctionName"])
        in_progress = config.get("LastUpdateStatus") == "InProgress"
        return before if before is not None and in_progress and config.get("State") != "Pending" else config


def _conflict(message: str) -> FunctionRefusedError:
    return FunctionRefusedError("ResourceConflictException", message, 409)

"""Jobs of an earlier life of the local cloud: those that had ended, and those whose instance was lost with it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from local_cloud.faults import words
from local_cloud.sagemaker.names import PROCESSING_JOB, Kind


@dataclass
class PastJob:
    """A job that has ended; it is described as it was."""

    kind: Kind
    description: dict[str, Any]

    @property
    def name(self) -> str:
        """The job's name."""
        return str(self.description[self.kind.name_member])

    def describe(self) -> dict[str, Any]:
        """The answer of Describe…."""
        return dict(self.description)

    def stop(self) -> None:
        """A job that has ended stays so."""

    def close(self) -> None:
        """Nothing of it runs."""


def is_over(kind: Kind, description: Mapping[str, Any]) -> bool:
    """Whether a job of that description has ended."""
    return description[f"{kind.noun}Status"] in ("Completed", "Failed", "Stopped")


def lost(kind: Kind, description: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """Describes a job whose instance is gone: it has failed, or, where it was being stopped, it has stopped."""
    stopping = description[f"{kind.noun}Status"] == "Stopping"
    status = "Stopped" if stopping else "Failed"
    ended = {**description, f"{kind.noun}Status": status, "LastModifiedTime": now}
    if not stopping:
        ended["FailureReason"] = words.INTERNAL_ERROR
    if kind is PROCESSING_JOB:
        return {**ended, "ProcessingEndTime": now}
    *earlier, last = description["SecondaryStatusTransitions"]
    message = "Training job stopped" if stopping else words.INTERNAL_ERROR
    final = {"Status": status, "StartTime": now, "EndTime": now, "StatusMessage": message}
    return {
        **ended,
        "SecondaryStatus": status,
        "SecondaryStatusTransitions": [*earlier, {**last, "EndTime": last.get("EndTime", now)}, final],
        "TrainingEndTime": now,
    }

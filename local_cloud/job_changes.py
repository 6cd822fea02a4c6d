"""Lets a state machine's task wait for a change of its job, instead of asking again and again."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

_ARNS = {"ProcessingJob": "ProcessingJobArn", "TrainingJob": "TrainingJobArn"}


class JobChanges:
    """Counts the changes of state of SageMaker's jobs, and wakes who waits for one."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._changes: dict[str, int] = {}
        self._seen: dict[str, int] = {}

    def note(self, kind: str, description: Mapping[str, Any]) -> None:
        """Note a change of a resource that SageMaker describes."""
        arn = description.get(_ARNS.get(kind, ""))
        if isinstance(arn, str):
            with self._condition:
                self._changes[arn] = self._changes.get(arn, 0) + 1
                self._condition.notify_all()

    def wait(self, job_arn: str, seconds: float) -> None:
        """Return when the job has changed since the previous wait for it, after ``seconds`` at the latest."""
        with self._condition:
            seen = self._seen.get(job_arn, 0)
            self._condition.wait_for(lambda: self._changes.get(job_arn, 0) > seen, seconds)
            self._seen[job_arn] = self._changes.get(job_arn, 0)

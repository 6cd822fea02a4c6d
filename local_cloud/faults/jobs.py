"""What may go wrong with one SageMaker job while its program runs."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path

from local_cloud.faults import words
from local_cloud.faults.base import JOB
from local_cloud.faults.models import InstanceLost, Memory, Volume
from local_cloud.faults.plan import FaultPlan
from local_cloud.faults.strikes import Log, Strikes
from local_cloud.memory import MemoryMeter
from local_cloud.program import Program

_KILLED = 128 + signal.SIGKILL


class JobFaults:
    """Make it before the program starts. ``reason`` is, afterwards, what SageMaker says of the failure.

    ``volume`` is the size of ``/opt/ml`` in MB, None for as much as there is.
    """

    def __init__(self, plan: FaultPlan, name: str, log: Path) -> None:
        volume, memory = plan.take(Volume, JOB, name), plan.take(Memory, JOB, name)
        self.volume = volume.megabytes if volume is not None else None
        self.reason: str | None = None
        self._memory = memory.megabytes if memory is not None else None
        self._meter: MemoryMeter | None = None
        self._log = Log(log)
        self._strikes = Strikes(plan, JOB, name)

    @contextlib.contextmanager
    def watching(self, program: Program) -> Iterator[None]:
        """Strike the program meanwhile."""
        with contextlib.ExitStack() as watches:
            watches.enter_context(self._strikes.watching(program, self._log.says))
            if self._memory is not None:
                self._meter = MemoryMeter(program.pid, self._memory)
                watches.enter_context(self._meter.watching())
            yield

    @property
    def instance_lost(self) -> bool:
        """Whether nothing of the job is left."""
        return isinstance(self._strikes.struck, InstanceLost)

    def exit_code(self, code: int) -> int:
        """The exit code of the program, which has ended with ``code``, as SageMaker sees it."""
        killed = self._strikes.ended()
        if self.instance_lost:
            self.reason = words.INTERNAL_ERROR
        elif self._meter is not None and self._meter.exceeded and code == _KILLED:
            self.reason = words.OUT_OF_MEMORY
        return _KILLED if killed else code

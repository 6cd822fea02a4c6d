"""Watches one program and kills it when an armed fault says so."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from local_cloud.faults.base import Moment
from local_cloud.faults.models import InstanceLost, Kill
from local_cloud.faults.plan import Armed, FaultPlan
from local_cloud.program import Program

_logger = logging.getLogger(__name__)
_LOOK_SECONDS = 0.02


class Log:
    """What a program writes into a file from now on."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._begin = path.stat().st_size if path.exists() else 0

    def says(self, text: str) -> bool:
        """Whether it contains a text yet."""
        with contextlib.suppress(FileNotFoundError), self._path.open("rb") as file:
            file.seek(self._begin)
            return text.encode() in file.read()
        return False


class Strikes:
    """The faults that may strike one run of a program: a job, a container of an endpoint, a function's invocation.

    Make it before the program starts; the program is killed while it is ``watching`` or, for as long as it runs, after
    ``follow``. Faults that are armed later are for the next one. ``says`` tells whether the program's log contains a
    text.
    """

    def __init__(self, plan: FaultPlan, target: str, name: str, **where: str) -> None:
        self._plan, self._what = plan, f"{target} {name}"
        self._waiting: list[Armed[Any]] = []
        if plan:
            self._waiting += plan.may_strike(Kill, target, name, **where)
            self._waiting += plan.may_strike(InstanceLost, target, name, **where)
            self._waiting.sort(key=lambda armed: armed.number)
        self.struck: Kill | InstanceLost | None = None
        self._begun = 0.0  # monotonic seconds
        self._says: Callable[[str], bool] = lambda _text: False

    @contextlib.contextmanager
    def watching(self, program: Program, says: Callable[[str], bool]) -> Iterator[None]:
        """Kill the program when it is time, meanwhile."""
        if not self._waiting:
            yield
            return
        self._begin(says)
        if self._at_start(program):
            program.wait()  # what is done to it from here on meets nobody
        done = threading.Event()
        thread = threading.Thread(target=self._watch, args=(program, done), name="fault", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def follow(self, program: Program, says: Callable[[str], bool]) -> None:
        """Kill the program when it is time, from another thread; returns at once."""
        self._begin(says)
        if self._waiting and not self._at_start(program):
            arguments = (program, threading.Event())
            threading.Thread(target=self._watch, args=arguments, name="fault", daemon=True).start()

    def ended(self) -> bool:
        """Whether a program that has ended was killed; its last moment is now.

        A program may end between the moment at which it was due to be killed and the next look at it: it counts as
        killed then, or it would be for chance to say whether a fault strikes.
        """
        if self._waiting and self.struck is None:
            any(self._strike(armed, None) for armed in self._waiting if self._is_due(armed))
        return self.struck is not None

    def _begin(self, says: Callable[[str], bool]) -> None:
        self._begun, self._says = time.monotonic(), says

    def _at_start(self, program: Program) -> bool:
        return any(self._strike(armed, program) for armed in self._waiting if armed.fault.moment.at == "start")

    def _watch(self, program: Program, done: threading.Event) -> None:
        left = [armed for armed in self._waiting if armed.fault.moment.at in ("later", "log")]
        while left and self.struck is None and program.poll() is None and not done.wait(_LOOK_SECONDS):
            for armed in [one for one in left if self._is_due(one)]:
                left.remove(armed)
                if self._strike(armed, program):
                    return

    def _is_due(self, armed: Armed[Any]) -> bool:
        """Whether it is time; at the "start" that is over it is not, at the "end" it is for who asks then."""
        moment: Moment = armed.fault.moment
        if moment.at == "later":
            return time.monotonic() - self._begun >= moment.seconds
        return self._says(moment.text) if moment.at == "log" else moment.at == "end"

    def _strike(self, armed: Armed[Any], program: Program | None) -> bool:
        if not self._plan.use(armed):
            return False
        self.struck = armed.fault
        _logger.info("fault: %s strikes %s", armed.fault.kind, self._what)
        if program is not None:
            program.kill()
        return True

"""One update of the endpoint that goes wrong: the fault is armed for the new model, callers ask, the clock moves on."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from cli import history
from cli.bakes import baking
from cli.drills.events import Events
from cli.drills.scene import Scene
from cli.drills.traffic import Answer, Traffic
from cli.rollouts import DEPLOYED_BY

ANSWERS_A_MINUTE = 20  # of the callers, before the cloud's clock goes on by a minute
STRIKE_SECONDS = 60.0  # real time, for the fault to strike before the clock goes on without it
SETTLE_SECONDS = 120.0  # real time, for the endpoint to come back after the execution has ended
AFTERWARDS = 20  # requests once the endpoint has come back
_SAME = 1e-9  # relative difference of two predictions of the same model

# a fault of `local_cloud.faults`, given the endpoint's name and a pattern of the new endpoint configuration's
MakeFault = Callable[[str, str], dict[str, Any]]


@dataclass(frozen=True)
class Counted:
    """Requests by who answered them."""

    old: int
    other: int  # another model than the one that was in service
    failed: int

    @property
    def all(self) -> int:
        """How many there were."""
        return self.old + self.other + self.failed

    def __str__(self) -> str:
        return (
            f"{self.all} requests: {self.old} answered by the model in service, {self.other} by the new one, "
            f"{self.failed} failed"
        )


class Trial:
    """Watches the execution whose rollout is to go wrong; `meanwhile` is for `executions.follow`."""

    def __init__(self, scene: Scene, make_fault: MakeFault) -> None:
        self._scene, self._make_fault = scene, make_fault
        self._cloud, self._endpoint = scene.found.cloud, scene.found.stack.endpoint
        self.events = Events(scene.found)
        self.traffic = Traffic(scene.found, scene.rows)
        self.settled_at = 0.0
        self.hits_when_settled = 0
        self._armed_at: float | None = None
        self._minute_begun = 0

    def meanwhile(self, execution: history.Execution) -> None:
        """Arm the fault as soon as the run's ID is known, start the callers with the update, and let it bake."""
        if self._armed_at is None:
            run_id = history.find([state.output for state in execution.states], "run_id")
            if run_id is None:
                return
            fault = self._make_fault(self._endpoint, f"*-{run_id}-*")
            self._cloud.arm([fault])
            self._scene.board.note(f"Fault armed for the endpoint configurations of run {run_id}: {fault}")
            self._armed_at = time.monotonic()
        if not self.traffic.running and any(
            state.name == DEPLOYED_BY and state.status == "running" for _, state in execution.all_states()
        ):
            self.traffic.start()
        self._bake()

    def hits(self) -> int:
        """How often the fault has struck."""
        faults = self._cloud.faults()
        return sum(fault["hits"] for fault in (*faults["armed"], *faults["spent"]))

    def end(self) -> None:
        """Wait until the endpoint has settled, let the callers ask on for a while, then end them and the fault."""
        deadline = time.monotonic() + SETTLE_SECONDS
        sagemaker = self._cloud.client("sagemaker")
        while time.monotonic() < deadline:
            if sagemaker.describe_endpoint(EndpointName=self._endpoint)["EndpointStatus"] == "InService":
                break
            time.sleep(0.2)
        self.settled_at, self.hits_when_settled = time.monotonic(), self.hits()
        self.traffic.wait(AFTERWARDS)
        self.traffic.stop()
        self.traffic.join()

    def counted(self, predictions: list[float]) -> tuple[Counted, Counted]:
        """The requests until the endpoint had come back, and those sent after that, given the old model's answers."""
        until = [answer for answer in self.traffic.answers if answer.sent < self.settled_at]
        after = [answer for answer in self.traffic.answers if answer.sent >= self.settled_at]
        return _count(until, predictions), _count(after, predictions)

    def _bake(self) -> None:
        for one in baking(self._cloud, self._endpoint):
            struck = self.hits() or time.monotonic() - (self._armed_at or 0.0) > STRIKE_SECONDS
            if struck and len(self.traffic.answers) - self._minute_begun >= ANSWERS_A_MINUTE:
                if not self._minute_begun:
                    self._scene.board.note(
                        f"Endpoint {self._endpoint}: {one['message']} The cloud's clock goes on by a minute for every "
                        f"{ANSWERS_A_MINUTE} requests."
                    )
                self._minute_begun = len(self.traffic.answers)
                now = self._cloud.now()
                self._cloud.move_clock(max(now, min(datetime.fromisoformat(one["until"]), now + timedelta(minutes=1))))


def _count(answers: list[Answer], predictions: list[float]) -> Counted:
    failed = sum(answer.prediction is None for answer in answers)
    old = sum(
        answer.prediction is not None
        and abs(answer.prediction - predictions[answer.row]) <= _SAME * abs(predictions[answer.row])
        for answer in answers
    )
    return Counted(old=old, other=len(answers) - old - failed, failed=failed)

"""Waits of an endpoint's update: it bakes for minutes of the cloud's time, which a command need not wait for.

Alarms watch the new model for TrafficWaitSeconds after each step of the traffic, however it is shifted. A command moves
the cloud's clock there; nothing that happened before goes unseen by the alarms (see `local_cloud.waits`).
"""

from datetime import datetime
from typing import Any

from cli import history
from cli.cloud import Cloud
from cli.display import Board

_SERVICE = "sagemaker"


def baking(cloud: Cloud, endpoint: str | None = None) -> list[dict[str, Any]]:
    """Updates that bake now, of one endpoint or of all: `endpoint`, `endpoint_config`, `message`, `until`."""
    return [
        one
        for one in cloud.waiting()["waiting"]
        if one.get("service") == _SERVICE and endpoint in (None, one.get("endpoint"))
    ]


class Bakes:
    """Moves the clock of a cloud on where an update bakes, and says so on the board.

    Without `advance` it leaves the clock alone, and says what each wait is for; without a board it says nothing.
    """

    def __init__(self, cloud: Cloud, board: Board | None, *, advance: bool) -> None:
        self._cloud, self._board, self._advance = cloud, board, advance
        self._told: set[tuple[str, str, str]] = set()

    def pass_on(self, _execution: history.Execution | None = None) -> None:
        """Look once, and move the clock to the end of what is found: what `executions.follow` is to do meanwhile."""
        for one in baking(self._cloud):
            wait = (str(one["endpoint"]), str(one["endpoint_config"]), str(one["until"]))
            if wait in self._told:
                continue
            self._told.add(wait)
            until = datetime.fromisoformat(one["until"])
            then = "That takes real time here; with --advance-clock, the cloud's clock is moved."
            if self._advance:
                then = f"The cloud's clock is moved to the end of it, {until:%a %Y-%m-%d %H:%M:%S} UTC."
            if self._board:
                self._board.note(f"Endpoint {one['endpoint']}: {one['message']} {then}")
            if self._advance and until > self._cloud.now():
                self._cloud.move_clock(until)

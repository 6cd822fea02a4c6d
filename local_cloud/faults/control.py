"""The cloud's own paths that arm, tell and disarm faults."""

from __future__ import annotations

from typing import Any

from local_cloud.faults.base import FaultRefusedError
from local_cloud.faults.models import parse
from local_cloud.faults.plan import FaultPlan
from local_cloud.front_door import BadRequestError, Route


def routes(plan: FaultPlan) -> list[Route]:
    """``POST``, ``GET`` and ``DELETE`` of ``faults``."""

    async def arm(request: Any) -> dict[str, Any]:
        """Arm a fault or a list of them: all or, if one makes no sense, none."""
        try:
            faults = [parse(given) for given in (request if isinstance(request, list) else [request])]
        except FaultRefusedError as refused:
            raise BadRequestError(str(refused)) from None
        return {"armed": [armed.as_json() for armed in plan.arm(faults)]}

    async def tell(_request: Any) -> dict[str, Any]:
        return plan.as_json()

    async def clear(_request: Any) -> dict[str, Any]:
        return {"cleared": plan.clear()}

    return [Route("POST", "faults", arm, lists=True), Route("GET", "faults", tell), Route("DELETE", "faults", clear)]

"""Other definitions of the state machine than the deployed one, for scenarios that need them."""

from collections.abc import Callable
from typing import Any

Change = Callable[[dict[str, Any]], None]


def brief() -> dict[str, Any]:
    """One that does nothing, for scenarios that end before the first state."""
    return {"StartAt": "Nothing", "States": {"Nothing": {"Type": "Succeed"}}}


def time_limit(seconds: int, state: str | None = None) -> Change:
    """Another time limit of a state, or of the whole execution."""

    def change(definition: dict[str, Any]) -> None:
        (definition["States"][state] if state else definition)["TimeoutSeconds"] = seconds

    return change


def job_limit(seconds: int, state: str, **hyperparameters: str) -> Change:
    """Another time limit of a state's job, and other hyperparameters."""

    def change(definition: dict[str, Any]) -> None:
        parameters = definition["States"][state]["Parameters"]
        parameters["StoppingCondition"] = {"MaxRuntimeInSeconds": seconds}
        if hyperparameters:
            parameters["HyperParameters"] |= hyperparameters

    return change

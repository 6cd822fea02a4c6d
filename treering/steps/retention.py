"""Removes SageMaker models and endpoint configurations that are no longer needed, so that nothing piles up."""

import logging
import re
from typing import Protocol

from treering.errors import TreeringError
from treering.names import RUN_ID
from treering.steps.deployment import IN_TRANSITION, EndpointState

log = logging.getLogger(__name__)
_STAMP = re.compile(rf"{RUN_ID.pattern}-\d+$")  # what a job adds to the name of its kind


class RemovesModels(Protocol):
    """The part of SageMaker hosting that this needs."""

    def find_endpoint(self, name: str) -> EndpointState | None: ...  # noqa: D102
    def model_names(self, prefix: str) -> list[str]: ...  # noqa: D102
    def config_names(self, prefix: str) -> list[str]: ...  # noqa: D102
    def models_of(self, config_name: str) -> list[str]: ...  # noqa: D102
    def delete_model(self, name: str) -> None: ...  # noqa: D102
    def delete_config(self, name: str) -> None: ...  # noqa: D102


def remove_old(hosting: RemovesModels, newest: str, endpoint_name: str, keep: int) -> tuple[str, ...]:
    """Remove models and configurations of the same endpoint but for the `keep` newest and the one in service.

    They share the prefix of the name `newest`, all before its run ID. Gives the names of what was removed. A failure
    here never fails a deployment: what is left is removed the next time.
    """
    prefix = _STAMP.sub("", newest)
    removed: list[str] = []
    try:
        endpoint = hosting.find_endpoint(endpoint_name)
        if endpoint is None or endpoint.status in IN_TRANSITION:  # a transition may still need the older one
            return ()
        in_service = {endpoint.config_name, newest, *hosting.models_of(endpoint.config_name)}
        for names, delete in (
            (hosting.config_names(prefix), hosting.delete_config),
            (hosting.model_names(prefix), hosting.delete_model),
        ):
            old = [name for name in names if name not in in_service and _STAMP.sub("", name) == prefix]
            for name in old[keep - 1 :]:
                delete(name)
                removed.append(name)
    except TreeringError as error:
        log.warning("Old models and endpoint configurations are left in place: %s", error)
    if removed:
        log.info("Removed %s", ", ".join(sorted(set(removed))))
    return tuple(sorted(set(removed)))

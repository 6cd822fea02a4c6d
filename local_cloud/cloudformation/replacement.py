"""Which changes replace a resource: those of the properties that CloudFormation's schemas call create-only."""

from __future__ import annotations

from ministack.services.cloudformation import provisioners

from local_cloud.cloudformation.schemas import create_only
from local_cloud.cloudformation.supported import RESOURCES


def install() -> None:
    """Let change sets and updates follow the schemas; the emulator knows some of the types only."""
    for type_name in RESOURCES:
        provisioners._REPLACING_PROPERTIES[type_name] = tuple(sorted(create_only(type_name)))

"""Reads a state machine's definition and finds what AWS, or the local cloud, would refuse about it."""

from local_cloud.step_functions.definition.check import Engine, check
from local_cloud.step_functions.definition.diagnostic import Diagnostic, invalid_definition
from local_cloud.step_functions.definition.integrations import managed_rules
from local_cloud.step_functions.definition.reading import read

__all__ = ["Diagnostic", "Engine", "check", "invalid_definition", "managed_rules", "read"]

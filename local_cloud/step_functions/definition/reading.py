"""A definition's text as an object."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import yaml

from local_cloud.step_functions.definition.diagnostic import Diagnostic, invalid_definition

#: CreateStateMachine's limit for the definition, characters.
MAXIMUM_LENGTH = 1_048_576
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml is ten times as fast


def read(definition: str | Mapping[str, Any], *, or_yaml: bool) -> dict[str, Any]:
    """Read a definition; raises InvalidDefinition where it is no object.

    `or_yaml` takes YAML as well, which CloudFormation gets from a template or a file; the API takes JSON only.
    """
    if isinstance(definition, Mapping):
        return dict(definition)
    if not definition or len(definition) > MAXIMUM_LENGTH:
        raise _unreadable(f"its length is {len(definition)}, and must be from 1 to {MAXIMUM_LENGTH} characters")
    try:
        parsed = json.loads(definition)
    except json.JSONDecodeError as error:
        if not or_yaml:
            raise _unreadable(str(error)) from error
        parsed = read_yaml(definition)
    if not isinstance(parsed, dict):
        raise _unreadable("it is not an object")
    return parsed


def read_yaml(text: str) -> Any:
    """Read a definition written in YAML; raises InvalidDefinition where it is none, or uses an alias."""
    try:
        alias = next((event for event in yaml.parse(text, _LOADER) if isinstance(event, yaml.AliasEvent)), None)
        if alias is not None:
            raise _alias(alias)
        return yaml.load(text, _LOADER)  # noqa: S506  a SafeLoader
    except yaml.YAMLError as error:
        raise _unreadable(f"it is neither JSON nor YAML: {error}") from error


def _alias(alias: yaml.AliasEvent) -> Exception:
    """Users report that CloudFormation hands an alias on as a string, which the service then refuses."""
    line = f" in line {alias.start_mark.line + 1}" if alias.start_mark else ""
    reason = f"the YAML alias *{alias.anchor}{line} is not resolved by AWS; write out what it stands for"
    return invalid_definition([Diagnostic("SCHEMA_VALIDATION_FAILED", reason)])


def _unreadable(reason: str) -> Exception:
    return invalid_definition([Diagnostic("INVALID_JSON_DESCRIPTION", reason)])

"""What of a function's configuration its execution needs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# A change of one of these needs new environments. Left out is what changes by itself (State, LastUpdateStatus) or with
# the way a function is called (FunctionArn with a qualifier).
_OF_THE_ENVIRONMENT = (
    "Environment",
    "EphemeralStorage",
    "FunctionName",
    "ImageConfigResponse",
    "ImageUri",
    "LoggingConfig",
    "MemorySize",
    "RevisionId",
    "Role",
    "Timeout",
    "Version",
)


@dataclass(frozen=True)
class Function:
    """A version of a function. Sizes are in MB, times in seconds.

    ``revision`` changes with every change of code or configuration: an environment belongs to one revision.
    """

    name: str
    arn: str
    version: str
    revision: str
    image_uri: str
    command: tuple[str, ...]
    entrypoint: tuple[str, ...]
    workdir: str
    variables: Mapping[str, str]
    timeout: int
    memory: int
    storage: int
    log_group: str

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Function:
        """Read a function's configuration, as GetFunctionConfiguration answers it plus ``ImageUri``."""
        image = (config.get("ImageConfigResponse") or {}).get("ImageConfig") or {}
        name = config["FunctionName"]
        variables = (config.get("Environment") or {}).get("Variables") or {}
        relevant = {key: config.get(key) for key in _OF_THE_ENVIRONMENT}
        revision = hashlib.sha256(json.dumps(relevant, sort_keys=True).encode()).hexdigest()
        return cls(
            name=name,
            arn=config["FunctionArn"],
            version=config.get("Version") or "$LATEST",
            revision=revision,
            image_uri=config["ImageUri"],
            command=tuple(image.get("Command") or ()),
            entrypoint=tuple(image.get("EntryPoint") or ()),
            workdir=image.get("WorkingDirectory") or "",
            variables={key: text(value) for key, value in variables.items()},
            timeout=int(config.get("Timeout") or 3),
            memory=int(config.get("MemorySize") or 128),
            storage=int((config.get("EphemeralStorage") or {}).get("Size") or 512),
            log_group=(config.get("LoggingConfig") or {}).get("LogGroup") or f"/aws/lambda/{name}",
        )


def text(value: object) -> str:
    """A value of a template as CloudFormation hands it to Lambda, which takes strings only."""
    return str(value).lower() if isinstance(value, bool) else str(value)

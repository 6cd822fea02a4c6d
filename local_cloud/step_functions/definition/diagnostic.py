"""One finding about a definition, as ValidateStateMachineDefinition reports it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from local_cloud.step_functions.errors import ApiError


@dataclass(frozen=True)
class Diagnostic:
    """What is wrong, and where: `/States/<name>/<field>`."""

    code: str
    message: str
    location: str = ""

    def __str__(self) -> str:
        return f"{self.code}: {self.message}" + (f" at {self.location}" if self.location else "")


def invalid_definition(diagnostics: Sequence[Diagnostic]) -> ApiError:
    """Word findings as CreateStateMachine does."""
    findings = ", ".join(str(diagnostic) for diagnostic in diagnostics)
    return ApiError("InvalidDefinition", f"Invalid State Machine Definition: '{findings}'")

"""Exports: a name belongs to one stack, and one that another stack imports stays as it is.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-stack-exports.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ministack.services import cloudformation
from ministack.services.cloudformation import handlers, stacks


def install() -> None:
    """Hold a stack's outputs against the exports that there are, where the emulator resolves them."""
    emulators_own = stacks._resolve_stack_outputs

    def resolve(definitions: Any, conditions: Any, resources: Any, values: Any, mappings: Any, *stack: str) -> Any:
        outputs, exports = emulators_own(definitions, conditions, resources, values, mappings, *stack)
        _, stack_id = stack
        _check(stack_id, exports)
        return outputs, exports

    stacks._resolve_stack_outputs = resolve


def forget_dropped(stack: Mapping[str, Any]) -> None:
    """Forget the exports that a stack's outputs no longer have."""
    kept = {output.get("ExportName") for output in stack.get("Outputs", [])}
    for name in [name for name, export in _of(stack["StackId"]).items() if name not in kept]:
        cloudformation._exports.pop(name, None)


def _of(stack_id: str) -> dict[str, Mapping[str, Any]]:
    return {name: export for name, export in cloudformation._exports.items() if export["StackId"] == stack_id}


def _check(stack_id: str, exports: Mapping[str, Mapping[str, Any]]) -> None:
    for name in exports:
        owner = cloudformation._exports.get(name, {}).get("StackId", stack_id)
        if owner != stack_id:
            raise ValueError(f"Export with name {name} is already exported by stack {owner.split('/')[1]}.")
    for name, export in _of(stack_id).items():
        importers = _importers(name)
        if importers and name not in exports:
            raise ValueError(f"Export {name} cannot be deleted as it is in use by {', '.join(importers)}")
        if importers and exports[name]["Value"] != export["Value"]:
            raise ValueError(f"Export {name} cannot be updated as it is in use by {', '.join(importers)}")


def _importers(name: str) -> list[str]:
    return sorted(
        stack_name
        for stack_name, stack in cloudformation._stacks.items()
        if not stack.get("StackStatus", "").startswith("DELETE")
        and name in handlers._imported_export_names(stack, stack_name)
    )

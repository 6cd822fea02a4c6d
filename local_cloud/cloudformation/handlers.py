"""The shape of the emulator's provisioners, and how one is laid around another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Properties = Mapping[str, Any]
Provisioned = tuple[str, dict[str, Any]]  # physical id (what Ref gives), attributes (what Fn::GetAtt gives)
Handlers = dict[str, Any]

Create = Callable[[str, Properties, str], Provisioned]
After = Callable[[str, Properties, Properties], None]


def with_checks(handlers: Handlers, *, before: Callable[[Properties], None]) -> Handlers:
    """Return handlers that hold the properties against ``before`` first, which raises ValueError to stop."""
    create, update = handlers["create"], handlers["update"]

    def checked_create(logical_id: str, properties: Properties, stack_name: str) -> Provisioned:
        before(properties)
        made: Provisioned = create(logical_id, properties, stack_name)
        return made

    def checked_update(physical_id: str, old: Properties, new: Properties, *rest: Any) -> Provisioned:
        before(new)
        updated: Provisioned = update(physical_id, old, new, *rest)
        return updated

    return {**handlers, "create": checked_create, "update": checked_update}


def followed_by(handlers: Handlers, *, apply: After) -> Handlers:
    """Return handlers that call ``apply(physical id, old properties, new properties)`` after create and update.

    Old properties are empty after a create. When ``apply`` fails after a create, the resource is deleted again, since
    CloudFormation does not know it yet; after an update, it gets its old properties back before the failure is told.
    """
    create, update, delete = handlers["create"], handlers["update"], handlers["delete"]

    def create_and_apply(logical_id: str, properties: Properties, stack_name: str) -> Provisioned:
        physical_id, attributes = create(logical_id, properties, stack_name)
        try:
            apply(physical_id, {}, properties)
        except Exception:
            delete(physical_id, properties)
            raise
        return physical_id, attributes

    def update_and_apply(physical_id: str, old: Properties, new: Properties, *rest: Any) -> Provisioned:
        updated, attributes = update(physical_id, old, new, *rest)
        try:
            apply(updated, old if updated == physical_id else {}, new)
        except Exception:
            if updated == physical_id:
                update(physical_id, new, old, *rest)
                apply(physical_id, new, old)
            raise
        return updated, attributes

    return {**handlers, "create": create_and_apply, "update": update_and_apply}


def refuse_taken_names(
    handlers: Handlers, type_name: str, name: str, taken: Callable[[str, Properties], bool]
) -> Handlers:
    """Return handlers whose create refuses a name that is in use, as AWS does, instead of overwriting its owner.

    ``taken(wanted name, properties)`` says whether it is.
    """
    create = handlers["create"]

    def careful_create(logical_id: str, properties: Properties, stack_name: str) -> Provisioned:
        wanted = properties.get(name)
        if wanted and taken(wanted, properties):
            raise ValueError(f"{type_name} {wanted} already exists: delete it, or choose another {name}")
        made: Provisioned = create(logical_id, properties, stack_name)
        return made

    return {**handlers, "create": careful_create}

"""Updates of a stack as CloudFormation tells of them: only what changes has events, and what goes is deleted last.

The emulator tells of every resource of the template in an update, calls new ones updated, and deletes what is left over
without a word. Its functions that record events and that change resources are laid within these:

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-updating-stacks-update-behaviors.html
    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/view-stack-events.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ministack.services import cloudformation
from ministack.services.cloudformation import stacks

from local_cloud.cloudformation.exports import forget_dropped
from local_cloud.cloudformation.schemas import check_properties

_STACK = "AWS::CloudFormation::Stack"
_UPDATING = "UPDATE_IN_PROGRESS"
_CLEANING = "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"
_FAILED_TO_CREATE = "The following resource(s) failed to create: [{}]. Rollback requested by user."


@dataclass
class _Update:
    """An update that runs: what was there before, what is told later, and what turned out not to change."""

    before: dict[str, Mapping[str, Any]]
    held: dict[str, Callable[[], None]] = field(default_factory=dict)
    unchanged: set[str] = field(default_factory=set)

    def tell(self, logical_id: str) -> None:
        """Record the event that was held back, if there is one."""
        record = self.held.pop(logical_id, None)
        if record is not None:
            record()


class Updates:
    """The updates that run, by stack."""

    def __init__(self) -> None:
        self._running: dict[str, _Update] = {}
        self._add_event = stacks._add_event
        self._update = stacks._update_resource
        self._provision = stacks._provision_resource
        self._delete = stacks._delete_resource

    def install(self) -> None:
        """Take the places of the emulator's functions."""
        stacks._add_event = self.add_event
        stacks._update_resource = self.update_resource
        stacks._provision_resource = self.provision_resource
        stacks._delete_resource = self.delete_resource

    def add_event(
        self,
        stack_id: str,
        stack_name: str,
        logical_id: str,
        resource_type: str,
        status: str,
        reason: str = "",
        physical_id: str = "",
        detailed_status: str = "",
    ) -> None:
        """Record an event, unless it tells of a resource that does not change."""

        def record(told: str, why: str = reason) -> None:
            self._add_event(stack_id, stack_name, logical_id, resource_type, told, why, physical_id, detailed_status)

        stack = cloudformation._stacks.get(stack_name) or {}
        if resource_type == _STACK and logical_id == stack_name:
            if status == "UPDATE_COMPLETE":
                self._begin_cleaning(stack)
                forget_dropped(stack)
            if status != _UPDATING:
                self._running.pop(stack_id, None)
            failed = _failed_to_create(stack_id) if status == "ROLLBACK_IN_PROGRESS" else ""
            record(status, failed if failed and reason == "Rollback requested" else reason)
            return
        if stack.get("StackStatus") != _UPDATING or not status.startswith("UPDATE_"):
            record(status)
            return
        update = self._running.setdefault(stack_id, _Update(dict(stack.get("_resources", {}))))
        if logical_id not in update.before:
            created = status.replace("UPDATE_", "CREATE_")
            _set_status(stack, logical_id, created)
            record(created)
        elif status == _UPDATING and not reason:
            update.held[logical_id] = lambda: record(status)
        elif status == "UPDATE_COMPLETE" and logical_id in update.unchanged:
            update.held.pop(logical_id, None)
            _restore(stack, logical_id, update.before[logical_id])
        else:
            update.tell(logical_id)
            record(status)

    def update_resource(
        self,
        resource_type: str,
        physical_id: str,
        old: Mapping[str, Any],
        new: Mapping[str, Any],
        stack_name: str,
        logical_id: str,
        attributes: Any = None,
    ) -> Any:
        """Update a resource whose properties changed; one whose properties did not is left alone."""
        stack = cloudformation._stacks.get(stack_name) or {}
        update = self._running.get(stack.get("StackId", "")) if stack.get("StackStatus") == _UPDATING else None
        if update is not None:
            if old == new:
                update.unchanged.add(logical_id)
            else:
                update.tell(logical_id)
        if old != new:
            check_properties(resource_type, logical_id, new)
        return self._update(resource_type, physical_id, old, new, stack_name, logical_id, attributes)

    def provision_resource(
        self, resource_type: str, logical_id: str, properties: Mapping[str, Any], stack_name: str
    ) -> Any:
        """Make a resource whose properties are right."""
        check_properties(resource_type, logical_id, properties)
        return self._provision(resource_type, logical_id, properties, stack_name)

    def delete_resource(
        self, resource_type: str, physical_id: str, properties: Mapping[str, Any], stack_name: str, logical_id: str
    ) -> None:
        """Delete a resource; what an update leaves over is told of as it goes."""
        stack = cloudformation._stacks.get(stack_name) or {}
        if stack.get("StackStatus") == _UPDATING:
            self._begin_cleaning(stack)
        told = stack.get("StackStatus") == _CLEANING

        def tell(status: str) -> None:
            if told:
                self._add_event(stack["StackId"], stack_name, logical_id, resource_type, status, "", physical_id)

        tell("DELETE_IN_PROGRESS")
        self._delete(resource_type, physical_id, properties, stack_name, logical_id)
        tell("DELETE_COMPLETE")

    def _begin_cleaning(self, stack: dict[str, Any]) -> None:
        """Tell, once, that everything is updated and only what is left over has to go."""
        name, stack_id = stack["StackName"], stack["StackId"]
        if stack["StackStatus"] == _UPDATING:
            stack["StackStatus"] = _CLEANING
        if not _is_told(stack_id):
            self._add_event(stack_id, name, name, _STACK, _CLEANING, "", stack_id)


def _is_told(stack_id: str) -> bool:
    """Whether this update has told of its cleaning already."""
    for event in reversed(cloudformation._stack_events[stack_id]):
        if event["ResourceType"] == _STACK and event["ResourceStatus"] == _CLEANING:
            return True
        if event["ResourceType"] == _STACK and event["ResourceStatus"] == _UPDATING:
            return False
    return False


def _failed_to_create(stack_id: str) -> str:
    failed = [
        event["LogicalResourceId"]
        for event in cloudformation._stack_events.get(stack_id, [])
        if event["ResourceStatus"] == "CREATE_FAILED" and event["ResourceType"] != _STACK
    ]
    return _FAILED_TO_CREATE.format(", ".join(dict.fromkeys(failed))) if failed else ""


def _set_status(stack: Mapping[str, Any], logical_id: str, status: str) -> None:
    record = stack.get("_resources", {}).get(logical_id)
    if record is not None:
        record["ResourceStatus"] = status


def _restore(stack: Mapping[str, Any], logical_id: str, before: Mapping[str, Any]) -> None:
    record = stack.get("_resources", {}).get(logical_id)
    if record is not None:
        record.update({key: before[key] for key in ("ResourceStatus", "Timestamp") if key in before})

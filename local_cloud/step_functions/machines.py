"""The state machines: creating, updating, deleting and finding them."""

from __future__ import annotations

import dataclasses
import json
import re
import threading
import uuid
from collections.abc import Mapping
from typing import Any

from local_cloud.step_functions import permissions
from local_cloud.step_functions.definition import Diagnostic, Engine, check, invalid_definition, managed_rules, read
from local_cloud.step_functions.dependencies import Dependencies
from local_cloud.step_functions.engine.clients import RoleClients
from local_cloud.step_functions.engine.loading import (
    complaint_about_definition,
    complaint_about_path,
    read_jsonata,
)
from local_cloud.step_functions.errors import ApiError
from local_cloud.step_functions.journal import Journal
from local_cloud.step_functions.records import StateMachine

#: What a name must not hold (API reference, CreateStateMachine), and its length.
_FORBIDDEN_IN_NAMES = re.compile(r'[\s<>{}\[\]?*"#%\\^|~`$&,;:/\x00-\x1f\x7f-\x9f]')
_LONGEST_NAME = 80
_DELETING = "DELETING"
_ENGINE = Engine(complaint_about_definition, complaint_about_path, read_jsonata)


class StateMachines:
    """The state machines of the account."""

    def __init__(self, dependencies: Dependencies, clients: RoleClients, journal: Journal) -> None:
        self._dependencies = dependencies
        self._clients = clients
        self._journal = journal
        self._lock = threading.RLock()
        self._machines = {machine.arn: machine for machine in journal.machines()}

    def create(
        self,
        name: str,
        definition: str | Mapping[str, Any],
        role_arn: str,
        *,
        machine_type: str | None = None,
        logging: Mapping[str, Any] | None = None,
        tracing: Mapping[str, Any] | None = None,
        tags: Mapping[str, str] | None = None,
        or_yaml: bool = False,
    ) -> StateMachine:
        """Create one; the same again answers with the one that is there, another of its name is refused."""
        check_name(name)
        if (machine_type or "STANDARD") != "STANDARD":
            raise ApiError(
                "ValidationException",
                f"The local cloud runs state machines of type STANDARD, not {machine_type} (state machine {name})",
            )
        body = self._checked(definition, or_yaml)
        text = definition if isinstance(definition, str) and not or_yaml else json.dumps(body, indent=2)
        machine = StateMachine(
            arn=f"arn:aws:states:{self._dependencies.region}:{self._dependencies.account_id}:stateMachine:{name}",
            name=name,
            definition=text,
            role_arn=role_arn,
            creation_date=self._dependencies.now(),
            logging_configuration=_logging(logging),
            tracing_configuration=dict(tracing or {"enabled": False}),
            tags=dict(tags or {}),
        )
        self._check_role(machine, body)
        with self._lock:
            existing = self._machines.get(machine.arn)
            if existing is not None:
                if existing.status == _DELETING:
                    raise deleting(machine.arn)
                # Role and tags are no part of AWS's comparison (API reference, CreateStateMachine).
                if _identity(existing) != _identity(machine):
                    raise ApiError("StateMachineAlreadyExists", f"State Machine Already Exists: '{machine.arn}'")
                return existing
            self._keep(machine)
        return machine

    def update(
        self,
        arn: str,
        *,
        definition: str | Mapping[str, Any] | None = None,
        role_arn: str | None = None,
        logging: Mapping[str, Any] | None = None,
        tracing: Mapping[str, Any] | None = None,
        or_yaml: bool = False,
    ) -> StateMachine:
        """Change one; executions that run keep what they started with."""
        if definition is None and role_arn is None and logging is None and tracing is None:
            raise ApiError(
                "MissingRequiredParameter",
                "Either the definition, the role ARN, the LoggingConfiguration, or the TracingConfiguration must be "
                "specified",
            )
        machine = self.active(arn)
        body = self._checked(machine.definition if definition is None else definition, or_yaml)
        if definition is None:
            text = machine.definition
        else:
            text = definition if isinstance(definition, str) and not or_yaml else json.dumps(body, indent=2)
        changed = StateMachine(
            arn=machine.arn,
            name=machine.name,
            definition=text,
            role_arn=role_arn or machine.role_arn,
            creation_date=machine.creation_date,
            logging_configuration=machine.logging_configuration if logging is None else _logging(logging),
            tracing_configuration=machine.tracing_configuration if tracing is None else dict(tracing),
            tags=machine.tags,
            revision_id=str(uuid.uuid4()),
            update_date=self._dependencies.now(),
        )
        self._check_role(changed, body)
        with self._lock:
            self._keep(changed)
        return changed

    def begin_deletion(self, arn: str) -> None:
        """Let one be DELETING; deleting what is not there is no error, as on AWS."""
        with self._lock:
            machine = self._machines.get(_machine_arn(arn))
            if machine is not None:
                self._keep(dataclasses.replace(machine, status=_DELETING))

    def remove(self, arn: str) -> None:
        """Let one be gone, with its executions' files; what is not there is no error."""
        with self._lock:
            machine = self._machines.pop(_machine_arn(arn), None)
            if machine is not None:
                self._journal.delete_machine(machine.name)

    def get(self, arn: str) -> StateMachine:
        """Find one by its ARN; it may be DELETING."""
        with self._lock:
            machine = self._machines.get(_machine_arn(arn))
        if machine is None:
            raise ApiError("StateMachineDoesNotExist", f"State Machine Does Not Exist: '{arn}'")
        return machine

    def active(self, arn: str) -> StateMachine:
        """Find one that can be changed and started."""
        machine = self.get(arn)
        if machine.status == _DELETING:
            raise deleting(arn)
        return machine

    def deleting(self) -> list[str]:
        """The ARNs of those that are being deleted."""
        return [machine.arn for machine in self.all() if machine.status == _DELETING]

    def all(self) -> list[StateMachine]:
        """List them by name."""
        with self._lock:
            return sorted(self._machines.values(), key=lambda machine: machine.name)

    def tag(self, arn: str, add: Mapping[str, str], remove: list[str]) -> None:
        """Change one's tags."""
        with self._lock:
            machine = self._tagged(arn)
            machine.tags.update(add)
            for key in remove:
                machine.tags.pop(key, None)
            self._keep(machine)

    def tags(self, arn: str) -> dict[str, str]:
        """Read one's tags."""
        return dict(self._tagged(arn).tags)

    def diagnose(self, body: Mapping[str, Any]) -> list[Diagnostic]:
        """Find what is wrong with a definition."""
        return check(body, self._clients.operation, _ENGINE)

    def _checked(self, definition: str | Mapping[str, Any], or_yaml: bool) -> dict[str, Any]:
        body = read(definition, or_yaml=or_yaml)
        diagnostics = self.diagnose(body)
        if diagnostics:
            raise invalid_definition(diagnostics)
        return body

    def _check_role(self, machine: StateMachine, body: Mapping[str, Any]) -> None:
        permissions.check_role(self._dependencies, machine.role_arn)
        permissions.check_logging(self._dependencies, machine.role_arn, machine.logging_configuration)
        permissions.check_managed_rules(self._dependencies, machine.role_arn, managed_rules(body))

    def _tagged(self, arn: str) -> StateMachine:
        try:
            return self.get(arn)
        except ApiError as error:
            if error.code != "StateMachineDoesNotExist":
                raise
            raise ApiError("ResourceNotFound", f"Resource not found: '{arn}'") from error

    def _keep(self, machine: StateMachine) -> None:
        self._machines[machine.arn] = machine
        self._journal.save_machine(machine)


def deleting(arn: str) -> ApiError:
    """Say that a state machine is being deleted."""
    return ApiError("StateMachineDeleting", f"State Machine is being deleted: '{arn}'")


def check_name(name: str) -> None:
    """Refuse a name that AWS would."""
    if len(name) > _LONGEST_NAME or not name:
        raise ApiError(
            "ValidationException",
            f"1 validation error detected: Value '{name}' at 'name' failed to satisfy constraint: Member must have "
            f"length between 1 and {_LONGEST_NAME}",
        )
    if _FORBIDDEN_IN_NAMES.search(name):
        raise ApiError("InvalidName", f"Invalid Name: '{name}'")


def _identity(machine: StateMachine) -> tuple[Any, ...]:
    definition = json.loads(machine.definition)
    return definition, machine.type, machine.logging_configuration, machine.tracing_configuration


def _logging(configuration: Mapping[str, Any] | None) -> dict[str, Any]:
    return {"level": "OFF", "includeExecutionData": False, **(configuration or {})}


def _machine_arn(arn: str) -> str:
    if not re.match(r"^arn:aws[a-z-]*:states:[a-z0-9-]+:\d{12}:stateMachine:[^:]+$", arn):
        raise ApiError("InvalidArn", f"Invalid State Machine Arn: '{arn}' (versions and aliases are not supported)")
    return arn

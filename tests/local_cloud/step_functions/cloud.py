"""Step Functions in front of the tests' small AWS, called as boto3 would call it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from local_cloud.step_functions import Dependencies, StepFunctionsService
from tests.local_cloud.step_functions.front_door import ROLE, FrontDoor


class CallError(Exception):
    """An error that the API answered with."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class Cloud:
    """The service with its neighbours."""

    def __init__(self, door: FrontDoor, state_dir: Path | None = None, **overrides: Any) -> None:
        self.door = door
        self.events: list[dict[str, Any]] = []
        self.refused: set[tuple[str, str]] = set()  # action, resource
        self.untrusting: set[str] = set()
        self.log: list[str] = []
        self.service = StepFunctionsService(
            Dependencies(
                endpoint_url=door.endpoint_url,
                credentials_for_role=self._credentials,
                is_allowed=lambda _, action, resource: (action, resource) not in self.refused,
                state_dir=state_dir,
                emit_event=self._emit,
                delivery_credentials=lambda: {"AWS_ACCESS_KEY_ID": "delivery", "AWS_SECRET_ACCESS_KEY": "s"},
                log=self.log.append,
                **overrides,
            )
        )

    def call(self, operation: str, **request: Any) -> dict[str, Any]:
        """Call the API; an error it answers with is raised."""
        headers = {"x-amz-target": f"AWSStepFunctions.{operation}"}
        body = json.dumps(request).encode()
        status, _, answer = asyncio.run(self.service.handler("POST", "/", headers, body, {}))
        parsed: dict[str, Any] = json.loads(answer)
        if status != 200:
            raise CallError(parsed["__type"], parsed["message"])
        return parsed

    def create(self, definition: Mapping[str, Any], name: str = "machine", **request: Any) -> str:
        """Create a state machine; answers with its ARN."""
        answer = self.call(
            "CreateStateMachine", **{"name": name, "definition": json.dumps(definition), "roleArn": ROLE, **request}
        )
        return str(answer["stateMachineArn"])

    def start(self, machine: str, input: Any = None, **request: Any) -> str:
        """Start an execution; answers with its ARN."""
        answer = self.call("StartExecution", stateMachineArn=machine, input=json.dumps(input or {}), **request)
        return str(answer["executionArn"])

    def run(self, definition: Mapping[str, Any], input: Any = None, **request: Any) -> dict[str, Any]:
        """Create a state machine, run it once, and answer with the description of the ended execution."""
        machines = len(self.call("ListStateMachines")["stateMachines"])
        return self.ended(self.start(self.create(definition, f"machine-{machines}", **request), input))

    def ended(self, execution: str) -> dict[str, Any]:
        """Wait until an execution has ended; answers with its description."""
        for _ in range(3000):
            described = self.call("DescribeExecution", executionArn=execution)
            if described["status"] != "RUNNING":
                return described
            time.sleep(0.01)
        raise AssertionError(f"still running: {self.history(execution)}")

    def history(self, execution: str) -> list[dict[str, Any]]:
        """Read an execution's history."""
        events: list[dict[str, Any]] = self.call("GetExecutionHistory", executionArn=execution)["events"]
        return events

    def wait_for(self, execution: str, event_type: str) -> dict[str, Any]:
        """Wait for an event of a type; answers with the first."""
        for _ in range(1000):
            for event in self.history(execution):
                if event["type"] == event_type:
                    return event
            time.sleep(0.01)
        raise AssertionError(f"no {event_type}: {self.history(execution)}")

    def _credentials(self, role_arn: str, session_name: str, service: str = "states.amazonaws.com") -> dict[str, str]:
        if role_arn in self.untrusting:
            raise PermissionError(f"the role does not trust {service}")
        return {
            "AWS_ACCESS_KEY_ID": role_arn.rpartition("/")[2],
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_SESSION_TOKEN": "token",
        }

    def _emit(self, source: str, detail_type: str, detail: Mapping[str, Any], resources: Sequence[str]) -> None:
        event = {"source": source, "type": detail_type, "detail": dict(detail), "resources": list(resources)}
        self.events.append(event)


def output(described: Mapping[str, Any]) -> Any:
    """The output of an execution that must have succeeded."""
    assert described["status"] == "SUCCEEDED", described
    return json.loads(described["output"])


def instant(text: str) -> datetime:
    """Read the context object's form of an instant."""
    assert text.endswith("Z")
    return datetime.fromisoformat(text)

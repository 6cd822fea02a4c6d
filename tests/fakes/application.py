"""The application in a cloud as the commands see it: executions, model packages and objects that a test puts there."""

import io
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from cli.application import Application
from cli.prepare import Choice
from cli.stack import Stack

BUCKET = "flats-bucket"
WEEKLY = "arn:aws:states:us-east-1:000000000000:stateMachine:flats-weekly"
ROLLOUT = "arn:aws:states:us-east-1:000000000000:stateMachine:flats-rollout"
GROUP = "arn:aws:sagemaker:us-east-1:000000000000:model-package/flats"
BEGAN = datetime(2026, 11, 23, 6, tzinfo=UTC)


class Pages:
    """What a paginator gives: one page."""

    def __init__(self, page: Callable[..., dict[str, Any]]) -> None:
        self._page = page

    def paginate(self, **wanted: Any) -> Iterator[dict[str, Any]]:
        """The page."""
        yield self._page(**wanted)


class Client:
    """Every operation of it has a paginator."""

    def get_paginator(self, operation: str) -> Pages:
        """Its only page is the operation's answer."""
        return Pages(getattr(self, operation))


class DoesNotExistError(Exception):
    """What Step Functions raises for an execution that is not there."""


class FakeStepFunctions(Client):
    """Executions with their events."""

    class exceptions:  # noqa: N801  as boto3 has them
        """The client's own errors."""

        ExecutionDoesNotExist = DoesNotExistError

    def __init__(self) -> None:
        self.executions: dict[str, dict[str, Any]] = {}
        self.events: dict[str, list[dict[str, Any]]] = {}

    def add(self, machine: str, name: str, status: str, given: Any, output: Any = None) -> str:
        """An execution, a minute after the one before; its ARN."""
        arn = f"{machine.replace(':stateMachine:', ':execution:')}:{name}"
        started = BEGAN + timedelta(minutes=len(self.executions))
        self.executions[arn] = {
            "executionArn": arn,
            "stateMachineArn": machine,
            "name": name,
            "status": status,
            "startDate": started,
            "input": json.dumps(given),
            "output": json.dumps(output),
        }
        details = {"executionStartedEventDetails": {"input": json.dumps(given)}}
        self.events[arn] = [{"id": 1, "type": "ExecutionStarted", "timestamp": started, **details}]
        return arn

    def happen(self, arn: str, kind: str, **details: Any) -> None:
        """One more event, named as `taskFailed=…` names its details."""
        events = self.events[arn]
        event = {"id": len(events) + 1, "previousEventId": len(events), "type": kind, "timestamp": BEGAN}
        events.append({**event, **{f"{name}EventDetails": value for name, value in details.items()}})

    def list_executions(self, stateMachineArn: str, statusFilter: str = "") -> dict[str, Any]:  # noqa: N803
        """The executions of a machine, newest first."""
        found = [one for one in self.executions.values() if one["stateMachineArn"] == stateMachineArn]
        return {"executions": [one for one in reversed(found) if statusFilter in ("", one["status"])]}

    def describe_execution(self, executionArn: str) -> dict[str, Any]:  # noqa: N803
        """One of them; without output unless it succeeded."""
        if executionArn not in self.executions:
            raise DoesNotExistError(executionArn)
        found = self.executions[executionArn]
        return found if found["status"] == "SUCCEEDED" else {key: found[key] for key in found if key != "output"}

    def get_execution_history(self, executionArn: str) -> dict[str, Any]:  # noqa: N803
        """Its events."""
        self.describe_execution(executionArn)
        return {"events": self.events[executionArn]}


class FakeSageMaker(Client):
    """Model packages; no endpoint."""

    def __init__(self) -> None:
        self.packages: list[dict[str, Any]] = []
        self.updates: list[dict[str, Any]] = []
        self.on_update: Callable[[dict[str, Any]], None] = lambda _: None

    def add(self, status: str, **metadata: str) -> str:
        """A version; its ARN."""
        arn = f"{GROUP}/{len(self.packages) + 1}"
        self.packages.append(
            {
                "ModelPackageArn": arn,
                "ModelPackageVersion": len(self.packages) + 1,
                "ModelApprovalStatus": status,
                "CreationTime": BEGAN,
                "InferenceSpecification": {"Containers": [{"Image": "image", "ModelDataUrl": "s3://b/model.tar.gz"}]},
                "CustomerMetadataProperties": metadata,
            }
        )
        return arn

    def list_model_packages(self, ModelPackageGroupName: str) -> dict[str, Any]:  # noqa: N803
        """All of them."""
        return {"ModelPackageSummaryList": self.packages if ModelPackageGroupName == "flats" else []}

    def describe_model_package(self, ModelPackageName: str) -> dict[str, Any]:  # noqa: N803
        """One of them."""
        return next(one for one in self.packages if one["ModelPackageArn"] == ModelPackageName)

    def update_model_package(self, **request: Any) -> None:
        """Keeps the decision and tells the test."""
        self.updates.append(request)
        package = self.describe_model_package(request["ModelPackageArn"])
        package["ModelApprovalStatus"] = request["ModelApprovalStatus"]
        self.on_update(request)

    def describe_endpoint(self, EndpointName: str) -> dict[str, Any]:  # noqa: N803
        """There is none."""
        raise ClientError({"Error": {"Code": "ValidationException", "Message": EndpointName}}, "DescribeEndpoint")


class FakeS3(Client):
    """Objects of the one bucket, by key."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def get_object(self, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803
        """An object."""
        del Bucket
        if Key not in self.objects:
            raise ClientError({"Error": {"Code": "NoSuchKey", "Message": Key}}, "GetObject")
        return {"Body": Body(self.objects[Key])}

    def head_object(self, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803
        """Its size."""
        del Bucket
        if Key not in self.objects:
            raise ClientError({"Error": {"Code": "404", "Message": Key}}, "HeadObject")
        return {"ContentLength": len(self.objects[Key])}

    def list_objects_v2(self, Bucket: str, Prefix: str) -> dict[str, Any]:  # noqa: N803
        """The keys below a prefix."""
        del Bucket
        return {"Contents": [{"Key": key} for key in sorted(self.objects) if key.startswith(Prefix)]}


class Body(io.BytesIO):
    """What get_object streams."""

    def iter_chunks(self, size: int) -> Iterator[bytes]:
        """Piece by piece."""
        while chunk := self.read(size):
            yield chunk


class FakeCloud:
    """The clients of all the services."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "cloud.log"
        self.states, self.sagemaker, self.s3 = FakeStepFunctions(), FakeSageMaker(), FakeS3()

    def client(self, service: str) -> Any:
        """One of them."""
        return {"stepfunctions": self.states, "sagemaker": self.sagemaker, "s3": self.s3}[service]


def application(folder: Path) -> Application:
    """The application in a cloud that is empty yet, `.cloud` of which is a FakeCloud."""
    outputs = {
        "DataBucketName": BUCKET,
        "StateMachineArn": WEEKLY,
        "RolloutStateMachineArn": ROLLOUT,
        "ModelPackageGroupName": "flats",
        "EndpointName": "flats",
    }
    stack = Stack("flats", "CREATE_COMPLETE", outputs, {}, {})
    return Application(FakeCloud(folder), stack, Choice("ames", "flats"))  # type: ignore[arg-type]  # it has the clients

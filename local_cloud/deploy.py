"""Deploys a SAM template into the local cloud, through the same API as ``sam deploy``.

Images are built, files uploaded, the template becomes a change set (CloudFormation expands the SAM transform), the
change set is executed, and its events are reported until the stack has settled.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from local_cloud.cloudformation.checks import without_effect
from local_cloud.images import ImageError, ImageRegistry, ImageSpec
from local_cloud.packaging import Image, package, parameter_images
from local_cloud.template_file import TemplateError, read_template

CAPABILITIES = ("CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND")
_POLL_SECONDS = 0.1
_MOST_INLINE_BYTES = 51_200  # CloudFormation quotas, "Template body size in a request"
_NOTHING_TO_DO = ("didn't contain changes", "No updates are to be performed")
_CANCELLED = "Resource creation cancelled"


class DeploymentError(RuntimeError):
    """A deployment failed; says which resource failed first and why. The stack has been rolled back."""

    def __init__(self, message: str, resource: str | None = None, reason: str | None = None) -> None:
        super().__init__(message)
        self.resource, self.reason = resource, reason


@dataclass(frozen=True)
class Progress:
    """One step of a deployment: a resource (its logical id), its type, its new status, and AWS's reason if any."""

    resource: str
    type: str
    status: str
    reason: str = ""


@dataclass(frozen=True)
class Deployment:
    """A finished deployment: the stack's outputs, whether anything changed, and what takes no effect here."""

    stack_name: str
    outputs: Mapping[str, str]
    changed: bool
    without_effect: tuple[str, ...]


Report = Callable[[Progress], None]


class CloudAddress(Protocol):
    """Where a cloud answers, and its administrator's credentials: what ``cloud.json`` says."""

    @property
    def endpoint(self) -> str:
        """URL of AWS's API."""

    @property
    def region(self) -> str:
        """AWS's name of the region."""

    @property
    def account_id(self) -> str:
        """Twelve digits."""

    @property
    def access_key_id(self) -> str:
        """The administrator's."""

    @property
    def secret_access_key(self) -> str:
        """The administrator's."""


class ImageBuilder(Protocol):
    """Builds an image and puts it where the cloud finds it by the returned URI, as `ImageRegistry` does."""

    def build(
        self,
        name: str,
        *,
        dockerfile: Path,
        context: Path,
        build_args: Mapping[str, str] | None = None,
        tag: str = "latest",
    ) -> ImageSpec:
        """Raises ImageError."""


def deploy(
    template_path: Path,
    cloud: CloudAddress,
    state: Path,
    *,
    stack_name: str,
    parameters: Mapping[str, str] | None = None,
    report: Report = lambda _progress: None,
    images: ImageBuilder | None = None,
    timeout: float = 300.0,
) -> Deployment:
    """Create or update a stack and return what it became. Raises DeploymentError.

    ``state`` is the cloud's state directory, where built images go. ``parameters`` are values for parameters of the
    template; the others keep their defaults, or on an update what they had. ``images`` builds them if not the local
    cloud itself shall. ``timeout`` is for everything but the images.
    """
    registry = images or ImageRegistry(state, account_id=cloud.account_id, region=cloud.region)
    return _Deployer(cloud, registry, stack_name, report, timeout).run(template_path, parameters or {})


class _Deployer:
    def __init__(
        self, cloud: CloudAddress, images: ImageBuilder, stack_name: str, report: Report, timeout: float
    ) -> None:
        session = boto3.Session(cloud.access_key_id, cloud.secret_access_key, region_name=cloud.region)
        config = Config(retries={"total_max_attempts": 1}, proxies={})
        self._cloudformation: Any = session.client("cloudformation", endpoint_url=cloud.endpoint, config=config)
        self._s3: Any = session.client("s3", endpoint_url=cloud.endpoint, config=config)
        self._bucket = f"deployment-artefacts-{cloud.account_id}-{cloud.region}"
        self._images = images
        self._stack_name = stack_name
        self._report = report
        self._telling = threading.Lock()
        self._timeout = timeout
        self._deadline = float("inf")

    def run(self, template_path: Path, parameters: Mapping[str, str]) -> Deployment:
        folder = template_path.resolve().parent
        try:
            template = read_template(template_path)
            values = _checked(template, parameters)
            for name, image in parameter_images(template, folder).items():
                if name not in values:
                    values[name] = self._build(image)
            self._make_bucket()
            packaged = package(template, folder, self._build, self._upload)
            self._deadline = time.monotonic() + self._timeout
            changed = self._deploy(packaged, values)
        except (TemplateError, ImageError) as problem:
            raise DeploymentError(str(problem)) from problem
        except ClientError as error:
            raise DeploymentError(f"{error.operation_name}: {error.response['Error']['Message']}") from error
        return Deployment(self._stack_name, self._outputs(), changed, tuple(self._without_effect()))

    def _tell(self, progress: Progress) -> None:
        """Report one step at a time: images are built in parallel."""
        with self._telling:
            self._report(progress)

    def _build(self, image: Image) -> str:
        self._tell(Progress(image.name, "image", "BUILDING"))
        built = self._images.build(
            image.name, dockerfile=image.dockerfile, context=image.context, build_args=image.build_args, tag=image.tag
        )
        self._tell(Progress(image.name, "image", "BUILT", "; ".join(built.notes)))
        return built.uri

    def _make_bucket(self) -> None:
        with contextlib.suppress(self._s3.exceptions.BucketAlreadyOwnedByYou, self._s3.exceptions.BucketAlreadyExists):
            self._s3.create_bucket(Bucket=self._bucket)

    def _upload(self, key: str, content: bytes) -> Mapping[str, str]:
        self._s3.put_object(Bucket=self._bucket, Key=key, Body=content)
        return {"Bucket": self._bucket, "Key": key}

    def _deploy(self, template: Mapping[str, Any], values: Mapping[str, str]) -> bool:
        """Execute a change set; return False when there was nothing to change."""
        status = self._stack_status()
        if status == "ROLLBACK_COMPLETE":  # of a first deployment that failed: only its deletion is possible
            self._cloudformation.delete_stack(StackName=self._stack_name)
            self._wait_for(lambda now: now in (None, "DELETE_COMPLETE"))
            status = None
        new = status in (None, "DELETE_COMPLETE", "REVIEW_IN_PROGRESS")
        known = self._known_parameters() if not new else frozenset()
        change_set = self._cloudformation.create_change_set(
            StackName=self._stack_name,
            ChangeSetName=f"deploy-{uuid.uuid4().hex}",
            ChangeSetType="CREATE" if new else "UPDATE",
            Capabilities=list(CAPABILITIES),
            Parameters=_parameters(template, values, known),
            **self._template_argument(template),
        )["Id"]
        if not self._wait_for_change_set(change_set):
            self._cloudformation.delete_change_set(ChangeSetName=change_set)
            return False
        before = {event["EventId"] for event in self._events()}
        self._cloudformation.execute_change_set(ChangeSetName=change_set)
        self._follow(before)
        return True

    def _template_argument(self, template: Mapping[str, Any]) -> dict[str, str]:
        body = json.dumps(template)
        if len(body.encode()) <= _MOST_INLINE_BYTES:
            return {"TemplateBody": body}
        place = self._upload(f"templates/{uuid.uuid4().hex}.json", body.encode())
        return {"TemplateURL": f"{self._s3.meta.endpoint_url}/{place['Bucket']}/{place['Key']}"}

    def _wait_for_change_set(self, change_set: str) -> bool:
        while True:
            description = self._cloudformation.describe_change_set(ChangeSetName=change_set)
            if description["Status"] == "CREATE_COMPLETE":
                return True
            if description["Status"] == "FAILED":
                reason = description.get("StatusReason", "")
                if any(text in reason for text in _NOTHING_TO_DO):
                    return False
                raise DeploymentError(f"the change set failed: {reason}", reason=reason)
            self._pause("the change set")

    def _follow(self, seen: set[str]) -> None:
        """Report events until the stack has settled; raise DeploymentError when it settled on failure."""
        first_failure: Progress | None = None
        while True:
            status = self._stack_status() or "DELETE_COMPLETE"
            for event in reversed([event for event in self._events() if event["EventId"] not in seen]):
                seen.add(event["EventId"])
                progress = Progress(
                    event["LogicalResourceId"],
                    event["ResourceType"],
                    event["ResourceStatus"],
                    event.get("ResourceStatusReason", ""),
                )
                self._tell(progress)
                if progress.status.endswith("_FAILED") and not progress.reason.startswith(_CANCELLED):
                    first_failure = first_failure or progress
            if not status.endswith("_IN_PROGRESS"):
                break
            self._pause(f"stack {self._stack_name}")
        if status not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
            unknown = Progress(self._stack_name, "AWS::CloudFormation::Stack", status, "no reason given")
            failure = first_failure or unknown
            raise DeploymentError(
                f"stack {self._stack_name} ended {status}: {failure.resource} ({failure.type}): {failure.reason}",
                failure.resource,
                failure.reason,
            )

    def _stack_status(self) -> str | None:
        try:
            stack = self._cloudformation.describe_stacks(StackName=self._stack_name)["Stacks"][0]
        except ClientError as error:
            if "does not exist" in error.response["Error"]["Message"]:
                return None
            raise
        return str(stack["StackStatus"])

    def _known_parameters(self) -> frozenset[str]:
        stack = self._cloudformation.describe_stacks(StackName=self._stack_name)["Stacks"][0]
        return frozenset(parameter["ParameterKey"] for parameter in stack.get("Parameters", []))

    def _events(self) -> list[dict[str, Any]]:
        pages = self._cloudformation.get_paginator("describe_stack_events").paginate(StackName=self._stack_name)
        return [event for page in pages for event in page["StackEvents"]]

    def _outputs(self) -> dict[str, str]:
        stack = self._cloudformation.describe_stacks(StackName=self._stack_name)["Stacks"][0]
        return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}

    def _without_effect(self) -> Iterator[str]:
        """Say what the local cloud accepts without doing it, for the resources that the stack has."""
        processed = self._cloudformation.get_template(StackName=self._stack_name, TemplateStage="Processed")
        body = processed["TemplateBody"]
        template = json.loads(body) if isinstance(body, str) else body
        pages = self._cloudformation.get_paginator("list_stack_resources").paginate(StackName=self._stack_name)
        made = {resource["LogicalResourceId"] for page in pages for resource in page["StackResourceSummaries"]}
        for finding in without_effect(template):
            if finding.logical_id in made:
                yield str(finding)

    def _wait_for(self, reached: Callable[[str | None], bool]) -> None:
        while not reached(self._stack_status()):
            self._pause(f"stack {self._stack_name}")

    def _pause(self, what: str) -> None:
        if time.monotonic() > self._deadline:
            raise DeploymentError(f"{what} did not settle in time: look into cloud.log in the state directory")
        time.sleep(_POLL_SECONDS)


def _checked(template: Mapping[str, Any], parameters: Mapping[str, str]) -> dict[str, str]:
    """Return the parameters; raise DeploymentError for a name the template does not have."""
    known = template.get("Parameters") or {}
    unknown = [name for name in parameters if name not in known]
    if unknown:
        raise DeploymentError(
            f"the template has no parameter {', '.join(unknown)}; it has {', '.join(sorted(known)) or 'none'}"
        )
    return dict(parameters)


def _parameters(
    template: Mapping[str, Any], values: Mapping[str, str], known: frozenset[str]
) -> list[dict[str, str | bool]]:
    """Return the request's parameters: given values, and on an update what the stack had for the others."""
    given: list[dict[str, str | bool]] = [
        {"ParameterKey": name, "ParameterValue": value} for name, value in values.items()
    ]
    kept: list[dict[str, str | bool]] = [
        {"ParameterKey": name, "UsePreviousValue": True}
        for name in template.get("Parameters") or {}
        if name not in values and name in known
    ]
    return given + kept

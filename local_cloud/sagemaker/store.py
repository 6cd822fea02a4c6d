"""The resources the service knows, by kind and name, behind one lock, and on disk at every change of state."""

import contextlib
import threading
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from local_cloud.sagemaker.deployment import Plan
from local_cloud.sagemaker.endpoints import Endpoint
from local_cloud.sagemaker.environment import SageMakerEnvironment
from local_cloud.sagemaker.errors import ServiceError
from local_cloud.sagemaker.jobs import Job, notify
from local_cloud.sagemaker.names import (
    ENDPOINT,
    ENDPOINT_CONFIG,
    KINDS,
    MODEL,
    PROCESSING_JOB,
    TRAINING_JOB,
    Kind,
    exists_already,
    missing,
)
from local_cloud.sagemaker.past_jobs import PastJob, is_over, lost
from local_cloud.sagemaker.records import Records

Resource = Job | PastJob | Endpoint | dict[str, Any]

_KINDS = {kind.noun: kind for kind in KINDS}


class Store:
    """Jobs, models, endpoint configurations, endpoints and the tags of them all."""

    def __init__(self, cloud: SageMakerEnvironment) -> None:
        self._cloud = cloud
        self._lock = threading.RLock()
        self._records = Records(cloud.state_dir / "sagemaker" / "records")
        self.jobs: dict[str, Job | PastJob] = {}  # by ARN: a processing job and a training job may share a name
        self.models: dict[str, dict[str, Any]] = {}
        self.configs: dict[str, dict[str, Any]] = {}
        self.endpoints: dict[str, Endpoint] = {}
        self._tags: dict[str, dict[str, str]] = {}
        self._reserved: set[str] = set()  # ARNs of what is being created
        self._kept_at: dict[str, datetime] = {}
        self._lost = self._load()
        cloud.hooks.insert(0, self._keep_change)

    def _keep_change(self, kind: str, description: Mapping[str, Any]) -> None:
        if kind in _KINDS:  # the model registry keeps its own
            self._keep(_KINDS[kind], description)

    def recover(self) -> None:
        """Goes on where an earlier life of the cloud was killed: endpoints serve again, lost jobs have failed."""
        for endpoint in self.all(ENDPOINT):
            endpoint.recover()
        for job in self._lost:
            notify(self._cloud, job.kind.noun, job.describe())
        self._lost = []

    def arn(self, kind: Kind, name: str) -> str:
        """The ARN of a resource."""
        return kind.arn(self._cloud.region, self._cloud.account_id, name)

    def all(self, kind: Kind) -> list[Any]:
        """All resources of a kind."""
        with self._lock:
            if kind in (PROCESSING_JOB, TRAINING_JOB):
                return [job for job in self.jobs.values() if job.kind is kind]
            tables: dict[Kind, Mapping[str, Any]] = {
                MODEL: self.models,
                ENDPOINT_CONFIG: self.configs,
                ENDPOINT: self.endpoints,
            }
            return list(tables[kind].values())

    def find(self, kind: Kind, name: str) -> Any:
        """A resource by its name; raises AWS's error for one that does not exist."""
        for item in self.all(kind):
            if name == _name(kind, item):
                return item
        raise missing(kind, name, self.arn(kind, name))

    @contextlib.contextmanager
    def reserved(self, kind: Kind, request: Mapping[str, Any]) -> Iterator[str]:
        """Holds a name while its resource is made: of two requests at the same time one must lose. Gives the ARN."""
        arn = self.arn(kind, request[kind.name_member])
        with self._lock:
            if arn in self._reserved or arn in self._arns(kind):
                raise exists_already(kind, arn)
            self._reserved.add(arn)
        try:
            yield arn
        finally:
            with self._lock:
                self._reserved.discard(arn)

    def add(self, arn: str, item: Job | Endpoint | dict[str, Any], request: Mapping[str, Any]) -> None:
        """Adds a resource with the tags of the request that made it."""
        with self._lock:
            if isinstance(item, Job):
                self.jobs[arn] = item
            elif isinstance(item, Endpoint):
                self.endpoints[item.name] = item
            else:
                table, kind = (self.models, MODEL) if MODEL.arn_member in item else (self.configs, ENDPOINT_CONFIG)
                table[item[kind.name_member]] = item
        self.tag(arn, request.get("Tags", []))

    def remove(self, kind: Kind, name: str) -> None:
        """Removes a resource that is no job; raises AWS's error for one that does not exist."""
        tables: dict[Kind, dict[str, Any]] = {
            MODEL: self.models,
            ENDPOINT_CONFIG: self.configs,
            ENDPOINT: self.endpoints,
        }
        with self._lock:
            self.find(kind, name)
            del tables[kind][name]
            self._tags.pop(self.arn(kind, name), None)
            self._records.remove(kind, name)
            self._kept_at.pop(self.arn(kind, name), None)

    def tags(self, arn: str) -> dict[str, str]:
        """The tags of an existing resource; raises ResourceNotFound."""
        with self._lock:
            if not any(arn in self._arns(kind) for kind in KINDS):
                raise ServiceError("ResourceNotFound", f"The resource {arn} does not exist.")
            return self._tags.setdefault(arn, {})

    def tag(self, arn: str, tags: list[dict[str, str]]) -> None:
        """Sets tags of an existing resource."""
        if tags:
            with self._lock:
                self.tags(arn).update({tag["Key"]: tag["Value"] for tag in tags})
            self._keep_tags(arn)

    def untag(self, arn: str, keys: list[str]) -> None:
        """Removes tags of an existing resource."""
        with self._lock:
            tags = self.tags(arn)
            for key in keys:
                tags.pop(key, None)
        self._keep_tags(arn)

    def _keep_tags(self, arn: str) -> None:
        for kind in KINDS:
            for item in self.all(kind):
                if self.arn(kind, _name(kind, item)) == arn:
                    self._keep(kind, describe(item))

    def _keep(self, kind: Kind, description: Mapping[str, Any]) -> None:
        """Writes a resource down. What was removed meanwhile stays removed, and what is newer on disk stays there.

        It never asks an endpoint or a job: who calls may hold its lock.
        """
        name = description[kind.name_member]
        arn = self.arn(kind, name)
        moment = description.get("LastModifiedTime", description["CreationTime"])
        with self._lock:
            if arn not in self._arns(kind) or moment < self._kept_at.get(arn, moment):
                return
            record = {"description": dict(description), "tags": self._tags.get(arn, {})}
            if kind is ENDPOINT:
                record["plan"] = asdict(self.endpoints[name].plan)
            self._records.save(kind, name, record)
            self._kept_at[arn] = moment

    def _load(self) -> list[PastJob]:
        """Reads what an earlier life of the cloud had; gives the jobs that ran at its end, which have failed now."""
        lost_jobs = []
        for kind in KINDS:
            for record in self._records.load(kind):
                description = record["description"]
                name = description[kind.name_member]
                arn = self.arn(kind, name)
                self._tags[arn] = record["tags"]
                if kind in (PROCESSING_JOB, TRAINING_JOB):
                    over = is_over(kind, description)
                    job = PastJob(kind, description if over else lost(kind, description, self._cloud.now()))
                    self.jobs[arn] = job
                    lost_jobs += [] if over else [job]
                elif kind is ENDPOINT and description["EndpointStatus"] == "Deleting":
                    self._records.remove(kind, name)
                elif kind is ENDPOINT:
                    self.endpoints[name] = Endpoint.restored(self._cloud, description, Plan(**record["plan"]))
                else:
                    (self.models if kind is MODEL else self.configs)[name] = description
        return lost_jobs

    def _arns(self, kind: Kind) -> set[str]:
        return {self.arn(kind, _name(kind, item)) for item in self.all(kind)}


def _name(kind: Kind, item: Resource) -> str:
    return str(item[kind.name_member]) if isinstance(item, dict) else item.name


def describe(item: Resource) -> dict[str, Any]:
    """What Describe… answers for a resource."""
    return dict(item) if isinstance(item, dict) else item.describe()

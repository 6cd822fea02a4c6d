"""Endpoints: creation, update with roll-back, deletion, and which variant answers a request."""

import logging
import random
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from typing import Any

from local_cloud.sagemaker.environment import SageMakerEnvironment
from local_cloud.sagemaker.errors import JobFailedError, invalid
from local_cloud.sagemaker.jobs import MAX_REASON, notify, without_missing
from local_cloud.sagemaker.names import ENDPOINT
from local_cloud.sagemaker.serving import ModelServer

_LOGGER = logging.getLogger(__name__)
_IN_PROGRESS = ("Creating", "Updating", "Deleting")
_generations = count(1)


@dataclass(frozen=True)
class Plan:
    """An endpoint configuration with the models of its variants, as they were when the deployment began."""

    config_name: str
    variants: Sequence[Mapping[str, Any]]
    models: Mapping[str, Mapping[str, Any]]


class Deployment:
    """The running servers of one endpoint configuration."""

    def __init__(self, cloud: SageMakerEnvironment, endpoint_name: str, plan: Plan) -> None:
        self.plan = plan
        self._now = cloud.now()
        place = (
            cloud.state_dir / "sagemaker" / "endpoints" / endpoint_name / f"{next(_generations):06d}-{plan.config_name}"
        )
        self.servers = [
            ModelServer(
                cloud, place / variant["VariantName"], endpoint_name, variant, plan.models[variant["ModelName"]]
            )
            for variant in plan.variants
        ]

    def start(self) -> None:
        """Starts all servers; when one fails, stops the others and raises JobFailedError."""
        try:
            with ThreadPoolExecutor(len(self.servers)) as pool:
                for future in [pool.submit(server.start) for server in self.servers]:
                    future.result()
        except BaseException:
            self.stop()
            raise

    def stop(self, kill: bool = False) -> None:
        """Stops all servers; returns when they have ended."""
        with ThreadPoolExecutor(len(self.servers)) as pool:
            list(pool.map(lambda server: server.stop(kill), self.servers))

    def choose(self, target_variant: str | None) -> ModelServer:
        """The server of the variant asked for, or one at random in proportion to the variants' weights."""
        if target_variant is not None:
            for server in self.servers:
                if server.name == target_variant:
                    return server
            raise invalid(f"Variant {target_variant} not found")
        weights = [variant.get("InitialVariantWeight", 1.0) for variant in self.plan.variants]
        if sum(weights) <= 0:
            raise invalid("All variants of this endpoint have the weight 0: name one with TargetVariant.")
        return random.choices(self.servers, weights)[0]  # noqa: S311  it spreads load

    def describe(self) -> list[dict[str, Any]]:
        """`ProductionVariants` of DescribeEndpoint."""
        described = []
        for variant in self.plan.variants:
            image = self.plan.models[variant["ModelName"]]["PrimaryContainer"]["Image"]
            weight, instances = variant.get("InitialVariantWeight", 1.0), variant["InitialInstanceCount"]
            deployed = {"SpecifiedImage": image, "ResolvedImage": image, "ResolutionTime": self._now}
            described.append({
                "VariantName": variant["VariantName"],
                "DeployedImages": [deployed],
                "CurrentWeight": weight,
                "DesiredWeight": weight,
                "CurrentInstanceCount": instances,
                "DesiredInstanceCount": instances,
            })  # fmt: skip
        return described


class Endpoint:
    """One endpoint. Deployments run on threads of their own."""

    def __init__(self, cloud: SageMakerEnvironment, name: str, plan: Plan) -> None:
        self._cloud, self.name = cloud, name
        self.arn = ENDPOINT.arn(cloud.region, cloud.account_id, name)
        self._lock = threading.RLock()
        self.created = self.modified = cloud.now()
        self.status = "Creating"
        self._failure_reason: str | None = None
        self._plan = plan  # of the configuration that describes the endpoint
        self._current: Deployment | None = None
        self._next: Deployment | None = None
        self._closing = False

    def create(self) -> None:
        """Starts the first deployment in the background."""
        self._begin("Creating", self._plan)

    def update(self, plan: Plan) -> None:
        """Starts a deployment of another configuration; the old one serves until the new one is healthy."""
        with self._lock:
            if self.status in _IN_PROGRESS:
                raise invalid(f'Cannot update in-progress endpoint "{self.arn}".')
            if self.status == "Failed":
                # EndpointStatus: "DeleteEndpoint is the only operation that can be performed on a failed endpoint"
                raise invalid(f'Cannot update failed endpoint "{self.arn}". Delete it, then create it again.')
            self._begin("Updating", plan)

    def delete(self, removed: Any) -> None:
        """Stops everything in the background, then calls `removed`."""
        with self._lock:
            if self.status in _IN_PROGRESS:
                raise invalid(f'Cannot update in-progress endpoint "{self.arn}".')
            self._set("Deleting")
            deployment, self._current = self._current, None

        def stop() -> None:
            if deployment is not None:
                deployment.stop()
            removed()

        self._notify()
        threading.Thread(target=stop, name=f"delete endpoint {self.name}", daemon=True).start()

    def close(self) -> None:
        """Kills all servers; returns when none is left."""
        with self._lock:
            self._closing = True
            deployments = [deployment for deployment in (self._current, self._next) if deployment is not None]
        for deployment in deployments:
            deployment.stop(kill=True)

    def server_for(self, target_variant: str | None) -> ModelServer | None:
        """Who answers a request; None when the endpoint serves nothing (yet)."""
        with self._lock:
            if self.status not in ("InService", "Updating") or self._current is None:
                return None
            return self._current.choose(target_variant)

    def describe(self) -> dict[str, Any]:
        """The answer of DescribeEndpoint."""
        with self._lock:
            pending = None
            if self.status == "Updating" and self._next is not None:
                pending = {"EndpointConfigName": self._next.plan.config_name, "StartTime": self.modified}
            return without_missing({
                "EndpointName": self.name,
                "EndpointArn": self.arn,
                "EndpointConfigName": self._plan.config_name,
                "ProductionVariants": self._current.describe() if self._current is not None else None,
                "EndpointStatus": self.status,
                "FailureReason": self._failure_reason,
                "CreationTime": self.created,
                "LastModifiedTime": self.modified,
                "PendingDeploymentSummary": pending and {**pending, "ProductionVariants": []},
            })  # fmt: skip

    def _begin(self, status: str, plan: Plan) -> None:
        deployment = Deployment(self._cloud, self.name, plan)
        with self._lock:
            self._set(status)
            self._failure_reason = None
            self._next = deployment
        self._notify()
        target = self._deploy
        threading.Thread(target=target, args=(deployment,), name=f"deploy {self.name}", daemon=True).start()

    def _deploy(self, deployment: Deployment) -> None:
        failure: str | None = None
        try:
            deployment.start()
        except JobFailedError as error:
            failure = str(error)
        except Exception as error:
            _LOGGER.exception("The deployment of %s failed inside the local cloud", self.arn)
            failure = f"We encountered an internal error ({error!r}). Please try again."
        if self._closing:
            return
        with self._lock:
            old = self._current
            self._next = None
            if failure is None:
                self._current, self._plan = deployment, deployment.plan
            self._failure_reason = failure and failure[:MAX_REASON]
            # An update that failed leaves the endpoint in service with the configuration it had before.
            self._set("InService" if self._current is not None else "Failed")
        self._notify()
        if failure is None and old is not None:
            old.stop()

    def _set(self, status: str) -> None:
        self.status = status
        self.modified = self._cloud.now()

    def _notify(self) -> None:
        notify(self._cloud, ENDPOINT.noun, self.describe())

"""Endpoints: creation, update with roll-back, deletion, and which variant answers a request."""

import logging
import threading
from collections.abc import Mapping
from typing import Any

from local_cloud.sagemaker.container_client import INVOCATION_TIMEOUT_SECONDS
from local_cloud.sagemaker.deployment import Deployment, Plan
from local_cloud.sagemaker.environment import SageMakerEnvironment
from local_cloud.sagemaker.errors import JobFailedError, invalid
from local_cloud.sagemaker.jobs import MAX_REASON, notify, without_missing
from local_cloud.sagemaker.names import ENDPOINT
from local_cloud.sagemaker.serving import ModelServer

_LOGGER = logging.getLogger(__name__)
# DescribeEndpoint API reference, EndpointStatus
_IN_PROGRESS = ("Creating", "Updating", "RollingBack", "Deleting")
_SERVING = ("InService", "Updating", "RollingBack", "UpdateRollbackFailed")
_INTERRUPTED = (
    "The update was rolled back: the instances that it had started were lost. We encountered an internal error. "
    "Please try again."
)


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
        self._ready = threading.Event()  # not set while the servers of an earlier life are started again
        self._ready.set()

    @classmethod
    def restored(cls, cloud: SageMakerEnvironment, description: Mapping[str, Any], plan: Plan) -> "Endpoint":
        """An endpoint of an earlier life of the local cloud, as Describe… answered then; `recover` starts it."""
        endpoint = cls(cloud, description["EndpointName"], plan)
        endpoint.created, endpoint.modified = description["CreationTime"], description["LastModifiedTime"]
        endpoint.status, endpoint._failure_reason = description["EndpointStatus"], description.get("FailureReason")
        if endpoint.status not in ("Creating", "Failed"):
            endpoint._ready.clear()
        return endpoint

    @property
    def plan(self) -> Plan:
        """What the endpoint serves, or, before it serves anything, what it is to serve."""
        return self._plan

    def recover(self) -> None:
        """Goes on after the local cloud was killed, and its servers with it.

        What was in service serves again; requests wait for it. A creation starts over. An update that was under way is
        rolled back: its instances are gone, those of the configuration in service are started again.
        """
        if self.status == "Creating":
            self._begin("Creating", self._plan)
        elif not self._ready.is_set():
            threading.Thread(target=self._serve_again, name=f"recover {self.name}", daemon=True).start()

    def _serve_again(self) -> None:
        deployment = Deployment(self._cloud, self.name, self._plan)
        with self._lock:
            self._current = deployment
        failure = self._attempt(deployment)
        if self._closing:
            return
        if failure is not None:
            deployment.stop()
        with self._lock:
            if failure is not None:
                self._current, self._failure_reason = None, failure[:MAX_REASON]
                self._set("Failed")
            elif self.status != "InService":
                self._failure_reason = _INTERRUPTED
                self._set("InService")
        self._ready.set()
        self._notify()

    def create(self) -> None:
        """Starts the first deployment in the background."""
        self._begin("Creating", self._plan)

    def check_updatable(self) -> None:
        """Refuses an update while something is going on, and of an endpoint that failed."""
        self._ready.wait(INVOCATION_TIMEOUT_SECONDS)
        with self._lock:
            self._check_settled()
            if self.status == "Failed":
                # EndpointStatus: "DeleteEndpoint is the only operation that can be performed on a failed endpoint"
                raise invalid(f'Cannot update failed endpoint "{self.arn}". Delete it, then create it again.')

    def update(self, plan: Plan) -> None:
        """Starts a deployment of another configuration; the old one serves until the new one is healthy."""
        self.check_updatable()
        with self._lock:
            self._check_settled()
            self._begin("Updating", plan)

    def delete(self, removed: Any) -> None:
        """Stops everything in the background, then calls `removed`."""
        self._ready.wait(INVOCATION_TIMEOUT_SECONDS)
        with self._lock:
            self._check_settled()
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
        self._ready.wait(INVOCATION_TIMEOUT_SECONDS)
        with self._lock:
            if self.status not in _SERVING or self._current is None:
                return None
            return self._current.choose(target_variant)

    def describe(self) -> dict[str, Any]:
        """The answer of DescribeEndpoint."""
        with self._lock:
            return without_missing({
                "EndpointName": self.name,
                "EndpointArn": self.arn,
                "EndpointConfigName": self._plan.config_name,
                "ProductionVariants": self._current.describe() if self._current is not None else None,
                "EndpointStatus": self.status,
                "FailureReason": self._failure_reason,
                "CreationTime": self.created,
                "LastModifiedTime": self.modified,
                "PendingDeploymentSummary": self._next and self._next.describe_pending(),
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

    def _attempt(self, deployment: Deployment) -> str | None:
        """Starts a deployment; gives the reason where it does not become healthy."""
        try:
            deployment.start()
        except JobFailedError as error:
            return str(error)
        except Exception as error:
            _LOGGER.exception("The deployment of %s failed inside the local cloud", self.arn)
            return f"We encountered an internal error ({error!r}). Please try again."
        return None

    def _deploy(self, deployment: Deployment) -> None:
        failure = self._attempt(deployment)
        if self._closing:
            return
        if failure is not None:
            self._fail(deployment, failure[:MAX_REASON])
            return
        with self._lock:
            old, self._current, self._plan = self._current, deployment, deployment.plan
            self._next, self._failure_reason = None, None
            self._set("InService")
        self._notify()
        if old is not None:
            old.stop()

    def _fail(self, deployment: Deployment, reason: str) -> None:
        """Ends a creation as Failed, an update in service with the configuration it had before, if that still serves.

        The API reference has RollingBack for changes of capacity only; users see it after UpdateEndpoint, too
        (https://github.com/hashicorp/terraform-provider-aws/pull/49020).
        """
        with self._lock:
            old, self._failure_reason = self._current, reason
            if old is not None:
                self._set("RollingBack")
        if old is not None:
            self._notify()
        deployment.stop()
        settled = "Failed" if old is None else "InService" if old.serves() else "UpdateRollbackFailed"
        if self._closing:
            return
        with self._lock:
            self._next = None
            self._set(settled)
        self._notify()

    def _check_settled(self) -> None:
        if self.status in _IN_PROGRESS:
            raise invalid(f'Cannot update in-progress endpoint "{self.arn}".')

    def _set(self, status: str) -> None:
        self.status = status
        self.modified = self._cloud.now()

    def _notify(self) -> None:
        notify(self._cloud, ENDPOINT.noun, self.describe())

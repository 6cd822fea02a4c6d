"""Endpoints: creation, update with roll-back, change of weights, deletion, and who answers a request."""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from local_cloud.sagemaker.container_client import INVOCATION_TIMEOUT_SECONDS
from local_cloud.sagemaker.deployment import Deployment, Plan
from local_cloud.sagemaker.environment import SageMakerEnvironment
from local_cloud.sagemaker.errors import JobFailedError, invalid
from local_cloud.sagemaker.guardrails import Guardrails
from local_cloud.sagemaker.invocation import Invocation, ask
from local_cloud.sagemaker.jobs import MAX_REASON, notify, without_missing
from local_cloud.sagemaker.names import ENDPOINT
from local_cloud.sagemaker.rollout import Rollout
from local_cloud.sagemaker.routing import Routing

_LOGGER = logging.getLogger(__name__)
# DescribeEndpoint API reference, EndpointStatus
_IN_PROGRESS = ("Creating", "Updating", "RollingBack", "Deleting")
_SERVING = ("InService", "Updating", "RollingBack", "UpdateRollbackFailed")
_DEPLOYMENT = "EndpointDeployment"  # what hooks are told of each stage of a deployment
_INTERRUPTED = (
    "The update was rolled back: the instances that it had started were lost. We encountered an internal error. "
    "Please try again."
)


class Endpoint:
    """One endpoint. Deployments run on threads of their own."""

    def __init__(
        self, cloud: SageMakerEnvironment, name: str, plan: Plan, guardrails: Guardrails | None = None
    ) -> None:
        self._cloud, self.name = cloud, name
        self.arn = ENDPOINT.arn(cloud.region, cloud.account_id, name)
        self._lock = threading.RLock()
        self.created = self.modified = cloud.now()
        self.status = "Creating"
        self._failure_reason: str | None = None
        self._plan = plan  # of the configuration that describes the endpoint
        self._guardrails = guardrails or Guardrails()
        self._routing: Routing | None = None
        self._rollout: Rollout | None = None
        self._desired: Plan | None = None  # what weights and instance counts are being changed to
        self._closing = False
        self._ready = threading.Event()  # not set while the servers of an earlier life are started again
        self._ready.set()

    @classmethod
    def restored(cls, cloud: SageMakerEnvironment, description: Mapping[str, Any], plan: Plan) -> "Endpoint":
        """An endpoint of an earlier life of the local cloud, as Describe… answered then; `recover` starts it."""
        guardrails = Guardrails(description.get("LastDeploymentConfig") or {})
        endpoint = cls(cloud, description["EndpointName"], plan, guardrails)
        endpoint.created, endpoint.modified = description["CreationTime"], description["LastModifiedTime"]
        endpoint.status, endpoint._failure_reason = description["EndpointStatus"], description.get("FailureReason")
        if endpoint.status not in ("Creating", "Failed"):
            endpoint._ready.clear()
        return endpoint

    @property
    def plan(self) -> Plan:
        """What the endpoint serves, or, before it serves anything, what it is to serve."""
        return self._plan

    @property
    def guardrails(self) -> Guardrails:
        """Those of the last deployment, or of the endpoint's creation."""
        return self._guardrails

    def recover(self) -> None:
        """Goes on after the local cloud was killed, and its servers with it.

        What was in service serves again; requests wait for it. A creation starts over. An update that was under way is
        rolled back, wherever its traffic went: the new fleet is gone, that of the configuration in service is started
        again.
        """
        if self.status == "Creating":
            self.create()
        elif not self._ready.is_set():
            threading.Thread(target=self._serve_again, name=f"recover {self.name}", daemon=True).start()

    def _serve_again(self) -> None:
        deployment = Deployment(self._cloud, self.name, self._plan)
        with self._lock:
            self._routing = Routing(deployment)
        failure = self._attempt(deployment.start)
        if self._closing:
            return
        if failure is not None:
            deployment.stop()
        with self._lock:
            if failure is not None:
                self._routing, self._failure_reason = None, failure[:MAX_REASON]
                self._set("Failed")
            elif self.status != "InService":
                self._failure_reason = _INTERRUPTED
                self._set("InService")
        self._ready.set()
        self._notify()

    def create(self) -> None:
        """Starts the first deployment in the background."""
        self._begin("Creating", self._plan, None)

    def check_updatable(self) -> None:
        """Refuses an update while something is going on, and of an endpoint that failed."""
        self._ready.wait(INVOCATION_TIMEOUT_SECONDS)
        with self._lock:
            self._check_settled()
            if self.status == "Failed":
                # EndpointStatus: "DeleteEndpoint is the only operation that can be performed on a failed endpoint"
                raise invalid(f'Cannot update failed endpoint "{self.arn}". Delete it, then create it again.')

    def update(self, plan: Plan, guardrails: Guardrails) -> None:
        """Starts a deployment of another configuration beside the old one, which serves until the guardrails say."""
        self.check_updatable()
        with self._lock:
            self._check_settled()
            self._guardrails = guardrails
            self._begin("Updating", plan, guardrails)

    def update_weights(self, wanted: Sequence[Mapping[str, Any]]) -> None:
        """Starts to change weights and instance counts of the variants in service.

        One process answers for all instances, so this takes no time.
        """
        self.check_updatable()
        with self._lock:
            self._check_settled()
            self._desired = self._plan.changed(wanted)
            self._set("Updating")
        self._notify()
        threading.Thread(target=self._change_weights, name=f"weights of {self.name}", daemon=True).start()

    def _change_weights(self) -> None:
        with self._lock:
            if self._desired is not None and self._routing is not None:
                self._plan = self._routing.current.plan = self._desired
            self._desired, self._failure_reason = None, None
            self._set("InService")
        self._notify()

    def delete(self, removed: Callable[[], object]) -> None:
        """Stops everything in the background, then calls `removed`."""
        self._ready.wait(INVOCATION_TIMEOUT_SECONDS)
        with self._lock:
            self._check_settled()
            self._set("Deleting")
            routing, self._routing = self._routing, None

        def stop() -> None:
            if routing is not None:
                routing.current.stop()
            removed()

        self._notify()
        threading.Thread(target=stop, name=f"delete endpoint {self.name}", daemon=True).start()

    def close(self) -> None:
        """Kills all servers; returns when none is left."""
        with self._lock:
            self._closing = True
            deployments = [self._routing.current] if self._routing is not None else []
            if self._rollout is not None:
                self._rollout.stop()
                deployments.append(self._rollout.deployment)
        for deployment in deployments:
            deployment.stop(kill=True)

    def invoke(
        self, body: bytes, headers: Mapping[str, str], target_variant: str | None, received: float
    ) -> Invocation | None:
        """Asks the server whose turn it is, measures it, and captures and copies the request as configured.

        None when the endpoint serves nothing (yet). `received` is when the request came, by `time.perf_counter`.
        """
        self._ready.wait(INVOCATION_TIMEOUT_SECONDS)
        with self._lock:
            if self.status not in _SERVING or self._routing is None:
                return None
            deployment, server = self._routing.choose(target_variant)
            deployment.requests.begin()  # under the lock: who takes it out of the routing sees all it has to answer
        try:
            done = ask(server, body, headers)
        finally:
            deployment.requests.end()
        instances = deployment.instance_counts
        done.measure(self._cloud, time.perf_counter() - received - done.seconds, instances[server.name])
        if deployment.capture is not None and done.answer is not None:
            deployment.capture.note(server, body, headers, done.answer)
        if deployment.shadow is not None:
            deployment.shadow.send(body, headers, deployment.shadow_share, instances[deployment.shadow.server.name])
        return done

    def describe(self) -> dict[str, Any]:
        """The answer of DescribeEndpoint."""
        with self._lock:
            current = self._routing.current if self._routing is not None else None
            return without_missing({
                "EndpointName": self.name,
                "EndpointArn": self.arn,
                "EndpointConfigName": self._plan.config_name,
                **(current.describe(self._desired) if current is not None else {}),
                "DataCaptureConfig": current.capture.describe() if current is not None and current.capture else None,
                "EndpointStatus": self.status,
                "FailureReason": self._failure_reason,
                "CreationTime": self.created,
                "LastModifiedTime": self.modified,
                "LastDeploymentConfig": dict(self._guardrails.config) or None,
                "PendingDeploymentSummary": self._rollout.describe() if self._rollout is not None else None,
            })  # fmt: skip

    def _begin(self, status: str, plan: Plan, guardrails: Guardrails | None) -> None:
        deployment = Deployment(self._cloud, self.name, plan)
        tell = lambda: notify(self._cloud, _DEPLOYMENT, self.describe())  # noqa: E731
        rollout = Rollout(self._cloud, self.name, deployment, guardrails, self._route, tell)
        with self._lock:
            self._set(status)
            self._failure_reason = None
            self._rollout = rollout
        self._notify()
        threading.Thread(target=self._deploy, args=(rollout,), name=f"deploy {self.name}", daemon=True).start()

    def _route(self, shares: Mapping[str, float]) -> None:
        with self._lock:
            if self._routing is not None and self._rollout is not None:
                self._routing = Routing(self._routing.current, self._rollout.deployment, shares)

    def _attempt(self, step: Callable[[], None]) -> str | None:
        """Takes a step of a deployment; gives the reason where it fails."""
        try:
            step()
        except JobFailedError as error:
            return str(error)
        except Exception as error:
            _LOGGER.exception("The deployment of %s failed inside the local cloud", self.arn)
            return f"We encountered an internal error ({error!r}). Please try again."
        return None

    def _deploy(self, rollout: Rollout) -> None:
        failure = self._attempt(rollout.run)
        if self._closing:
            return
        if failure is not None:
            self._fail(rollout.deployment, failure[:MAX_REASON])
            return
        with self._lock:
            old = self._routing.current if self._routing is not None else None
            self._routing, self._plan = Routing(rollout.deployment), rollout.deployment.plan
            self._rollout, self._failure_reason = None, None
            self._set("InService")
        self._notify()
        if old is not None:
            old.stop()

    def _fail(self, deployment: Deployment, reason: str) -> None:
        """Ends a creation as Failed, an update in service with the configuration it had before, if that still serves.

        All traffic is the old fleet's again at once. The API reference has RollingBack for changes of capacity only;
        users see it after UpdateEndpoint, too (https://github.com/hashicorp/terraform-provider-aws/pull/49020).
        """
        with self._lock:
            old, self._failure_reason = self._routing.current if self._routing is not None else None, reason
            if old is not None:
                self._routing = Routing(old)
                self._set("RollingBack")
        if old is not None:
            self._notify()
        deployment.stop()
        settled = "Failed" if old is None else "InService" if old.serves() else "UpdateRollbackFailed"
        if self._closing:
            return
        with self._lock:
            self._rollout = None
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

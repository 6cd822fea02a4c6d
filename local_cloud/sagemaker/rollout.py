"""One deployment under way: the new fleet starts, takes traffic step by step, bakes while alarms are watched."""

import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from local_cloud.sagemaker.deployment import Deployment
from local_cloud.sagemaker.environment import SageMakerEnvironment
from local_cloud.sagemaker.errors import JobFailedError
from local_cloud.sagemaker.guardrails import Guardrails

Route = Callable[[Mapping[str, float]], None]


class Rollout:
    """Brings a deployment into service. Times are the cloud's, so that who moves its clock need not wait.

    `route` is given the share of each variant's traffic, 0 to 1, that goes to the new deployment from now on; `changed`
    is called at each new stage. Without guardrails (the endpoint's creation) no traffic moves here.
    """

    def __init__(
        self,
        cloud: SageMakerEnvironment,
        endpoint_name: str,
        deployment: Deployment,
        guardrails: Guardrails | None,
        route: Route,
        changed: Callable[[], None],
    ) -> None:
        self._cloud, self._endpoint_name, self.deployment = cloud, endpoint_name, deployment
        self._guardrails, self._route, self._changed = guardrails, route, changed
        self._stopped = False
        self._started = cloud.now()
        self._active = dict.fromkeys(deployment.variant_names, 0)
        self._stage: dict[str, Any] = {"Status": "Creating", "StartTime": self._started}

    def run(self) -> None:
        """Returns when all traffic is the new deployment's for good; raises JobFailedError where it has to go back."""
        begun = time.monotonic()
        self.deployment.start()
        if self._guardrails is None:
            return
        now = self._cloud.waits.now()
        timeout = self._guardrails.timeout_seconds
        # Starting takes this machine's time, baking the cloud's.
        deadline = None if timeout is None else now + timedelta(seconds=timeout - (time.monotonic() - begun))
        steps = self._guardrails.steps(self.deployment.plan.variants)
        for number, active in enumerate(steps):
            last = number == len(steps) - 1
            self._require_quiet()
            self._enter("ActivatingTraffic", f"Turning on traffic on {self._capacity(active, last)}.")
            self._active = dict(active)
            self._route(self._shares())
            waiting = "TerminationWaitInSeconds" if last else "WaitIntervalInSeconds"
            seconds = self._guardrails.termination_seconds if last else self._guardrails.wait_seconds
            if seconds:
                on = self._capacity(active, last)
                self._enter("Baking", f"Baking for {seconds} seconds ({waiting}) with traffic enabled on {on}.")
                now = self._bake(now + timedelta(seconds=seconds), deadline)
        self._require_quiet()

    def stop(self) -> None:
        """Waits no longer; `run` raises."""
        self._stopped = True

    def describe(self) -> dict[str, Any]:
        """`PendingDeploymentSummary` of DescribeEndpoint."""
        status = {"VariantStatus": [dict(self._stage)]}
        production = [
            {**variant, **status, "CurrentInstanceCount": self._active[variant["VariantName"]]}
            for variant in self.deployment.describe_pending()
        ]
        shadows = [{**variant, **status} for variant in self.deployment.describe_pending_shadows()]
        return {
            "EndpointConfigName": self.deployment.plan.config_name,
            "ProductionVariants": production,
            **({"ShadowProductionVariants": shadows} if shadows else {}),
            "StartTime": self._started,
        }

    def _bake(self, until: datetime, deadline: datetime | None) -> datetime:
        """Waits; returns when the next step begins, which is not later because the clock leapt."""
        end = until if deadline is None else min(until, deadline)
        what = {
            "service": "sagemaker",
            "endpoint": self._endpoint_name,
            "endpoint_config": self.deployment.plan.config_name,
            "status": self._stage["Status"],
            "message": self._stage["StatusMessage"],
        }
        reason = self._cloud.waits.until(end, what, self._trouble)
        if reason is None and end < until:
            reason = "it took longer than its MaximumExecutionTimeoutInSeconds"
        if reason is not None:
            raise JobFailedError(self._went_back(reason))
        return until

    def _require_quiet(self) -> None:
        reason = self._trouble()
        if reason is not None:
            raise JobFailedError(self._went_back(reason))

    def _trouble(self) -> str | None:
        """Why the deployment cannot go on."""
        if self._stopped:
            return "the endpoint is being closed"
        alarms = self._guardrails.alarms if self._guardrails is not None else []
        tripped = [name for name in alarms if self._cloud.alarm_state(name) == "ALARM"]
        return f"these CloudWatch alarms are in the state ALARM: {', '.join(tripped)}" if tripped else None

    def _went_back(self, reason: str) -> str:
        # AWS documents FailureReason, not the text for alarms
        stage = self._stage.get("StatusMessage") or "The new fleet took no traffic yet."
        return f"The update to {self.deployment.plan.config_name} was rolled back, since {reason}. {stage}"

    def _enter(self, status: str, message: str) -> None:
        self._stage = {"Status": status, "StatusMessage": message, "StartTime": self._cloud.now()}
        self._changed()

    def _shares(self) -> dict[str, float]:
        counts = self.deployment.instance_counts
        return {name: active / counts[name] for name, active in self._active.items()}

    def _capacity(self, active: Mapping[str, int], last: bool) -> str:
        """In the words of "Events that Amazon SageMaker AI sends to Amazon EventBridge"."""
        canary = self._guardrails is not None and self._guardrails.shifting == "CANARY"
        part = "full" if last else "canary" if canary else "linear step"
        return f"{part} capacity of {sum(active.values())} instance(s)"

"""Deployments: the running servers of one endpoint configuration, a fleet for each of its variants."""

import random
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

from local_cloud.faults import Capacity, words
from local_cloud.faults.base import ENDPOINT
from local_cloud.sagemaker.container_client import INVOCATION_TIMEOUT_SECONDS
from local_cloud.sagemaker.data_capture import DataCapture
from local_cloud.sagemaker.environment import SageMakerEnvironment
from local_cloud.sagemaker.errors import JobFailedError, invalid
from local_cloud.sagemaker.serving import ModelServer
from local_cloud.sagemaker.shadow import Shadow

_generations = count(1)


@dataclass(frozen=True)
class Plan:
    """An endpoint configuration with the models of its variants, as they were when the deployment began.

    Weights and instance counts are the present ones, if they were changed since.
    """

    config_name: str
    variants: Sequence[Mapping[str, Any]]
    models: Mapping[str, Mapping[str, Any]]
    shadows: Sequence[Mapping[str, Any]] = ()
    capture: Mapping[str, Any] | None = None

    def changed(self, wanted: Sequence[Mapping[str, Any]]) -> "Plan":
        """With other weights and instance counts; raises AWS's error for a variant that does not exist."""
        by_name = {one["VariantName"]: one for one in wanted}
        known = {variant["VariantName"] for variant in (*self.variants, *self.shadows)}
        if unknown := sorted(by_name.keys() - known):
            raise invalid(f"The variant(s) {', '.join(unknown)} do not exist in this endpoint: {', '.join(known)} do.")
        variants = [_changed(variant, by_name) for variant in self.variants]
        if sum(weight(variant) for variant in variants) <= 0:
            raise invalid("At least one production variant must have a weight above 0.")
        return replace(self, variants=variants, shadows=[_changed(shadow, by_name) for shadow in self.shadows])


def weight(variant: Mapping[str, Any]) -> float:
    """A variant's weight: "If unspecified, it defaults to 1.0"."""
    return float(variant.get("InitialVariantWeight", 1.0))


def _changed(variant: Mapping[str, Any], wanted: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    one = wanted.get(variant["VariantName"], {})
    members = {"DesiredWeight": "InitialVariantWeight", "DesiredInstanceCount": "InitialInstanceCount"}
    return {**variant, **{ours: one[theirs] for theirs, ours in members.items() if one.get(theirs) is not None}}


class Requests:
    """Those that are under way."""

    def __init__(self) -> None:
        self._number = 0
        self._fewer = threading.Condition()

    def begin(self) -> None:
        """One more."""
        with self._fewer:
            self._number += 1

    def end(self) -> None:
        """One less."""
        with self._fewer:
            self._number -= 1
            self._fewer.notify_all()

    def wait(self, seconds: float) -> None:
        """Return when there is none, or after so many seconds."""
        with self._fewer:
            self._fewer.wait_for(lambda: self._number == 0, seconds)


class Deployment:
    """The running servers of one endpoint configuration. `requests` counts what they have not answered yet."""

    def __init__(self, cloud: SageMakerEnvironment, endpoint_name: str, plan: Plan) -> None:
        self.plan = plan
        self.requests = Requests()
        self._now = cloud.now()
        self._faults, self._endpoint_name = cloud.faults, endpoint_name
        self.capture = DataCapture(cloud, endpoint_name, plan.capture) if plan.capture else None
        place = (
            cloud.state_dir / "sagemaker" / "endpoints" / endpoint_name / f"{next(_generations):06d}-{plan.config_name}"
        )

        def server(variant: Mapping[str, Any]) -> ModelServer:
            model, directory = plan.models[variant["ModelName"]], place / variant["VariantName"]
            return ModelServer(cloud, directory, endpoint_name, plan.config_name, variant, model)

        self.servers = [server(variant) for variant in plan.variants]
        self.shadow = Shadow(cloud, server(plan.shadows[0]), self.capture) if plan.shadows else None

    @property
    def variant_names(self) -> list[str]:
        """The names of the production variants."""
        return [server.name for server in self.servers]

    @property
    def instance_counts(self) -> dict[str, int]:
        """How many instances each variant has, shadows among them."""
        return {
            one["VariantName"]: int(one["InitialInstanceCount"]) for one in (*self.plan.variants, *self.plan.shadows)
        }

    @property
    def shadow_share(self) -> float:
        """The share of the production variant's requests that its shadow gets a copy of: the ratio of their weights."""
        if not self.plan.shadows:
            return 0.0
        production = weight(self.plan.variants[0])
        return min(1.0, weight(self.plan.shadows[0]) / production) if production else 0.0

    def start(self) -> None:
        """Starts all servers; raises JobFailedError when one fails. `stop` it then: the others may run."""
        if self._faults.take(Capacity, ENDPOINT, self._endpoint_name) is not None:
            raise JobFailedError(words.NO_CAPACITY_FOR_ENDPOINT)
        with ThreadPoolExecutor(len(self._all)) as pool:
            for future in [pool.submit(server.start) for server in self._all]:
                future.result()

    def serves(self) -> bool:
        """Whether all servers of production variants are healthy; waits for those that are being started again."""
        with ThreadPoolExecutor(len(self.servers)) as pool:
            return all(pool.map(ModelServer.serves, self.servers))

    def stop(self, kill: bool = False) -> None:
        """Stops all servers, at once or when they have answered what is under way; returns when they have ended."""
        if not kill:
            self.requests.wait(INVOCATION_TIMEOUT_SECONDS)
        if self.shadow is not None:
            self.shadow.close()
        with ThreadPoolExecutor(len(self._all)) as pool:
            list(pool.map(lambda server: server.stop(kill), self._all))
        if self.capture is not None:
            self.capture.close()

    def choose(self, target_variant: str | None) -> ModelServer:
        """The server of the variant asked for, or one at random in proportion to the variants' weights."""
        if target_variant is not None:
            for server in self.servers:
                if server.name == target_variant:
                    return server
            raise invalid(f"Variant {target_variant} not found")
        weights = [weight(variant) for variant in self.plan.variants]
        if sum(weights) <= 0:
            raise invalid("All variants of this endpoint have the weight 0: name one with TargetVariant.")
        return random.choices(self.servers, weights)[0]  # noqa: S311  it spreads load

    def describe(self, desired: Plan | None = None) -> dict[str, Any]:
        """`ProductionVariants` and `ShadowProductionVariants` of DescribeEndpoint; `desired` is what they become."""
        wanted = desired or self.plan
        described = {"ProductionVariants": self._describe(self.plan.variants, wanted.variants)}
        if self.plan.shadows:
            described["ShadowProductionVariants"] = self._describe(self.plan.shadows, wanted.shadows)
        return described

    def describe_pending(self) -> list[dict[str, Any]]:
        """The production variants of `PendingDeploymentSummary`, without their stage."""
        return [self._pending(variant) for variant in self.plan.variants]

    def describe_pending_shadows(self) -> list[dict[str, Any]]:
        """The shadow variants of `PendingDeploymentSummary`, without their stage."""
        return [self._pending(variant) for variant in self.plan.shadows]

    @property
    def _all(self) -> list[ModelServer]:
        return [*self.servers, *([self.shadow.server] if self.shadow is not None else [])]

    def _describe(self, now: Sequence[Mapping[str, Any]], wanted: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        return [
            {
                "VariantName": variant["VariantName"],
                "DeployedImages": self._images(variant),
                "CurrentWeight": weight(variant),
                "DesiredWeight": weight(desired),
                "CurrentInstanceCount": variant["InitialInstanceCount"],
                "DesiredInstanceCount": desired["InitialInstanceCount"],
            }
            for variant, desired in zip(now, wanted, strict=True)
        ]

    def _pending(self, variant: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "VariantName": variant["VariantName"],
            "DeployedImages": self._images(variant),
            "CurrentWeight": weight(variant),
            "DesiredWeight": weight(variant),
            "DesiredInstanceCount": variant["InitialInstanceCount"],
            "InstanceType": variant["InstanceType"],
        }

    def _images(self, variant: Mapping[str, Any]) -> list[dict[str, Any]]:
        image = self.plan.models[variant["ModelName"]]["PrimaryContainer"]["Image"]
        return [{"SpecifiedImage": image, "ResolvedImage": image, "ResolutionTime": self._now}]

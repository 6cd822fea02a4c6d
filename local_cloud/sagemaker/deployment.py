"""Deployments: the running servers of one endpoint configuration, a fleet for each of its variants."""

import random
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from typing import Any

from local_cloud.faults import Capacity, words
from local_cloud.faults.base import ENDPOINT
from local_cloud.sagemaker.environment import SageMakerEnvironment
from local_cloud.sagemaker.errors import JobFailedError, invalid
from local_cloud.sagemaker.serving import ModelServer

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
        self._faults, self._endpoint_name = cloud.faults, endpoint_name
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
        """Starts all servers; raises JobFailedError when one fails. `stop` it then: the others may run."""
        if self._faults.take(Capacity, ENDPOINT, self._endpoint_name) is not None:
            raise JobFailedError(words.NO_CAPACITY_FOR_ENDPOINT)
        with ThreadPoolExecutor(len(self.servers)) as pool:
            for future in [pool.submit(server.start) for server in self.servers]:
                future.result()

    def serves(self) -> bool:
        """Whether all servers are healthy; waits for those that are being started again."""
        with ThreadPoolExecutor(len(self.servers)) as pool:
            return all(pool.map(ModelServer.serves, self.servers))

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
        return [
            {
                "VariantName": variant["VariantName"],
                "DeployedImages": self._images(variant),
                "CurrentWeight": variant.get("InitialVariantWeight", 1.0),
                "DesiredWeight": variant.get("InitialVariantWeight", 1.0),
                "CurrentInstanceCount": variant["InitialInstanceCount"],
                "DesiredInstanceCount": variant["InitialInstanceCount"],
            }
            for variant in self.plan.variants
        ]

    def describe_pending(self) -> dict[str, Any]:
        """`PendingDeploymentSummary` of DescribeEndpoint, while this deployment is under way."""
        variants = [
            {
                "VariantName": variant["VariantName"],
                "DeployedImages": self._images(variant),
                "DesiredWeight": variant.get("InitialVariantWeight", 1.0),
                "DesiredInstanceCount": variant["InitialInstanceCount"],
                "InstanceType": variant["InstanceType"],
                "VariantStatus": [{"Status": "Creating", "StartTime": self._now}],
            }
            for variant in self.plan.variants
        ]
        return {"EndpointConfigName": self.plan.config_name, "ProductionVariants": variants, "StartTime": self._now}

    def _images(self, variant: Mapping[str, Any]) -> list[dict[str, Any]]:
        image = self.plan.models[variant["ModelName"]]["PrimaryContainer"]["Image"]
        return [{"SpecifiedImage": image, "ResolvedImage": image, "ResolutionTime": self._now}]

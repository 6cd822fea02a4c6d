"""Which server answers a request: variants share traffic by weight, and two fleets during an update by capacity."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field

from local_cloud.sagemaker.deployment import Deployment
from local_cloud.sagemaker.serving import ModelServer


@dataclass(frozen=True)
class Routing:
    """The fleet in service and, during an update, the next one with its share of each variant's traffic (0 to 1)."""

    current: Deployment
    coming: Deployment | None = None
    shares: Mapping[str, float] = field(default_factory=dict)

    def choose(self, target_variant: str | None) -> tuple[Deployment, ModelServer]:
        """The server of the variant asked for, or one at random in proportion to the variants' weights."""
        if self.coming is None:
            return self.current, self.current.choose(target_variant)
        if min(self.shares.values()) >= 1.0:
            return self.coming, self.coming.choose(target_variant)
        server = self.current.choose(target_variant)
        if random.random() < self.shares[server.name]:  # noqa: S311  it spreads load
            return self.coming, self.coming.choose(server.name)
        return self.current, server

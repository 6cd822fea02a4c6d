"""What an experiment is to see, and how surely."""

from dataclasses import dataclass
from statistics import NormalDist


@dataclass(frozen=True)
class Plan:
    """What is to be seen: a difference of `effect` (share of the champion's RMSE), with `power`, at `confidence`."""

    effect: float = 0.05
    power: float = 0.8
    confidence: float = 0.95

    @property
    def z(self) -> float:
        """z(1 - alpha / 2) + z(power)."""
        return NormalDist().inv_cdf(1 - (1 - self.confidence) / 2) + NormalDist().inv_cdf(self.power)

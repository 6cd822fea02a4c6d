"""Deployment guardrails: in which steps an update moves traffic to the new fleet, and which alarms take it back.

Developer guide, "Blue/Green Deployments" with "Canary Traffic Shifting", "Linear Traffic Shifting" and "Auto-Rollback
Configuration and Monitoring" (https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails-blue-green.html);
API reference, BlueGreenUpdatePolicy, TrafficRoutingConfig, AutoRollbackConfig.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from local_cloud.sagemaker.errors import invalid

# "Value must be less than or equal to 50% of the variant's total instance count"; LinearStepSize: "10-50%"
_MOST_PERCENT, _LEAST_LINEAR_PERCENT = 50, 10
_SIZES = {"CANARY": "CanarySize", "LINEAR": "LinearStepSize"}


@dataclass(frozen=True)
class Guardrails:
    """A `DeploymentConfig`. Without a policy traffic moves all at once, and nothing bakes."""

    config: Mapping[str, Any] = field(default_factory=dict)

    @property
    def shifting(self) -> str:
        """ALL_AT_ONCE, CANARY or LINEAR."""
        return str(self._routing.get("Type", "ALL_AT_ONCE"))

    @property
    def wait_seconds(self) -> int:
        """How long each step but the last bakes."""
        return int(self._routing.get("WaitIntervalInSeconds", 0))

    @property
    def termination_seconds(self) -> int:
        """How long the last step bakes, before the old fleet goes."""
        return int(self._policy.get("TerminationWaitInSeconds", 0))

    @property
    def timeout_seconds(self) -> int | None:
        """How long the deployment may take."""
        return self._policy.get("MaximumExecutionTimeoutInSeconds")

    @property
    def alarms(self) -> list[str]:
        """Names of the alarms that take the update back."""
        return [alarm["AlarmName"] for alarm in (self.config.get("AutoRollbackConfiguration") or {}).get("Alarms", [])]

    @property
    def _policy(self) -> Mapping[str, Any]:
        return self.config.get("BlueGreenUpdatePolicy") or {}

    @property
    def _routing(self) -> Mapping[str, Any]:
        return self._policy.get("TrafficRoutingConfiguration") or {}

    def steps(self, variants: Sequence[Mapping[str, Any]]) -> list[dict[str, int]]:
        """How many instances of each variant of the new fleet take traffic after each step; after the last one, all."""
        counts = {variant["VariantName"]: int(variant["InitialInstanceCount"]) for variant in variants}
        shifts = {name: self._shifts(count) for name, count in counts.items()}
        longest = max(len(shift) for shift in shifts.values())
        return [{name: shift[min(step, len(shift) - 1)] for name, shift in shifts.items()} for step in range(longest)]

    def _shifts(self, count: int) -> list[int]:
        size = self._routing.get(_SIZES.get(self.shifting, ""))
        if not size:
            return [count]
        value = int(size["Value"])
        if size["Type"] == "CAPACITY_PERCENT":
            value = max(1, count * value // 100)  # instances are whole; not more than was asked for, but one
        return [value, count] if self.shifting == "CANARY" else [*range(value, count, value), count]

    def check(
        self,
        old: Sequence[Mapping[str, Any]],
        new: Sequence[Mapping[str, Any]],
        alarm_state: Callable[[str], str | None],
    ) -> None:
        """Refuses a configuration that cannot be carried out for a change from `old` variants to `new` ones.

        AWS documents what is allowed, not the words in which it refuses what is not.
        """
        if self._policy and {variant["VariantName"] for variant in old} != {variant["VariantName"] for variant in new}:
            # "When doing a blue/green … deployment, your new endpoint configuration must have the same variant name"
            # (https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails-exclusions.html)
            raise invalid(
                "With a BlueGreenUpdatePolicy the new endpoint configuration must have variants of the same names as "
                f"the old one: {_names(new)} instead of {_names(old)}. Leave the policy out to change the variants."
            )
        self._check_sizes(new)
        total = self.wait_seconds * (len(self.steps(new)) - 1) + self.termination_seconds
        if self.timeout_seconds is not None and self.timeout_seconds <= total:
            raise invalid(
                f"MaximumExecutionTimeoutInSeconds ({self.timeout_seconds}) must be larger than the total waiting time "
                f"of WaitIntervalInSeconds and TerminationWaitInSeconds ({total} seconds)."
            )
        if unknown := [name for name in self.alarms if alarm_state(name) is None]:
            raise invalid(
                f"AutoRollbackConfiguration names CloudWatch alarms that do not exist: {', '.join(unknown)}. "
                "Create them in this account and region first."
            )

    def _check_sizes(self, variants: Sequence[Mapping[str, Any]]) -> None:
        wanted = _SIZES.get(self.shifting)
        for kind, member in _SIZES.items():
            if (member in self._routing) != (member == wanted):
                raise invalid(f"{member} must be given for the traffic routing type {kind}, and only for it.")
        if wanted is None:
            return
        least = _LEAST_LINEAR_PERCENT if self.shifting == "LINEAR" else 0
        size = self._routing[wanted]
        for variant in variants:
            count = int(variant["InitialInstanceCount"])
            percent = size["Value"] if size["Type"] == "CAPACITY_PERCENT" else 100 * size["Value"] / count
            if count < 2 or not least <= percent <= _MOST_PERCENT:
                allowed = f"between {least}% and" if least else "at most"
                raise invalid(
                    f"{wanted} must be {allowed} {_MOST_PERCENT}% of the instances of variant "
                    f"{variant['VariantName']}, and at least one of them: {size['Value']} ({size['Type']}) of {count} "
                    "is not. Give the variant two instances or more, or move traffic ALL_AT_ONCE."
                )


def _names(variants: Sequence[Mapping[str, Any]]) -> str:
    return ", ".join(sorted(variant["VariantName"] for variant in variants))

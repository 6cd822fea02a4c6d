"""The experiment in production: a challenger beside the champion, with a share of the traffic or as a shadow."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from cli import registry, rollouts
from cli.application import Application
from cli.errors import CommandError
from cli.registry import APPROVED, ModelVersion
from treering import keys, names
from treering.clock import Deadline
from treering.errors import TreeringError
from treering.steps import experiments
from treering.steps.deployment import Hosting, Trial
from treering.steps.experiments import Ended

_PATIENCE = 2400  # seconds until the endpoint serves the variants asked for; as the template's DeployTimeoutSeconds


@dataclass(frozen=True)
class Experiment:
    """What is on."""

    name: str  # of its endpoint configuration
    trial: Trial
    champion: ModelVersion
    challenger: ModelVersion
    started_at: datetime  # on the cloud's clock
    weights: dict[str, float]  # production variant → weight at present

    @property
    def shadow(self) -> bool:
        """Whether the challenger sees a copy of the traffic and answers nobody."""
        return self.trial.variant == "shadow"

    def share(self, variant: str) -> float:
        """Share of the requests that a variant answers."""
        return self.weights.get(variant, 0.0) / sum(self.weights.values())


def weights(found: Application) -> dict[str, float]:
    """The production variants in service with their weights at present."""
    described = registry.existing(found.cloud.client("sagemaker").describe_endpoint, EndpointName=found.stack.endpoint)
    return {
        variant["VariantName"]: variant["CurrentWeight"]
        for variant in (described or {}).get("ProductionVariants", [])
        if "CurrentWeight" in variant
    }


def on(found: Application) -> Experiment:
    """The experiment that is on. Raises CommandError where none is."""
    experiment = find(found)
    if experiment is None:
        alone = "does not exist." if registry.service(found) is None else "serves the champion alone."
        raise CommandError(
            f"No experiment is on: endpoint {found.stack.endpoint} {alone}",
            hint="`treering experiment start VERSION` begins one.",
        )
    return experiment


def find(found: Application) -> Experiment | None:
    """The same, none where none is on."""
    serving = registry.service(found)
    if serving is None or serving.config is None or serving.package_arn is None:
        return None
    config = _hosting(found).find_config(serving.config["EndpointConfigName"])
    if config is None or config.trial is None:
        return None
    described = found.cloud.client("sagemaker").describe_model(ModelName=config.trial.model_name)
    return Experiment(
        name=serving.config["EndpointConfigName"],
        trial=config.trial,
        champion=_version(found, serving.package_arn),
        challenger=_version(found, described["PrimaryContainer"]["ModelPackageName"]),
        started_at=serving.config["CreationTime"],
        weights=weights(found),
    )


def require_startable(found: Application, version: ModelVersion) -> None:
    """Raises CommandError where the version cannot be tried beside the champion."""
    if version.status != APPROVED:
        raise CommandError(
            f"Version {version.version} is {version.status}, and only an approved version sees people's requests.",
            hint=f"`treering approve {version.version}` approves one that waits; `treering models` shows all.",
        )
    if version.version == registry.in_service(found):
        raise CommandError(
            f"Version {version.version} is the champion, so there is nothing to compare it with.",
            hint="`treering models` shows the other versions.",
        )
    rollouts.require_none(found)
    with explained():
        experiments.champion_alone(_hosting(found), found.stack.endpoint, Deadline.after(_PATIENCE))


def start(found: Application, version: ModelVersion, weight: float | None) -> Experiment:
    """Put a version beside the champion, with a share of the traffic or, without one, as a shadow. Raises CommandError.

    A shadow sees all requests, so it gets as many instances as the champion; a share of them, its share.
    """
    require_startable(found, version)
    hosting, endpoint, deadline = _hosting(found), found.stack.endpoint, Deadline.after(_PATIENCE)
    with explained():
        instances = experiments.in_service(hosting, endpoint, deadline).instance_count
        name = f"{endpoint}-experiment-{names.run_id(version.arn, found.cloud.now())}"
        trial = Trial(
            variant="shadow" if weight is None else "challenger",
            model_name=name,
            instance_count=math.ceil(instances * (1.0 if weight is None else weight)),
            weight=1.0 if weight is None else weight,
            capture_uri=keys.uri(found.stack.bucket, f"{keys.CAPTURES}{name}"),
        )
        experiments.begin(hosting, endpoint, version.arn, trial, deadline)
    return on(found)


def end(found: Application) -> Ended | None:
    """Back to the champion alone; none where it is alone. Raises CommandError."""
    with explained():
        return experiments.end(_hosting(found), found.stack.endpoint, Deadline.after(_PATIENCE))


@contextmanager
def explained() -> Iterator[None]:
    """The application's errors as the command's."""
    try:
        yield
    except TreeringError as error:
        raise CommandError(str(error), hint="`treering status` shows the endpoint.") from error


def _hosting(found: Application) -> Hosting:
    from treering.aws.sagemaker import SageMakerHosting  # here, since boto3 takes half a second

    return SageMakerHosting(found.cloud.client("sagemaker"))


def _version(found: Application, arn: str) -> ModelVersion:
    return registry.version(found.cloud.client("sagemaker").describe_model_package(ModelPackageName=arn))

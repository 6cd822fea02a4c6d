"""Begins and ends an experiment: a second model beside the one in service.

The champion stays the variant `main`. What was made for the experiment, a model and an endpoint configuration of the
same name, goes when it ends; the endpoint then serves the champion with the configuration that it had before.
"""

import logging
from dataclasses import dataclass, replace

from treering.clock import Deadline
from treering.errors import EndpointError
from treering.steps.deployment import (
    ConfigSpec,
    Deployment,
    Hosting,
    ModelSpec,
    Trial,
    require_success,
    settled,
)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Ended:
    """An experiment that is over: its configuration's name, and the champion's, which serves alone again."""

    config_name: str
    champion_config_name: str


def begin(hosting: Hosting, endpoint: str, package_arn: str, trial: Trial, deadline: Deadline) -> ConfigSpec:
    """Put the model package beside the champion; gives the configuration in service.

    `trial.model_name` also names the configuration. Raises EndpointError where the endpoint is not in service, where an
    experiment is on already, and where the endpoint did not come into service with both; it serves as before then.
    """
    champion = champion_alone(hosting, endpoint, deadline)
    served = hosting.find_model(champion.model_name)
    if served is None:
        raise EndpointError(f"The model {champion.model_name} that endpoint {endpoint} serves does not exist any more.")
    config = replace(champion, name=trial.model_name, trial=trial)
    Deployment(
        hosting,
        endpoint_name=endpoint,
        model=ModelSpec(trial.model_name, package_arn, served.role_arn),
        config=config,
        guardrails=None,
        tags={"treering:experiment": trial.model_name},
        deadline=deadline,
    ).run()
    return config


def end(hosting: Hosting, endpoint: str, deadline: Deadline) -> Ended | None:
    """Leave the champion alone behind the endpoint; none where it is, or where there is no endpoint in service.

    Raises EndpointError where the endpoint did not come into service with the champion alone.
    """
    before = settled(hosting, endpoint, deadline)
    if before is None or before.status != "InService":
        return None
    config = hosting.find_config(before.config_name)
    if config is None or config.trial is None:
        return None
    # `deploy_endpoint` gives a model and its configuration one name, so this is the one before the experiment
    alone = hosting.find_config(config.model_name)
    if alone is None:
        alone = replace(config, name=config.model_name, trial=None)
        hosting.create_config(alone, {})
    log.info("Ending the experiment %s: endpoint %s goes back to %s", config.name, endpoint, alone.name)
    hosting.update_endpoint(endpoint, alone.name, None)
    require_success(endpoint, alone.name, settled(hosting, endpoint, deadline), before)
    hosting.delete_config(config.name)
    if config.trial.model_name == config.name and hosting.find_model(config.name) is not None:
        hosting.delete_model(config.name)
    return Ended(config.name, alone.name)


def champion_alone(hosting: Hosting, endpoint: str, deadline: Deadline) -> ConfigSpec:
    """The configuration in service. Raises EndpointError where there is none, or an experiment is on already."""
    champion = in_service(hosting, endpoint, deadline)
    if champion.trial is not None:
        raise EndpointError(
            f"Endpoint {endpoint} has an experiment already: {champion.name}, with the variant "
            f"{champion.trial.variant}. Promote or drop it first."
        )
    return champion


def in_service(hosting: Hosting, endpoint: str, deadline: Deadline) -> ConfigSpec:
    """The configuration that the endpoint serves. Raises EndpointError where it serves none."""
    state = settled(hosting, endpoint, deadline)
    if state is None or state.status != "InService":
        is_what = "does not exist" if state is None else f"is {state.status}"
        raise EndpointError(f"Endpoint {endpoint} {is_what}, so there is no champion to compare with.")
    config = hosting.find_config(state.config_name)
    if config is None:
        raise EndpointError(f"The configuration {state.config_name} of endpoint {endpoint} does not exist any more.")
    return config

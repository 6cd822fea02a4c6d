"""An experiment begins beside the champion and ends with it alone."""

from datetime import UTC, datetime

import pytest

from tests.fakes.sagemaker_hosting import FakeHosting
from treering.clock import Clock, Deadline
from treering.errors import EndpointError
from treering.steps import experiments
from treering.steps.deployment import ConfigSpec, EndpointState, ModelSpec, Trial
from treering.steps.experiments import Ended

ENDPOINT, CHAMPION, NAME = "treering-dev", "treering-dev-deploy-1", "treering-dev-experiment-1"
PACKAGE = "arn:aws:sagemaker:us-east-1:123456789012:model-package/treering-dev/7"
TRIAL = Trial("challenger", NAME, 1, 0.1, "s3://bucket/captures/x")


@pytest.fixture
def hosting():
    """The champion in service."""
    found = FakeHosting()
    found.models[CHAMPION] = ModelSpec(CHAMPION, "arn:package/6", "role")
    found.configs[CHAMPION] = ConfigSpec(CHAMPION, CHAMPION, "ml.t2.medium", 2)
    found.endpoints[ENDPOINT] = EndpointState("InService", CHAMPION)
    return found


@pytest.fixture
def deadline():
    """Ten minutes that pass as soon as somebody sleeps."""
    passed = [0.0]

    def sleep(seconds):
        passed[0] += seconds

    return Deadline.after(600, Clock(lambda: datetime.now(UTC), lambda: passed[0], sleep, lambda: 0.5))


def test_the_champion_stays_the_main_variant(hosting, deadline):
    """The challenger's model has the champion's role; the update has no guardrails, since the variants change."""
    begun = experiments.begin(hosting, ENDPOINT, PACKAGE, TRIAL, deadline)

    assert begun == ConfigSpec(NAME, CHAMPION, "ml.t2.medium", 2, TRIAL)
    assert hosting.configs[NAME] == begun
    assert hosting.models[NAME] == ModelSpec(NAME, PACKAGE, "role")
    assert hosting.endpoints[ENDPOINT] == EndpointState("InService", NAME)
    assert hosting.guardrails is None


def test_two_experiments_at_a_time_are_refused(hosting, deadline):
    """The message names the one that is on."""
    experiments.begin(hosting, ENDPOINT, PACKAGE, TRIAL, deadline)

    with pytest.raises(EndpointError, match=f"has an experiment already: {NAME}"):
        experiments.begin(hosting, ENDPOINT, PACKAGE, TRIAL, deadline)


@pytest.mark.parametrize("state", [None, EndpointState("Failed", CHAMPION, "no capacity")])
def test_without_a_champion_there_is_no_experiment(hosting, deadline, state):
    """No endpoint, or one that is not in service: nothing is made."""
    hosting.endpoints = {ENDPOINT: state} if state else {}

    with pytest.raises(EndpointError, match="no champion"):
        experiments.begin(hosting, ENDPOINT, PACKAGE, TRIAL, deadline)
    assert hosting.calls == []


def test_a_challenger_that_does_not_come_into_service_leaves_nothing(hosting, deadline):
    """The champion serves on; what was made for the experiment is gone, the reason is SageMaker's."""
    hosting.failing = "did not pass the ping health check"

    with pytest.raises(EndpointError, match="ping health check"):
        experiments.begin(hosting, ENDPOINT, PACKAGE, TRIAL, deadline)
    assert hosting.endpoints[ENDPOINT].config_name == CHAMPION
    assert set(hosting.models) == set(hosting.configs) == {CHAMPION}


def test_the_end_brings_back_the_champion_s_own_configuration(hosting, deadline):
    """The challenger's model and configuration go, the champion's stay."""
    experiments.begin(hosting, ENDPOINT, PACKAGE, TRIAL, deadline)

    ended = experiments.end(hosting, ENDPOINT, deadline)

    assert ended == Ended(NAME, CHAMPION)
    assert hosting.endpoints[ENDPOINT] == EndpointState("InService", CHAMPION)
    assert set(hosting.models) == set(hosting.configs) == {CHAMPION}


def test_the_champion_s_configuration_is_made_again_where_it_was_deleted(hosting, deadline):
    """The same name, model and instances, without the challenger."""
    experiments.begin(hosting, ENDPOINT, PACKAGE, TRIAL, deadline)
    wanted = hosting.configs.pop(CHAMPION)

    experiments.end(hosting, ENDPOINT, deadline)

    assert hosting.configs == {CHAMPION: wanted}


def test_an_end_that_fails_keeps_both_models(hosting, deadline):
    """An update that is rolled back leaves the experiment on, with all that it needs."""
    experiments.begin(hosting, ENDPOINT, PACKAGE, TRIAL, deadline)
    hosting.failing = "no capacity"

    with pytest.raises(EndpointError, match="no capacity"):
        experiments.end(hosting, ENDPOINT, deadline)
    assert hosting.endpoints[ENDPOINT].config_name == NAME
    assert set(hosting.models) == set(hosting.configs) == {CHAMPION, NAME}


def test_there_is_nothing_to_end_without_an_experiment(hosting, deadline):
    """The champion alone, or no endpoint at all: nothing is touched."""
    assert experiments.end(hosting, ENDPOINT, deadline) is None
    assert experiments.end(hosting, "another", deadline) is None

    assert hosting.calls == []

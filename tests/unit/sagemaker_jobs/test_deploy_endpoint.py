"""Deploy endpoint: succeeds only if the endpoint is in service with the new configuration."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest

from sagemaker_jobs import runner
from sagemaker_jobs.deploy_endpoint.job import work
from sagemaker_jobs.runner import Job
from tests.fakes.sagemaker_hosting import FakeHosting
from treering.clock import Clock
from treering.contracts import DeployEndpointResult
from treering.errors import ConfigurationError, EndpointError
from treering.steps.deployment import LONGEST_WAIT, ConfigSpec, EndpointState, Guardrails, ModelSpec, Trial

ENDPOINT = "treering-dev-house-prices"
NEW, OLD = "treering-dev-20240108-060000-0a1b2c3d-0", "treering-dev-20240101-060000-0a1b2c3d-0"
ENVIRONMENT = {
    "TREERING_RUN_ID": "20240108-060000-0a1b2c3d",
    "TREERING_DATASET_VERSION": "0123456789abcdef",
    "ENDPOINT_NAME": ENDPOINT,
    "MODEL_NAME": NEW,
    "MODEL_DATA_URL": "s3://bucket/runs/20240108-060000-0a1b2c3d/train/job/output/model.tar.gz",
    "MODEL_PACKAGE_ARN": "arn:aws:sagemaker:us-east-1:123456789012:model-package/treering-dev/7",
    "MODEL_ROLE_ARN": "arn:aws:iam::123456789012:role/treering-dev-endpoint",
    "ENDPOINT_INSTANCE_TYPE": "ml.t2.medium",
    "ENDPOINT_INSTANCE_COUNT": "1",
    "DEPLOY_TIMEOUT_SECONDS": "600",
    "KEEP_MODELS": "3",
    "TRAFFIC_SHIFTING": "CANARY",
    "TRAFFIC_STEP_PERCENT": "50",
    "TRAFFIC_WAIT_SECONDS": "300",
    "ROLLBACK_ALARMS": "errors,latency",
}


@dataclass
class FakeTime:
    """A clock that moves when somebody sleeps."""

    seconds: float = 0.0
    sleeps: list[float] = field(default_factory=list)

    def clock(self) -> Clock:
        """The clock that a job gets."""
        start = datetime(2024, 1, 8, 6, tzinfo=UTC)
        return Clock(lambda: start + timedelta(seconds=self.seconds), lambda: self.seconds, self.sleep, lambda: 0.5)

    def sleep(self, seconds: float) -> None:
        """Let the time pass at once."""
        self.sleeps.append(seconds)
        self.seconds += seconds


@pytest.fixture
def time():
    """Time without waiting."""
    return FakeTime()


@pytest.fixture
def hosting():
    """SageMaker in memory."""
    return FakeHosting()


@pytest.fixture
def job(tmp_path, time):
    """A job with everything it needs."""
    return Job(tmp_path, ENVIRONMENT, time.clock())


def result_of(job):
    """What the job wrote."""
    return DeployEndpointResult.model_validate_json((job.output / "result.json").read_text())


def serve_old(hosting, status="InService", reason=""):
    """Last week's endpoint."""
    hosting.models[OLD] = ModelSpec(OLD, "arn:package/6", "role")
    hosting.configs[OLD] = ConfigSpec(OLD, OLD, "ml.t2.medium", 1)
    hosting.endpoints[ENDPOINT] = EndpointState(status, OLD, reason)


def test_first_week_creates_everything(job, hosting):
    """Without an endpoint: model, configuration, endpoint; the result says what serves."""
    message = work(job, hosting)
    result = result_of(job)

    assert hosting.calls == ["create_model", "create_config", "create_endpoint"]
    assert hosting.endpoints[ENDPOINT] == EndpointState("InService", NEW)
    assert (result.action, result.previous_endpoint_config_name) == ("created", None)
    assert (result.endpoint_name, result.endpoint_config_name) == (ENDPOINT, NEW)
    assert result.run_id == ENVIRONMENT["TREERING_RUN_ID"]
    assert "in service" in message


def test_model_and_configuration_are_as_asked(job, hosting):
    """The model is that of the model package under the endpoint's role; tags say which run it is of."""
    work(job, hosting)

    assert hosting.models[NEW].package_arn == ENVIRONMENT["MODEL_PACKAGE_ARN"]
    assert hosting.models[NEW].role_arn == ENVIRONMENT["MODEL_ROLE_ARN"]
    assert hosting.configs[NEW] == ConfigSpec(NEW, NEW, "ml.t2.medium", 1)
    assert hosting.tags[NEW]["treering:run"] == ENVIRONMENT["TREERING_RUN_ID"]


def test_second_week_updates_the_same_endpoint(job, hosting):
    """There is one endpoint: a later week updates it, and last week's model stays."""
    serve_old(hosting)
    work(job, hosting)

    assert hosting.calls == ["create_model", "create_config", "update_endpoint"]
    assert hosting.endpoints == {ENDPOINT: EndpointState("InService", NEW)}
    assert result_of(job).action == "updated"
    assert result_of(job).previous_endpoint_config_name == OLD
    assert OLD in hosting.models


def test_rolled_back_update_is_a_failure(job, hosting):
    """InService with the old configuration is no success; the reason is told, and what never served is removed."""
    serve_old(hosting)
    hosting.failing = "The container did not pass the ping health check."

    with pytest.raises(EndpointError, match=r"rolled back, it serves .*20240101.*ping health check"):
        work(job, hosting)
    assert hosting.endpoints[ENDPOINT].config_name == OLD
    assert NEW not in hosting.models
    assert NEW not in hosting.configs
    assert OLD in hosting.models
    assert not (job.output / "result.json").exists()


def test_failed_endpoint_is_recreated(job, hosting):
    """A Failed endpoint can only be deleted, so it is, and made anew."""
    serve_old(hosting, "Failed", "no capacity")
    work(job, hosting)

    assert hosting.calls == ["create_model", "create_config", "delete_endpoint", "create_endpoint"]
    assert hosting.endpoints[ENDPOINT] == EndpointState("InService", NEW)
    assert result_of(job).action == "recreated"


def test_endpoint_that_fails_to_come_up_is_a_failure(job, hosting):
    """A creation that ends Failed gives SageMaker's reason; model and configuration are removed."""
    hosting.failing = "Unable to locate at least 1 availability zone"

    with pytest.raises(EndpointError, match=r"is Failed .*availability zone.*/aws/sagemaker/Endpoints/"):
        work(job, hosting)
    assert not hosting.models
    assert not hosting.configs


def test_the_week_after_a_failed_creation_recovers(job, hosting):
    """The next attempt, under another name, puts the endpoint into service."""
    hosting.failing = "no capacity"
    with pytest.raises(EndpointError):
        work(job, hosting)
    hosting.failing = ""
    work(replace(job, environ={**ENVIRONMENT, "MODEL_NAME": NEW[:-1] + "1"}), hosting)

    assert hosting.endpoints[ENDPOINT] == EndpointState("InService", NEW[:-1] + "1")


@pytest.mark.parametrize("status", ["Creating", "Updating", "RollingBack", "SystemUpdating"])
def test_endpoint_in_transition_is_waited_for(job, hosting, status):
    """What is under way when the job starts ends first; only then the endpoint is updated."""
    serve_old(hosting)
    hosting.begin(ENDPOINT, EndpointState(status, OLD), EndpointState("InService", OLD))
    work(job, hosting)

    assert hosting.endpoints[ENDPOINT] == EndpointState("InService", NEW)
    assert result_of(job).action == "updated"


def test_endpoint_being_deleted_is_created_again(job, hosting):
    """An endpoint on its way out is waited for, then there is none."""
    serve_old(hosting)
    hosting.delete_endpoint(ENDPOINT)
    work(job, hosting)

    assert result_of(job).action == "created"


def test_trying_again_after_success_changes_nothing(job, hosting):
    """A job that is started again with the same names finds its work done."""
    work(job, hosting)
    hosting.calls.clear()
    work(job, hosting)

    assert hosting.calls == []
    assert result_of(job).action == "unchanged"


@pytest.mark.parametrize("done", [1, 2])
def test_trying_again_after_a_crash_goes_on(job, hosting, done):
    """What an earlier attempt made under the same names is used as it is."""
    work(job, hosting)
    model, config = hosting.models[NEW], hosting.configs[NEW]
    again = FakeHosting()
    again.models = {NEW: model}
    again.configs = {NEW: config} if done == 2 else {}
    work(job, again)

    assert again.calls == ["create_model", "create_config", "create_endpoint"][done:]


def test_retry_while_its_own_creation_is_under_way(job, hosting):
    """A second attempt waits for the endpoint that the first one started."""
    work(job, hosting)
    hosting.calls.clear()
    hosting.begin(ENDPOINT, EndpointState("Creating", NEW), EndpointState("InService", NEW))
    work(job, hosting)

    assert hosting.calls == []
    assert result_of(job).action == "unchanged"


def test_same_name_for_something_else_is_refused(job, hosting):
    """A model of the same name that is another one is neither used nor removed."""
    hosting.models[NEW] = ModelSpec(NEW, "arn:package/5", "role")

    with pytest.raises(EndpointError, match=r"another model .*package/5"):
        work(job, hosting)
    assert hosting.models[NEW].package_arn == "arn:package/5"
    assert hosting.endpoints == {}


def test_deadline_ends_the_wait(job, hosting, time):
    """An endpoint that does not settle ends the job at the deadline, and nothing that it may still use is removed."""
    hosting.never_settles = True

    with pytest.raises(EndpointError, match=r"still Creating at the deadline.*DeployTimeoutSeconds"):
        work(job, hosting)
    assert time.seconds == pytest.approx(600)
    assert NEW in hosting.configs
    assert NEW in hosting.models


def test_waits_grow_from_short_to_long(job, hosting, time):
    """The first looks are close together, so that a quick endpoint is not waited for; the later ones are not."""
    hosting.never_settles = True
    with pytest.raises(EndpointError):
        work(job, hosting)

    assert time.sleeps[0] <= 0.5
    assert max(time.sleeps) == LONGEST_WAIT
    assert time.sleeps[:-1] == sorted(time.sleeps[:-1])


def test_busy_moments_are_sat_out(job, hosting):
    """A look that fails for the moment is no failed deployment."""
    hosting.hiccups = 3
    work(job, hosting)

    assert hosting.endpoints[ENDPOINT] == EndpointState("InService", NEW)


def test_stop_cleans_up(job, hosting, time):
    """A job that is stopped before the endpoint was touched removes what it had created."""

    def stop(*_):
        raise runner.StoppedError("stopped")

    serve_old(hosting)
    hosting.update_endpoint = stop
    with pytest.raises(runner.StoppedError):
        work(job, hosting)

    assert NEW not in hosting.models
    assert NEW not in hosting.configs


def test_failed_clean_up_does_not_hide_the_reason(job, hosting):
    """Where even the removal fails, the reason of the failure is still what is told."""

    def refuse(*_):
        raise ConfigurationError("Could not delete the configuration: not allowed.")

    hosting.failing = "no capacity"
    hosting.delete_config = refuse

    with pytest.raises(EndpointError, match="no capacity"):
        work(job, hosting)


def test_missing_and_wrong_variables_are_named_at_once(job, hosting):
    """All that is missing or wrong stands in one error."""
    environ = {**ENVIRONMENT, "ENDPOINT_INSTANCE_COUNT": "0", "MODEL_DATA_URL": "https://x"}
    del environ["MODEL_NAME"]

    with pytest.raises(ConfigurationError) as error:
        work(replace(job, environ=environ), hosting)
    assert all(name in str(error.value) for name in ("MODEL_NAME", "ENDPOINT_INSTANCE_COUNT", "MODEL_DATA_URL"))


def test_failure_is_told_to_a_person(job, hosting):
    """The exit message is one sentence with the error's name."""
    hosting.failing = "no capacity"

    assert runner.run(lambda j: work(j, hosting), job) == 1
    told = (job.root / "output/message").read_text()
    assert told.startswith("EndpointError: Endpoint treering-dev-house-prices is Failed")


def test_traffic_moves_as_the_settings_say(job, hosting):
    """Kind of shifting, size of a step, waits, and the alarms that roll back."""
    serve_old(hosting)
    work(job, hosting)

    assert hosting.guardrails == Guardrails("CANARY", 50, 300, ("errors", "latency"), instances=1, start_seconds=600)


@pytest.mark.parametrize(
    ("shifting", "percent", "instances", "waits"),
    [
        ("ALL_AT_ONCE", 50, 4, 1),
        ("CANARY", 10, 4, 2),
        ("LINEAR", 50, 2, 2),
        ("LINEAR", 10, 10, 10),
        ("LINEAR", 50, 3, 3),  # half of three is one
        ("LINEAR", 40, 10, 3),
    ],
)
def test_the_waits_of_an_update_come_on_top_of_its_deadline(job, hosting, time, shifting, percent, instances, waits):
    """SageMaker and the job wait for the new instances, and besides for as long as the alarms watch each step."""
    serve_old(hosting)
    hosting.never_settles = True
    environ = {
        **ENVIRONMENT,
        "TRAFFIC_SHIFTING": shifting,
        "TRAFFIC_STEP_PERCENT": str(percent),
        "ENDPOINT_INSTANCE_COUNT": str(instances),
    }
    with pytest.raises(EndpointError, match="still Updating at the deadline"):
        work(replace(job, environ=environ), hosting)

    assert time.seconds == pytest.approx(600 + waits * 300)
    assert hosting.guardrails.longest_seconds == 600 + waits * 300


def test_sagemaker_s_limits_of_an_update_s_time_are_kept():
    """From 600 seconds to eight hours, however quick or slow an update is to be."""
    least = Guardrails("ALL_AT_ONCE", 50, 0, (), instances=1, start_seconds=30)
    most = Guardrails("LINEAR", 10, 3600, (), instances=10, start_seconds=3600)

    assert (least.longest_seconds, most.longest_seconds) == (600, 28_800)


def test_without_alarms_there_is_nothing_to_roll_back_for(job, hosting):
    """As for staging."""
    serve_old(hosting)
    work(Job(job.root, {**ENVIRONMENT, "ROLLBACK_ALARMS": ""}, job.clock), hosting)

    assert hosting.guardrails.alarms == ()


def weeks(hosting, *days):
    """Models and configurations of earlier weeks, oldest first."""
    names = [f"treering-dev-202312{day:02}-060000-0a1b2c3d-0" for day in days]
    for name in names:
        hosting.models[name] = ModelSpec(name, "arn:package/1", "role")
        hosting.configs[name] = ConfigSpec(name, name, "ml.t2.medium", 1)
    return names


def test_old_models_and_configurations_are_removed(job, hosting):
    """The newest ones stay, as many as are kept; the result names what went."""
    old = weeks(hosting, 1, 4, 11, 18)
    serve_old(hosting)
    hosting.models["treering-dev-staging-20231204-060000-0a1b2c3d-0"] = ModelSpec("x", "arn:package/1", "role")
    work(job, hosting)

    assert set(hosting.configs) == {NEW, OLD, old[3]}
    assert set(hosting.models) == {NEW, OLD, old[3], "treering-dev-staging-20231204-060000-0a1b2c3d-0"}
    assert result_of(job).removed == tuple(old[:3])


def test_what_cannot_be_removed_does_not_fail_the_deployment(job, hosting, monkeypatch):
    """The endpoint is in service; the next deployment removes it."""
    weeks(hosting, 1, 4, 11, 18)
    serve_old(hosting)

    def refuse(_name):
        raise ConfigurationError("not allowed")

    monkeypatch.setattr(hosting, "delete_config", refuse)
    message = work(job, hosting)

    assert "in service" in message
    assert result_of(job).removed == ()


def test_a_failed_deployment_removes_nothing_old(job, hosting):
    """The older ones may be needed to go back."""
    old = weeks(hosting, 1, 4, 11, 18)
    serve_old(hosting)
    hosting.failing = "no capacity"
    with pytest.raises(EndpointError):
        work(job, hosting)

    assert set(old) < set(hosting.configs)


def test_a_deployment_ends_an_experiment_first(job, hosting):
    """The champion it compared with goes: the champion serves alone for a moment, so that the guardrails hold."""
    serve_old(hosting)
    trial = Trial("challenger", "experiment", 1, 0.1, "s3://bucket/captures/x")
    hosting.models["experiment"] = ModelSpec("experiment", "arn:package/5", "role")
    hosting.configs["experiment"] = ConfigSpec("experiment", OLD, "ml.t2.medium", 1, trial)
    hosting.endpoints[ENDPOINT] = EndpointState("InService", "experiment")

    message = work(job, hosting)

    result = result_of(job)
    assert hosting.calls == [
        "update_endpoint",
        "delete_config",
        "delete_model",
        "create_model",
        "create_config",
        "update_endpoint",
    ]
    assert hosting.guardrails is not None
    assert (result.ended_experiment, result.previous_endpoint_config_name) == ("experiment", OLD)
    assert "The experiment experiment has ended" in message

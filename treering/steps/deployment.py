"""Puts a model into service behind the one endpoint, and says so only when it is.

UpdateEndpoint answers at once and works on for minutes, and an update that failed ends in status InService too, with
the old configuration. So success is: InService **and** the configuration asked for.
"""

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from treering.clock import Deadline
from treering.errors import EndpointError, TransientError

log = logging.getLogger(__name__)

# EndpointStatus, DescribeEndpoint API reference. The others are settled: InService, OutOfService, Failed,
# UpdateRollbackFailed.
IN_TRANSITION = frozenset({"Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting"})
FIRST_WAIT, LONGEST_WAIT, GROWTH = 0.2, 15.0, 1.5  # seconds between two looks at the endpoint, and their growth


@dataclass(frozen=True)
class ModelSpec:
    """A SageMaker model: the model package that gives image and artefact, and the role of its container."""

    name: str
    package_arn: str
    role_arn: str


@dataclass(frozen=True)
class Trial:
    """A second model beside the one in service: with a share of the traffic, or as a shadow that answers nobody."""

    variant: Literal["challenger", "shadow"]
    model_name: str
    instance_count: int
    weight: float  # share of the requests that it answers; a shadow sees a copy of each, 1
    capture_uri: str  # S3 prefix below which SageMaker writes requests and answers of both


@dataclass(frozen=True)
class ConfigSpec:
    """A SageMaker endpoint configuration: the variant `main`, whose name stays for ever, alone but for a trial."""

    name: str
    model_name: str
    instance_type: str
    instance_count: int
    trial: Trial | None = None


@dataclass(frozen=True)
class Guardrails:
    """How an update moves traffic to the new model, and the alarms that roll it back.

    `shifting` is ALL_AT_ONCE, CANARY or LINEAR. CANARY moves `step_percent` of the instances, watches for
    `wait_seconds`, then moves the rest; LINEAR moves that share again and again. After the last step the old instances
    stay for `wait_seconds`, too (API reference, BlueGreenUpdatePolicy). No alarms: no roll-back but for health.
    """

    shifting: str
    step_percent: int
    wait_seconds: int
    alarms: tuple[str, ...]
    instances: int  # of the new fleet
    start_seconds: int  # that it has to come into service; the waits come on top

    @property
    def bake_seconds(self) -> int:
        """How long the alarms watch, all steps together.

        Instances are whole, so a step may be smaller than `step_percent`, and there may be more of them.
        """
        step = max(1, self.instances * self.step_percent // 100)
        steps = {"ALL_AT_ONCE": 1, "CANARY": 2}.get(self.shifting) or math.ceil(self.instances / step)
        return steps * self.wait_seconds

    @property
    def longest_seconds(self) -> int:
        """How long SageMaker may take: 600 to 28,800, more than all waits (API reference, BlueGreenUpdatePolicy)."""
        return min(28_800, max(600, self.start_seconds + self.bake_seconds))


@dataclass(frozen=True)
class EndpointState:
    """What DescribeEndpoint says."""

    status: str
    config_name: str
    failure_reason: str = ""


class Hosting(Protocol):
    """What `treering.aws.sagemaker.SageMakerHosting` does. `find_…` gives none for what is not there."""

    def find_model(self, name: str) -> ModelSpec | None: ...  # noqa: D102
    def create_model(self, model: ModelSpec, tags: Mapping[str, str]) -> None: ...  # noqa: D102
    def delete_model(self, name: str) -> None: ...  # noqa: D102
    def find_config(self, name: str) -> ConfigSpec | None: ...  # noqa: D102
    def create_config(self, config: ConfigSpec, tags: Mapping[str, str]) -> None: ...  # noqa: D102
    def delete_config(self, name: str) -> None: ...  # noqa: D102
    def find_endpoint(self, name: str) -> EndpointState | None: ...  # noqa: D102
    def create_endpoint(self, name: str, config_name: str, tags: Mapping[str, str]) -> None: ...  # noqa: D102
    def update_endpoint(self, name: str, config_name: str, guardrails: Guardrails | None) -> None: ...  # noqa: D102
    def delete_endpoint(self, name: str) -> None: ...  # noqa: D102
    def models_of(self, config_name: str) -> list[str]: ...  # noqa: D102
    def model_names(self, prefix: str) -> list[str]: ...  # noqa: D102
    def config_names(self, prefix: str) -> list[str]: ...  # noqa: D102


@dataclass(frozen=True)
class Deployed:
    """What was done (created, updated, recreated, unchanged), and the configuration that served before, if any."""

    action: str
    previous_config_name: str | None


class Deployment:
    """One attempt to put `model` with `config` into service as `endpoint_name`.

    May be tried again with the same names: what is there already and the same is used as it is. The waits of the
    guardrails come on top of the deadline.
    """

    def __init__(
        self,
        hosting: Hosting,
        *,
        endpoint_name: str,
        model: ModelSpec,
        config: ConfigSpec,
        guardrails: Guardrails | None,
        tags: Mapping[str, str],
        deadline: Deadline,
    ) -> None:
        self._hosting = hosting
        self._endpoint = endpoint_name
        self._model = model
        self._config = config
        self._guardrails = guardrails
        self._tags = tags
        self._deadline = deadline

    def run(self) -> Deployed:
        """Deploy and wait. Raises EndpointError with SageMaker's reason if the endpoint does not serve the new model.

        After a failure, model and configuration are removed again, unless the endpoint still works with them.
        """
        try:
            found = settled(self._hosting, self._endpoint, self._deadline)
            if found and found.status == "InService" and found.config_name == self._config.name:
                log.info("Endpoint %s already serves %s", self._endpoint, self._config.name)
                return Deployed("unchanged", found.config_name)
            self._ensure_model()
            self._ensure_config()
            action = self._start(found)
            now = settled(self._hosting, self._endpoint, self._deadline)
            require_success(self._endpoint, self._config.name, now, found)
        except BaseException:  # also when the job is stopped
            self._clean_up()
            raise
        previous = found.config_name if found and found.status != "Failed" else None
        return Deployed(action, previous)

    def _ensure_model(self) -> None:
        existing = self._hosting.find_model(self._model.name)
        if existing is None:
            log.info("Creating model %s from %s", self._model.name, self._model.package_arn)
            self._hosting.create_model(self._model, self._tags)
        elif existing != self._model:
            raise _other("model", existing, self._model)

    def _ensure_config(self) -> None:
        existing = self._hosting.find_config(self._config.name)
        if existing is None:
            log.info("Creating endpoint configuration %s", self._config.name)
            self._hosting.create_config(self._config, self._tags)
        elif existing != self._config:
            raise _other("endpoint configuration", existing, self._config)

    def _start(self, found: EndpointState | None) -> str:
        if found and found.status != "Failed":
            log.info("Updating endpoint %s from %s to %s", self._endpoint, found.config_name, self._config.name)
            self._hosting.update_endpoint(self._endpoint, self._config.name, self._guardrails)
            if self._guardrails:  # while the alarms watch, nothing is late
                self._deadline = self._deadline.later(self._guardrails.bake_seconds)
            return "updated"
        if found:
            # "DeleteEndpoint is the only operation that can be performed on a failed endpoint" (EndpointStatus).
            log.warning(
                "Endpoint %s is Failed (%s): recreating it", self._endpoint, found.failure_reason or "no reason"
            )
            self._hosting.delete_endpoint(self._endpoint)
            settled(self._hosting, self._endpoint, self._deadline, until_gone=True)
        log.info("Creating endpoint %s with %s", self._endpoint, self._config.name)
        # The endpoint outlives this run, unlike model and configuration, whose tags say which run they serve.
        created_by = {f"{key}-at-creation": value for key, value in self._tags.items()}
        self._hosting.create_endpoint(self._endpoint, self._config.name, created_by)
        return "recreated" if found else "created"

    def _clean_up(self) -> None:
        """Remove configuration and model that no endpoint uses. Never hides the failure that led here."""
        try:
            state = self._hosting.find_endpoint(self._endpoint)
            # "You must not delete an EndpointConfig in use by an endpoint that is live or while the UpdateEndpoint or
            # CreateEndpoint operations are being performed on the endpoint" (DeleteEndpointConfig). An update under way
            # may name the old configuration, so any transition counts.
            if state and (
                state.status in IN_TRANSITION or (state.config_name == self._config.name and state.status != "Failed")
            ):
                log.warning("Left %s in place: endpoint %s is %s", self._config.name, self._endpoint, state.status)
                return
            if self._hosting.find_config(self._config.name) == self._config:
                self._hosting.delete_config(self._config.name)
            if self._hosting.find_model(self._model.name) == self._model:
                self._hosting.delete_model(self._model.name)
        except Exception:
            log.exception("Could not remove model and endpoint configuration %s", self._config.name)


def settled(hosting: Hosting, endpoint: str, deadline: Deadline, *, until_gone: bool = False) -> EndpointState | None:
    """The endpoint once nothing is under way, none if there is none. Raises EndpointError at the deadline."""
    wait, said = FIRST_WAIT, ""
    while True:
        state: EndpointState | None = None
        try:
            state = hosting.find_endpoint(endpoint)
        except TransientError as error:
            if deadline.remaining() <= 0:
                raise
            log.warning("%s", error)
        else:
            if state is None or not (until_gone or state.status in IN_TRANSITION):
                return state
            if state.status != said:
                said = state.status
                log.info("Endpoint %s is %s (%s)", endpoint, state.status, state.config_name)
        left = deadline.remaining()
        if left <= 0:
            raise EndpointError(
                f"Endpoint {endpoint} was still {said or 'unknown'} at the deadline. It may yet end well: "
                "look at it and its log, and give the deployment more time if it needs it (DeployTimeoutSeconds)."
            )
        deadline.clock.sleep(min(wait, left))
        wait = min(wait * GROWTH, LONGEST_WAIT)


def require_success(endpoint: str, config: str, now: EndpointState | None, before: EndpointState | None) -> None:
    """Raises EndpointError with SageMaker's reason unless the endpoint is in service `now` with the configuration."""
    if now is None:
        raise EndpointError(f"Endpoint {endpoint} was deleted while {config} was put into service.")
    reason = (now.failure_reason or "SageMaker gave no reason").rstrip(".")
    advice = f"See the log group /aws/sagemaker/Endpoints/{endpoint}"
    if now.status != "InService":
        raise EndpointError(
            f"Endpoint {endpoint} is {now.status} after {config} was put into service: {reason}. {advice}."
        )
    if now.config_name != config:
        back = " again" if before and before.config_name == now.config_name else ""
        raise EndpointError(
            f"The update of endpoint {endpoint} to {config} was rolled back, it serves {now.config_name}{back}: "
            f"{reason}. {advice}."
        )


def _other(kind: str, existing: ModelSpec | ConfigSpec, wanted: ModelSpec | ConfigSpec) -> EndpointError:
    differences = ", ".join(
        f"{name} is {value!r}, not {getattr(wanted, name)!r}"
        for name, value in vars(existing).items()
        if value != getattr(wanted, name)
    )
    return EndpointError(
        f"There is another {kind} of the name {wanted.name}: {differences}. Delete it, or run again under a new name."
    )

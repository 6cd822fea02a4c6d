"""What the local SageMaker needs from the rest of the local cloud, passed in so that it can be tested alone."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from local_cloud import program
from local_cloud.clock import Clock
from local_cloud.faults import FaultPlan
from local_cloud.waits import ClockWaits

StateChangeHook = Callable[[str, dict[str, Any]], None]
Dimensions = tuple[tuple[str, str], ...]
Measurements = Iterable[tuple[str, str, Dimensions, float]]  # metric, unit, dimensions, value


class RoleNotAssumableError(Exception):
    """`credentials_for_role`: the role does not exist, or does not let SageMaker assume it."""


class ImageSpec(program.Image, Protocol):
    """How a container image looks from inside."""

    @property
    def uri(self) -> str:
        """What it is called in its registry."""

    @property
    def env(self) -> Mapping[str, str]:
        """`ENV` of the image, with a PATH on which its programs and its Python are found."""

    @property
    def workdir(self) -> str:
        """`WORKDIR`, an absolute path."""

    @property
    def entrypoint(self) -> Sequence[str]:
        """`ENTRYPOINT`, may be empty."""

    @property
    def command(self) -> Sequence[str]:
        """`CMD`, may be empty."""


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class SageMakerEnvironment:
    """The local cloud as SageMaker sees it.

    `credentials_for_role(role ARN, session name)` gives the variables `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and
    `AWS_SESSION_TOKEN` of a session of that role, or raises RoleNotAssumableError; `credentials_variables` turns them
    into what a container gets to find them, by default themselves. `resolve_image(image URI)` raises
    LookupError for an image nobody pushed. With `own_credentials` SageMaker itself looks for what a request names
    without naming a role. `now` is the time of jobs and resources, with time zone; `waits` has the
    cloud's clock, which may be moved. `hooks` are told of every change of state: `hook(kind, description)` with kind
    `ProcessingJob`, `TrainingJob`, `Model`, `EndpointConfig`, `Endpoint` or `EndpointDeployment` and what Describe…
    answers; they run on the service's threads. `alarm_state` is the state of a CloudWatch alarm, None where there is no
    such alarm; `measure` takes measurements for the namespace AWS/SageMaker. Permissions of callers, `iam:PassRole`
    among them, are checked before a request gets here; what a job's own role needs is asked of
    `denial(access key ID, action, resource ARN)`, which says in AWS's words why not, or None. `faults` is what shall go
    wrong.
    """

    endpoint_url: Callable[[], str]
    credentials_for_role: Callable[[str, str], Mapping[str, str]]
    own_credentials: Callable[[], Mapping[str, str]]
    resolve_image: Callable[[str], ImageSpec]
    state_dir: Path
    region: str
    account_id: str
    now: Callable[[], datetime] = _now
    denial: Callable[[str, str, str], str | None] = lambda _key, _action, _resource: None
    credentials_variables: Callable[[Mapping[str, str]], Mapping[str, str]] = dict
    alarm_state: Callable[[str], str | None] = lambda _name: None
    measure: Callable[[Measurements], None] = lambda _measurements: None
    waits: ClockWaits = field(default_factory=lambda: ClockWaits(Clock()))
    hooks: list[StateChangeHook] = field(default_factory=list)
    faults: FaultPlan = field(default_factory=FaultPlan)
    # StopTrainingJob, StopProcessingJob: "SIGTERM … delays job termination for 120 seconds"
    job_grace_seconds: float = 120.0
    # Custom inference code: "sends the SIGTERM signal, then 30 seconds later, the SIGKILL signal"
    serving_grace_seconds: float = 30.0

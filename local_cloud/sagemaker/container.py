"""Runs a program as SageMaker runs a container: image, role, `/opt/ml`, log."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from local_cloud import program
from local_cloud.faults import words
from local_cloud.program import Program
from local_cloud.sagemaker.environment import ImageSpec, SageMakerEnvironment
from local_cloud.sagemaker.errors import JobFailedError
from local_cloud.sandbox import Mount, ProgramNotFoundError, SandboxError, Volume, VolumeFullError

_GIBIBYTE = 1 << 30
_ECR_IMAGE = re.compile(r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com/(?P<repository>[^:@]+)")
# "SageMaker AI roles": what the execution role needs to pull an image
_PULL_ACTIONS = ("ecr:BatchCheckLayerAvailability", "ecr:GetDownloadUrlForLayer", "ecr:BatchGetImage")


@dataclass(frozen=True)
class Container:
    """One container to run. `directory` holds its files on the host: `ml` (`/opt/ml` inside), `tmp` (`/tmp`), `log`."""

    image: ImageSpec
    argv: Sequence[str]
    directory: Path
    credentials: Mapping[str, str]
    environment: Mapping[str, str]
    grace_seconds: float
    mounts: Sequence[Mount] = field(default=())

    @property
    def ml(self) -> Path:
        """`/opt/ml` on the host."""
        return self.directory / "ml"

    @property
    def log(self) -> Path:
        """Standard output and error."""
        return self.directory / "log"

    def path(self, inside: str) -> Path:
        """Where a path below /opt/ml lies on the host."""
        return self.ml / Path(inside).relative_to("/opt/ml")

    def start(self, cloud: SageMakerEnvironment, volume_megabytes: int | None = None) -> Program:
        """Starts the program; raises JobFailedError when there is nothing to start.

        `/opt/ml` has as much room as the machine, or only `volume_megabytes`.

        In AWS a container's disk is writable and lost afterwards. Here its disk is this machine's, so only `/opt/ml`,
        `/tmp`, `/root` and `/dev/shm` (each the container's own) can be written to.
        """
        self._require_pull(cloud)
        tmp = self.directory / "tmp"
        tmp.mkdir(parents=True, exist_ok=True)
        volumes = [] if volume_megabytes is None else [Volume(self.ml, "/opt/ml", volume_megabytes << 20)]
        try:
            return program.start(
                self.image,
                self.argv,
                env=self.variables(cloud),
                cwd=self.image.workdir or "/",
                mounts=[*([] if volumes else [Mount(self.ml, "/opt/ml")]), Mount(tmp, "/tmp"), *self.mounts],  # noqa: S108
                volumes=volumes,
                log=self.log,
                read_only_root=True,
                tmpfs=(("/root", _GIBIBYTE), ("/dev/shm", _GIBIBYTE)),  # noqa: S108
                stop_grace_seconds=self.grace_seconds,
            )
        except VolumeFullError as error:
            raise JobFailedError(words.NO_SPACE_FOR_INPUTS) from error
        except ProgramNotFoundError as error:
            raise JobFailedError(f"ClientError: {error}") from error
        except SandboxError as error:
            raise JobFailedError(f"InternalServerError: {error}") from error

    def _require_pull(self, cloud: SageMakerEnvironment) -> None:
        """Raises JobFailedError where the role may not pull the image, as no container starts then in AWS."""
        found = _ECR_IMAGE.match(self.image.uri)
        if found is None:
            return
        repository = f"arn:aws:ecr:{found['region']}:{found['account']}:repository/{found['repository']}"
        needed = [("ecr:GetAuthorizationToken", "*"), *((action, repository) for action in _PULL_ACTIONS)]
        for action, resource in needed:
            denied = cloud.denial(self.credentials["AWS_ACCESS_KEY_ID"], action, resource)
            if denied is not None:
                raise JobFailedError(f"ClientError: Cannot pull the image {self.image.uri}: {denied}")

    def variables(self, cloud: SageMakerEnvironment) -> dict[str, str]:
        """The program's whole environment.

        SageMaker sets AWS_REGION (not AWS_DEFAULT_REGION) and gives the role's credentials at an address, not in
        variables. AWS_ENDPOINT_URL is the SDKs' own variable, too.
        """
        return {
            "HOME": "/root",
            **self.image.env,
            "AWS_REGION": cloud.region,
            **cloud.credentials_variables(self.credentials),
            "AWS_ENDPOINT_URL": cloud.endpoint_url(),
            **self.environment,
        }


def command(image: ImageSpec, entrypoint: Sequence[str], arguments: Sequence[str], default: Sequence[str]) -> list[str]:
    """What to run: `docker run [--entrypoint entrypoint] image [arguments]`.

    A given entrypoint drops the image's CMD, as Docker does; otherwise arguments, then `default`, replace it.
    """
    if entrypoint:
        return [*entrypoint, *arguments]
    return [*image.entrypoint, *(arguments or default or image.command)]

"""The container engine of `--containers`: found before anything is started, told of when it builds."""

from dataclasses import dataclass
from pathlib import Path

from cli.display import Board, step
from cli.errors import CommandError
from local_cloud.containers.bases import BaseImages
from local_cloud.containers.engine import Engine, EngineMissingError, find_engine
from local_cloud.containers.images import ContainerImages
from local_cloud.images import ImageRegistry

FOLDER = "containers"  # of the state folder; Podman's storage where it is ours


@dataclass(frozen=True)
class Found:
    """An engine and the base images that it has."""

    engine: Engine
    bases: BaseImages

    def builder(self, folder: Path, *, account_id: str, region: str) -> ContainerImages:
        """Builds images for the cloud that keeps its state in `folder`."""
        registry = ImageRegistry(folder, account_id=account_id, region=region)
        return ContainerImages(self.engine, self.bases, registry, folder)


def find(state: Path, board: Board) -> Found:
    """This machine's engine. Raises CommandError where there is none."""
    with step(board, "Container engine") as say:
        try:
            engine = find_engine(state / FOLDER)
        except EngineMissingError as error:
            raise CommandError(
                "--containers needs a container engine.", hint=f"{error} Without --containers none is needed."
            ) from error
        say(f"{engine.name} {engine.version}")
    return Found(engine, BaseImages(engine, state / "cache"))

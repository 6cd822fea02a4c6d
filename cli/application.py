"""The application in the cloud of `treering up`, for the commands that ask it something."""

from dataclasses import dataclass
from pathlib import Path

from cli import cloud as clouds
from cli import prepare, stack
from cli.cloud import Cloud
from cli.errors import CommandError
from cli.prepare import Choice
from cli.stack import DEFAULT_NAME, Stack


@dataclass(frozen=True)
class Application:
    """The cloud that is up and the stack in it."""

    cloud: Cloud
    stack: Stack
    choice: Choice


def application(state: Path) -> Application:
    """What `treering up` left in the state folder. Raises CommandError where nothing is up or deployed."""
    folder = state.resolve() / "cloud"
    cloud = clouds.find(folder)
    if cloud is None:
        raise CommandError(
            f"No local cloud is up in {state}.", hint="`treering up` starts one; `treering run` then trains in it."
        )
    choice = prepare.last_choice(folder) or Choice("ames", DEFAULT_NAME)
    found = stack.read(cloud, choice.stack_name)
    if found is None:
        raise CommandError(
            f"The local cloud at {cloud.endpoint} has no stack {choice.stack_name}.", hint="`treering up` deploys it."
        )
    return Application(cloud, found, choice)

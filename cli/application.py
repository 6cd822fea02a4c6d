"""The application in a local cloud, for the commands that ask it something.

Clouds keep their state in `DIR/cloud` (`treering up`) and in `DIR/runs/<time>` (a `treering run` with its own).
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cli import cloud as clouds
from cli import interrupts, prepare, stack
from cli.cloud import Cloud
from cli.display import shown
from cli.errors import CommandError
from cli.lock import only_one
from cli.prepare import CHOICE_FILE, Choice
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
        if gone := clouds.killed(folder):
            raise CommandError(f"{gone}.", hint="`treering up` starts it again with all that it had.")
        raise CommandError(
            f"No local cloud is up in {state}.", hint="`treering up` starts one; `treering run` then trains in it."
        )
    return _in(cloud)


def working(state: Path, folder: Path | None = None) -> list[Application]:
    """The applications whose clouds answer: that of `treering up` first, then those of runs under way, newest first.

    With `folder` only the one that keeps its state there.
    """
    return [_in(cloud) for one in _folders(state, folder) if _deployed(one) and (cloud := clouds.find(one))]


def at_work(state: Path, folder: Path | None = None) -> list[Application]:
    """The same, but at least one. Raises CommandError where there is none."""
    found = working(state, folder)
    if not found:
        where = folder or state
        raise CommandError(
            f"No local cloud is up in {shown(where.resolve())}, and no run is under way there.",
            hint="`treering up` starts one again with all that it had; `treering run` then trains in it.",
        )
    return found


@contextmanager
def opened(state: Path, folder: Path | None = None) -> Iterator[Application]:
    """The application to read from: one at work, else the last that was, started again for as long as the block lasts.

    With `folder` the one that keeps its state there. Raises CommandError where there is none.
    """
    if found := working(state, folder):
        yield found[0]
        return
    with _started_again(last(state, folder)) as cloud:
        yield _in(cloud)


def last(state: Path, folder: Path | None = None) -> Path:
    """The folder of the cloud that the application was last deployed into. Raises CommandError where there is none."""
    folders = [one for one in _folders(state, folder) if _deployed(one)]
    if not folders:
        raise CommandError(
            f"Nothing has run in {shown((folder or state).resolve())} yet.",
            hint="`treering run` trains a first model; --state and --cloud name another folder.",
        )
    return max(folders, key=lambda one: (one / CHOICE_FILE).stat().st_mtime)


@contextmanager
def _started_again(folder: Path) -> Iterator[Cloud]:
    if gone := clouds.killed(folder):  # started again, its executions would go on: that is not for a look at it
        hint = "`treering up` starts it again, and what ran in it goes on."
        raise CommandError(f"{gone}.", hint=hint if folder.name == "cloud" else "--cloud names another run's folder.")
    with only_one(folder, "a look at the last run"):
        with interrupts.held():
            started = clouds.Starting(folder, parent_pid=os.getpid())
        try:
            yield started.wait()
        finally:
            clouds.stop(started.pid)


def _folders(state: Path, folder: Path | None) -> list[Path]:
    if folder is not None:
        return [folder.resolve()]
    runs = state.resolve() / "runs"
    return [state.resolve() / "cloud", *sorted(runs.iterdir() if runs.is_dir() else [], reverse=True)]


def _deployed(folder: Path) -> bool:
    return (folder / CHOICE_FILE).is_file()


def _in(cloud: Cloud) -> Application:
    choice = prepare.last_choice(cloud.folder) or Choice("ames", DEFAULT_NAME)
    found = stack.read(cloud, choice.stack_name)
    if found is None:
        raise CommandError(
            f"The local cloud at {cloud.endpoint} has no stack {choice.stack_name}.", hint="`treering up` deploys it."
        )
    return Application(cloud, found, choice)

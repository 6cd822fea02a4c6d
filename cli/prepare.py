"""From nothing to a cloud in which the application stands ready: start, deploy, hand over the credentials."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path

from cli import cloud as clouds
from cli import containers, interrupts, permissions, source, stack
from cli.cloud import Cloud
from cli.data_source import READY_FILE
from cli.display import Board, shown, step
from cli.errors import CommandError
from cli.source import DataSource
from cli.stack import Stack
from local_cloud.deploy import DeploymentError, Progress, deploy
from local_cloud.state_directory import CloudFile
from local_cloud.template_file import TemplateError, read_template

BASE_URL = "DataSourceBaseUrl"  # parameters of the template that the commands know by name
USE_CASE = "UseCase"
CHOICE_FILE = "choice.json"


@dataclass(frozen=True)
class Settings:
    """What the user asked for, the same for `run` and `up`."""

    state: Path
    template: Path
    stack_name: str
    source: str | None  # none: the one that is there already, else ames
    parameters: Mapping[str, str]
    containers: bool = False

    @property
    def up_folder(self) -> Path:
        """Where the cloud of `treering up` keeps its state."""
        return self.state / "cloud"


@dataclass(frozen=True)
class Choice:
    """What was deployed into a cloud; kept beside it, so that later commands need not be told again."""

    source: str
    stack_name: str

    def save(self, folder: Path) -> None:
        """Keep it in the cloud's state folder."""
        (folder / CHOICE_FILE).write_text(json.dumps(self.__dict__, indent=2) + "\n", "utf-8")


@dataclass(frozen=True)
class Ready:
    """A cloud with the application in it."""

    cloud: Cloud
    stack: Stack
    source: DataSource


def last_choice(folder: Path) -> Choice | None:
    """What was last deployed into the cloud of that folder."""
    try:
        return Choice(**json.loads((folder / CHOICE_FILE).read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def prepare(
    folder: Path, settings: Settings, board: Board, *, parent_pid: int | None = None, by_date: bool = False
) -> Ready:
    """Start the cloud and the data source that are not there yet, deploy, and put the data source's secret.

    What this started is ended again where it cannot be finished. With `parent_pid`, a cloud started here ends with
    that process.
    """
    cloud = clouds.find(folder)
    name = settings.source or _kept(folder) or "ames"
    fixed = _elsewhere(name, settings.parameters)
    engine = containers.find(settings.state, board) if settings.containers else None
    started: clouds.Starting | None = None
    try:
        with step(board, "Local cloud") as say:
            if cloud is None:
                with interrupts.held():
                    started = clouds.Starting(folder, parent_pid=parent_pid)
            pid = cloud.pid if cloud else started.pid if started else 0
            server = None
            if fixed is None and not (cloud and _serves(folder, name)):
                source.stop(folder)
                use_case = settings.parameters.get(USE_CASE, stack.DEFAULT_USE_CASE)
                cache = settings.state / "cache"
                server = source.Server(folder, pid, use_case=use_case, source=name, by_date=by_date, cache=cache)
            cloud = started.wait() if started else cloud
            data = fixed or (server.wait() if server else source.running(folder))
            if cloud is None or data is None:  # it ended in this moment
                raise CommandError(f"The local cloud in {folder} has ended. Try again.")
            say(f"{cloud.endpoint}, data from {data.name}, {'started' if started else 'was up'}")
        with step(board, "Deploy") as say:
            deployed = _deploy(cloud, settings, data, engine, board, say)
            say(f"stack {deployed.name} {deployed.status}, {len(deployed.resources)} resources")
        Choice(data.name, settings.stack_name).save(folder)
        if data.secret:
            with step(board, "Kaggle secret") as say:
                value = json.dumps(data.secret)
                cloud.client("secretsmanager").put_secret_value(SecretId=deployed.kaggle_secret, SecretString=value)
                say("put")
    except BaseException:
        if started is not None:
            clouds.stop(started.pid)
            source.stop(folder)
        raise
    return Ready(cloud, deployed, data)


def end(folder: Path) -> list[str]:
    """End the cloud of that folder and its data source; says what was ended."""
    ended = []
    with interrupts.held():
        cloud = clouds.load(folder)
        if cloud is not None:
            clouds.stop(cloud.pid)
            ended.append(f"the local cloud at {cloud.endpoint} (process {cloud.pid}) with its jobs and its endpoint")
        if source.stop(folder) or (cloud is not None and (folder / READY_FILE).exists()):
            ended.append("the data source")
        (folder / READY_FILE).unlink(missing_ok=True)
    return ended


def _kept(folder: Path) -> str | None:
    choice = last_choice(folder)
    return choice.source if choice else None


def _serves(folder: Path, name: str) -> bool:
    running = source.running(folder)
    return running is not None and running.name == name


def _elsewhere(name: str, parameters: Mapping[str, str]) -> DataSource | None:
    """A data source that this machine need not serve: the user's own server, or Kaggle."""
    url = parameters.get(BASE_URL) or (name if name.startswith(("http://", "https://")) else None)
    if url is not None:
        return DataSource(url, url, source.kaggle_credentials())
    return source.from_kaggle() if name == "kaggle" else None


def _deploy(
    cloud: Cloud,
    settings: Settings,
    data: DataSource,
    engine: containers.Found | None,
    board: Board,
    say: Callable[[str], None],
) -> Stack:
    """Create or update the stack. Raises CommandError that names the resource at fault."""
    # on an update a parameter that is not given keeps its value, so the way back to Kaggle is given too
    base_url = data.base_url or read_template(settings.template)["Parameters"][BASE_URL]["Default"]
    done: set[str] = set()
    began = datetime.now(UTC)

    def report(progress: Progress) -> None:
        if progress.status.endswith(("_COMPLETE", "BUILT")):
            done.add(progress.resource)
        if progress.status == "BUILT" and progress.reason and engine is not None:
            board.note(f"Image {progress.resource}: {progress.reason}")
        say(f"{len(done)} done, {progress.resource} {progress.status}")

    try:
        deployment = deploy(
            settings.template,
            CloudFile(**{field.name: getattr(cloud, field.name) for field in fields(CloudFile)}),
            cloud.folder,
            stack_name=settings.stack_name,
            parameters={BASE_URL: base_url, **settings.parameters},
            report=report,
            images=engine.builder(cloud.folder, account_id=cloud.account_id, region=cloud.region) if engine else None,
        )
    except (DeploymentError, TemplateError) as error:
        hint = f"Change the template or --parameter, and run it again. The local cloud's log: {cloud.log}"
        lacking = permissions.to_add(permissions.missing_since(cloud, began))
        raise CommandError(
            f"{settings.template.name} could not be deployed: {error}", hint=f"{hint}\n\n{lacking}".strip()
        ) from error
    if deployment.changed and deployment.without_effect:
        board.note(_without_effect(deployment.without_effect, cloud.folder / "without_effect.txt"))
    found = stack.read(cloud, settings.stack_name)
    if found is None:
        raise CommandError(f"The stack {settings.stack_name} is gone right after its deployment.")
    return found


def _without_effect(findings: tuple[str, ...], file: Path) -> str:
    """Write down what the local cloud accepts without doing it, and say where."""
    file.write_text("".join(f"{finding}\n" for finding in findings), "utf-8")
    return f"{len(findings)} properties of the template have no effect here (such as X-Ray traces), see {shown(file)}"

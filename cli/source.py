"""Which data source a cloud reads from: the Ames data, a folder or zip, Kaggle, or a server of the user's own."""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from cli import cloud as clouds
from cli import interrupts
from cli.data_source import READY_FILE
from cli.errors import CommandError, UsageError

START_SECONDS = 60.0
_SETTINGS_PAGE = "https://www.kaggle.com/settings"


@dataclass(frozen=True)
class DataSource:
    """Where the data come from: base URL (none: the template's own, Kaggle), and the secret for it."""

    name: str  # ames, kaggle, a path, or the URL that the user gave
    base_url: str | None
    secret: dict[str, str] | None
    last_day: date | None = None  # of dated data: when the last row becomes known


def check(name: str) -> str:
    """Make a path absolute and refuse what is neither a known source nor a folder or zip. Raises UsageError."""
    if name in ("ames", "kaggle"):
        return name
    path = Path(name)
    if not name or not path.exists():
        raise UsageError(f"--source {name}: there is no such folder or zip, and it is neither 'ames' nor 'kaggle'.")
    return str(path.resolve())


def kaggle_credentials(environment: dict[str, str] | None = None, home: Path | None = None) -> dict[str, str] | None:
    """The user's own Kaggle credentials as the secret's JSON, none where there are none. Raises CommandError."""
    variables = dict(os.environ) if environment is None else environment
    if token := variables.get("KAGGLE_API_TOKEN"):
        return {"api_token": token}
    if variables.get("KAGGLE_USERNAME") and variables.get("KAGGLE_KEY"):
        return {"username": variables["KAGGLE_USERNAME"], "key": variables["KAGGLE_KEY"]}
    file = Path(variables.get("KAGGLE_CONFIG_DIR") or (home or Path.home()) / ".kaggle") / "kaggle.json"
    try:
        if not file.exists():
            return None
        content = json.loads(file.read_text("utf-8"))
        return {"username": str(content["username"]), "key": str(content["key"])}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CommandError(
            f'{file} holds no Kaggle credentials: expected {{"username": …, "key": …}} ({type(error).__name__}).',
            hint=f"Download it again from {_SETTINGS_PAGE}, or set KAGGLE_API_TOKEN.",
        ) from error


def from_kaggle() -> DataSource:
    """Kaggle itself. Raises CommandError where there are no credentials for it."""
    credentials = kaggle_credentials()
    if credentials is None:
        raise CommandError(
            "--source kaggle needs Kaggle credentials and found none.",
            hint="Set KAGGLE_API_TOKEN, or KAGGLE_USERNAME and KAGGLE_KEY, or put kaggle.json into ~/.kaggle "
            f"(see {_SETTINGS_PAGE}). Without an account, --source ames runs on public data.",
        )
    return DataSource("kaggle", None, credentials)


class Server:
    """The data source that runs beside a cloud, in a process of its own that ends with the cloud's."""

    def __init__(self, folder: Path, cloud_pid: int, *, use_case: str, source: str, by_date: bool, cache: Path) -> None:
        self._folder = folder
        self._log = folder / "source.log"
        (folder / READY_FILE).unlink(missing_ok=True)
        arguments = [sys.executable, "-m", "cli.data_source", "--cloud", str(folder), "--cloud-pid", str(cloud_pid)]
        arguments += ["--use-case", use_case, "--source", source, "--cache", str(cache)]
        arguments += ["--by-date"] if by_date else []
        self._process: subprocess.Popen[bytes] = clouds.spawn(arguments, self._log)

    def wait(self) -> DataSource:
        """Wait until it serves. Raises CommandError with its own words where it cannot."""
        deadline = time.monotonic() + START_SECONDS
        while (found := running(self._folder)) is None:
            if self._process.poll() is not None:
                raise CommandError(f"The data source could not be served.\n{clouds.tail(self._log)}")
            if time.monotonic() > deadline:
                raise CommandError(f"The data source did not start.\n{clouds.tail(self._log)}")
            time.sleep(0.05)
        return found


def running(folder: Path) -> DataSource | None:
    """The data source that runs beside the cloud of that folder, if one does."""
    content = _ready(folder)
    if content is None or not clouds.alive(content["pid"]):
        return None
    secret = {name: content[name] for name in ("username", "key", "api_token")}
    last = content["last_day"]
    return DataSource(content["source"], content["base_url"], secret, date.fromisoformat(last) if last else None)


def stop(folder: Path) -> bool:
    """End the data source beside the cloud of that folder; says whether there was one."""
    content = _ready(folder)
    if content is None or not clouds.alive(content["pid"]):
        return False
    with interrupts.held():
        clouds.end(content["pid"], seconds=5)
    (folder / READY_FILE).unlink(missing_ok=True)
    return True


def _ready(folder: Path) -> dict[str, Any] | None:
    try:
        content: dict[str, Any] = json.loads((folder / READY_FILE).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return content

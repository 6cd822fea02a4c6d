"""A cloud of `treering up`, as scripts and strangers' clients see it."""

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.local_cloud.clients import client
from tests.local_cloud.test_cli_run import treering

_OF_A_CLIENT = ("AWS_ENDPOINT_URL", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")


@dataclass(frozen=True)
class UpCloud:
    """A cloud that is up: its state folder, and what `treering up` printed."""

    state: Path
    environment: dict[str, str]
    outputs: dict[str, str]

    def client(self, service: str) -> Any:
        """A stranger's client, made once."""
        return client(service, *(self.environment[name] for name in _OF_A_CLIENT))

    def json(self, *arguments: str) -> Any:
        """What a command answers a script."""
        done = treering(*arguments, "--json", state=self.state)
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)


def written(rows: list[dict[str, str]], file: Path) -> str:
    """Write the rows as CSV; the file's name."""
    with file.open("w") as out:
        writer = csv.DictWriter(out, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return str(file)

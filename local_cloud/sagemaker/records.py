"""SageMaker's resources on disk, one file each: what Describe… answers, their tags, and what an endpoint serves."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from local_cloud import durable_files
from local_cloud.sagemaker.names import Kind


class Records:
    """The files; `record` is `{"description": …, "tags": …}`, with `plan` for an endpoint."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def save(self, kind: Kind, name: str, record: Mapping[str, Any]) -> None:
        """Writes a resource's file, or writes it anew."""
        path = self._path(kind, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        durable_files.write(path, durable_files.to_json(record))

    def remove(self, kind: Kind, name: str) -> None:
        """Removes a resource's file."""
        self._path(kind, name).unlink(missing_ok=True)

    def load(self, kind: Kind) -> Iterator[dict[str, Any]]:
        """Reads the resources of a kind, oldest first. Raises DamagedStateError."""
        found = [durable_files.read(path) for path in self._path(kind, "").parent.glob("*.json")]
        yield from sorted(found, key=lambda record: record["description"]["CreationTime"])

    def _path(self, kind: Kind, name: str) -> Path:
        return self._folder / f"{kind.arn_type}s" / f"{name}.json"

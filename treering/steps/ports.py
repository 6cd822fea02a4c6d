"""What ingestion needs from outside; `treering.aws` and `treering.kaggle` have it."""

from pathlib import Path
from typing import Protocol

from treering.clock import Deadline


class Downloaded(Protocol):
    """A finished download."""

    @property
    def url(self) -> str:
        """Where it came from, without credentials."""

    @property
    def bytes(self) -> int:
        """Its size."""


class DataSource(Protocol):
    """Gives all files of a competition as one zip."""

    def download(self, competition: str, target: Path, maximum_bytes: int, deadline: Deadline) -> Downloaded:
        """Write the zip to `target`, complete and checked, or raise."""


class ObjectStore(Protocol):
    """A bucket whose objects appear all at once and are written once."""

    @property
    def name(self) -> str:
        """The bucket's name."""

    def find(self, key: str) -> bytes | None:
        """Content of an object, none where there seems to be none."""

    def read(self, key: str) -> bytes:
        """Content of an object that must be there."""

    def create(self, key: str, body: bytes) -> bool:
        """Write an object unless it exists; whether it was written."""

    def create_from_file(self, key: str, path: Path, sha256: str) -> bool:
        """Write an object from a file unless it exists; whether it was written."""

    def replace(self, key: str, body: bytes) -> None:
        """Write an object, whether or not it exists."""


class Executions(Protocol):
    """A state machine that starts each name once."""

    def start(self, name: str, execution_input: str) -> tuple[str, bool]:
        """ARN of the execution, and whether this call started it."""

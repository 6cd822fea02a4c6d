"""What ingestion needs of AWS, without AWS: a folder for the bucket, and a state machine that starts nothing."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from treering.steps.hashing import sha256_of


@dataclass(frozen=True)
class Folder:
    """A folder that stands for the bucket."""

    path: Path
    name: str = "folder"

    def find(self, key: str) -> bytes | None:
        """Content, or none."""
        return (self.path / key).read_bytes() if (self.path / key).exists() else None

    def read(self, key: str) -> bytes:
        """Content."""
        return (self.path / key).read_bytes()

    def create(self, key: str, body: bytes) -> bool:
        """Write unless it exists."""
        if (self.path / key).exists():
            return False
        self.replace(key, body)
        return True

    def create_from_file(self, key: str, path: Path, sha256: str) -> bool:
        """Write from a file unless it exists, checking the sum as S3 would."""
        if sha256_of(path) != sha256:
            raise OSError(f"{path} changed while it was copied")
        if (self.path / key).exists():
            return False
        (self.path / key).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, self.path / key)
        return True

    def replace(self, key: str, body: bytes) -> None:
        """Write."""
        (self.path / key).parent.mkdir(parents=True, exist_ok=True)
        (self.path / key).write_bytes(body)


class Executions:
    """Starts nothing: what would be started is called next."""

    def start(self, name: str, execution_input: str) -> tuple[str, bool]:  # the port's signature
        """Name of the execution."""
        return f"arn:aws:states:::execution:benchmark:{name}", True

"""The part of a lineage that lies in the bucket: the artefact, the dataset version, its files and their source."""

import hashlib
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from botocore.exceptions import ClientError

from cli import report
from cli.application import Application
from cli.registry import ModelVersion
from treering import keys, use_case
from treering.contracts import DatasetManifest, FileRecord
from treering.errors import TreeringError
from treering.steps.hashing import dataset_version

_Found = TypeVar("_Found")
_CARD = ("run_id", "dataset_version")  # what the artefact says of itself and the model registry says too


@dataclass
class Node:
    """One step: what it is, what it is called, what is known of it, and what does not fit."""

    what: str
    name: str
    facts: dict[str, str] = field(default_factory=dict)
    checked: list[str] = field(default_factory=list)  # what was looked up or compared and fits
    problems: list[str] = field(default_factory=list)
    made_of: list["Node"] = field(default_factory=list)

    def check(self, fits: bool, that: str, problem: str) -> None:
        """Note one comparison."""
        (self.checked if fits else self.problems).append(that if fits else problem)

    def there(self, found: _Found | None, that: str = "is there", problem: str = "is not there") -> _Found | None:
        """Note whether something was found; gives it back."""
        self.check(found is not None, that, problem)
        return found

    def all(self) -> list["Node"]:
        """This one and all below it."""
        return [self, *(node for child in self.made_of for node in child.all())]

    def describe(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "what": self.what,
            "name": self.name,
            "facts": self.facts,
            "checked": self.checked,
            "problems": self.problems,
            "made_of": [node.describe() for node in self.made_of],
        }


class DataWalk:
    """Looks up what lies in the bucket. With `verify`, all files are read and hashed."""

    def __init__(self, found: Application, *, verify: bool) -> None:
        self._bucket, self._verify = found.stack.bucket, verify
        self._s3 = found.cloud.client("s3")
        self._reader = report.Reader(found.cloud)

    def artefact(self, version: ModelVersion) -> Node:
        """The artefact of a version of the model registry."""
        node = Node("artefact", version.model_data_url)
        gone = "is not there, so this version cannot be deployed any more"
        if (size := node.there(self._size(node.name), problem=gone)) is None:
            return node
        node.facts["bytes"] = f"{size:,}"
        if not self._verify:
            return node
        from treering.steps.artefact import Artefact  # here, since NumPy takes a while and only --verify needs it

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.tar.gz"
            node.facts["sha256"] = self._download(node.name, path)
            try:
                card = Artefact.load_archive(path).card
            except TreeringError as error:
                node.problems.append(str(error))
                return node
        node.checked.append("its files have the hashes that its card says")
        for name in _CARD:
            says, wanted = getattr(card, name), version.metadata.get(name)
            node.check(says == wanted, f"its card says {name} {says}", f"its card says {name} {says}, not {wanted}")
        return node

    def report(self, uri: str) -> Node:
        """The page that evaluation wrote."""
        node = Node("report", uri)
        node.there(self._size(uri), problem="is not there; what a run wrote is removed after RunRetentionDays")
        return node

    def dataset(self, version: str, manifest_uri: str) -> Node:
        """A dataset version with its splits, its raw files and their source."""
        node = Node("dataset version", version)
        found = self._reader.contract(DatasetManifest, manifest_uri)
        gone = f"its manifest {manifest_uri} is not there"
        if (manifest := node.there(found, "its manifest is there", gone)) is None:
            return node
        node.facts = {
            "dataset": manifest.dataset,
            "rows": f"{sum(manifest.rows.values()):,}",
            "made for": f"{manifest.scheduled_at:%Y-%m-%d %H:%M} UTC",
            "manifest": manifest_uri,
        }
        other = f"its manifest is of version {manifest.version}"
        node.check(manifest.version == version, "its manifest is of this version", other)
        if self._verify:
            hashes = {record.key.rpartition("/")[2]: record.sha256 for record in manifest.raw}
            made = dataset_version(use_case.load(manifest.use_case), hashes)
            node.check(made == version, "it is the hash of its raw files", f"the hash of its raw files is {made}")
        source = Node("source", manifest.source, {"competition": manifest.competition})
        source.facts["downloaded"] = f"{manifest.downloaded_at:%Y-%m-%d %H:%M:%S} UTC"
        node.made_of += [self._file("split", record) for record in manifest.splits.values()]
        raw = [self._file("raw file", record) for record in manifest.raw]
        node.made_of += [*raw, source]
        return node

    def _file(self, what: str, record: FileRecord) -> Node:
        node = Node(what, keys.uri(self._bucket, record.key), {"bytes": f"{record.bytes:,}", "sha256": record.sha256})
        if (size := node.there(self._size(node.name))) is None:
            return node
        node.check(size == record.bytes, "has its size", f"has {size:,} bytes, not {record.bytes:,}")
        if self._verify:
            found = self._download(node.name)
            node.check(found == record.sha256, "has its SHA-256", f"has the SHA-256 {found}")
        return node

    def _size(self, uri: str) -> int | None:
        """Bytes of an object; none where there is no such object."""
        bucket, key = keys.parse_uri(uri)
        try:
            return int(self._s3.head_object(Bucket=bucket, Key=key)["ContentLength"])
        except ClientError as error:
            if error.response["Error"]["Code"] in ("404", "NoSuchKey", "NoSuchBucket"):
                return None
            raise

    def _download(self, uri: str, path: Path = Path(os.devnull)) -> str:
        """SHA-256 of an object, which is written to `path`."""
        bucket, key = keys.parse_uri(uri)
        digest = hashlib.sha256()
        with path.open("wb") as file:
            for chunk in self._s3.get_object(Bucket=bucket, Key=key)["Body"].iter_chunks(1 << 20):
                digest.update(chunk)
                file.write(chunk)
        return digest.hexdigest()

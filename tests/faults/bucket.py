"""Walks the whole bucket: whatever can be read there must be whole."""

import hashlib
import io
import re
import tarfile
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pydantic import BaseModel, ValidationError

from treering.contracts import (
    DatasetManifest,
    DeployEndpointResult,
    FileRecord,
    IngestionRecord,
    PreprocessResult,
    TestEndpointResult,
    TrainResult,
)
from treering.keys import parse_uri

if TYPE_CHECKING:
    from tests.faults.bench import Bench

_MANIFEST = re.compile(r"datasets/[^/]+/([^/]+)/manifest\.json")
_RECORD = re.compile(r"ingestions/.*\.json")
_RESULTS: dict[str, type[BaseModel]] = {
    "preprocess": PreprocessResult,
    "deploy_endpoint": DeployEndpointResult,
    "test_endpoint": TestEndpointResult,
}
_RESULT = re.compile(r"runs/[^/]+/([^/]+)/result\.json")
_ARCHIVE = re.compile(r"runs/.*\.tar\.gz")


class Bucket:
    """The data bucket of a bench; what has been looked at and has not changed is not read again."""

    def __init__(self, bench: "Bench") -> None:
        self._bench = bench
        self._seen: dict[str, str] = {}  # key → ETag
        self._manifests: dict[str, DatasetManifest] = {}
        self._sha256: dict[str, tuple[str, str]] = {}  # key → ETag, SHA-256

    @property
    def versions(self) -> frozenset[str]:
        """Dataset versions that exist: those with a manifest."""
        return frozenset(match[1] for key in self._list() if (match := _MANIFEST.fullmatch(key)))

    def read(self, uri: str) -> bytes:
        """Content of an object of this bucket."""
        return self._read(parse_uri(uri)[1])

    def problems(self) -> Iterator[str]:
        """What is there but not whole, or there twice."""
        there = self._list()
        for key, tag in there.items():
            if self._seen.get(key) != tag:
                yield from self._look(key)
                self._seen[key] = tag
        contents: dict[tuple[str, ...], str] = {}
        for key, manifest in self._manifests.items():
            for file in (*manifest.raw, *manifest.splits.values()):
                yield from self._compare(key, file, there)
            content = tuple(file.sha256 for file in manifest.raw)
            first = contents.setdefault(content, manifest.version)
            if first != manifest.version:
                yield f"versions {first} and {manifest.version} have the same content"

    def _list(self) -> dict[str, str]:
        pages = self._bench.client("s3").get_paginator("list_objects_v2").paginate(Bucket=self._name)
        return {item["Key"]: item["ETag"] for page in pages for item in page.get("Contents", ())}

    @property
    def _name(self) -> str:
        return self._bench.outputs["DataBucketName"]

    def _read(self, key: str) -> bytes:
        content: bytes = self._bench.client("s3").get_object(Bucket=self._name, Key=key)["Body"].read()
        return content

    def _look(self, key: str) -> Iterator[str]:
        try:
            if _MANIFEST.fullmatch(key):
                self._manifests[key] = DatasetManifest.model_validate_json(self._read(key))
            elif _RECORD.fullmatch(key):
                IngestionRecord.model_validate_json(self._read(key))
            elif match := _RESULT.fullmatch(key):
                if match[1] in _RESULTS:
                    _RESULTS[match[1]].model_validate_json(self._read(key))
            elif _ARCHIVE.fullmatch(key):
                self._open(key)
        except (ValidationError, tarfile.TarError, EOFError, OSError, KeyError) as error:
            yield f"{key} is there but cannot be read: {type(error).__name__}: {error}"

    def _open(self, key: str) -> None:
        """Read every member of an archive; of a training job's output also its metrics."""
        with tarfile.open(fileobj=io.BytesIO(self._read(key)), mode="r:gz") as archive:
            for member in archive:
                content = archive.extractfile(member)
                if content is not None and member.name.endswith("metrics.json"):
                    TrainResult.model_validate_json(content.read())
                elif content is not None:
                    content.read()

    def _compare(self, manifest: str, file: FileRecord, there: dict[str, str]) -> Iterator[str]:
        if file.key not in there:
            yield f"{manifest} names {file.key}, which is not there"
            return
        tag, digest = self._sha256.get(file.key, ("", ""))
        if tag != there[file.key]:
            content = self._read(file.key)
            digest = hashlib.sha256(content).hexdigest()
            if len(content) != file.bytes:
                yield f"{file.key} has {len(content)} bytes, {manifest} says {file.bytes}"
            self._sha256[file.key] = there[file.key], digest
        if digest != file.sha256:
            yield f"{file.key} is not the file that {manifest} describes"

"""Turns an event of the schedule into a dataset version in the bucket and one execution of the state machine.

1. Asks whether this event was handled before: its ingestion record names a version, and that version has a manifest.
2. If not: downloads, unpacks, validates; computes the version; if there is no such version yet, splits and uploads.
   Then the ingestion record, then, last, the manifest.
3. Starts the execution whose name comes from version and time of the event.

The same event again (delivered twice, or tried again after a crash at any line) gives one version and one execution:

- A crash before the manifest: no reader sees the version. The next try writes what is not there yet; what is there has
  the same bytes, as the version in its key is their hash.
- A crash after the manifest: the record leads the next try to the version without a download, even if the source has
  other data by then. That is why the record comes first: after the manifest, it could be lost to a crash.
- StartExecution starts a name once. Its input comes from version and times alone, so it is the same to the byte.

Unchanged data are told from a second try by the manifest: it names the event that made the version. For another event
than that, the data are unchanged, and a setting decides whether to train on them again. If not, the execution of the
event that made the version is asked for once more, which does nothing if it was ever started, and makes up for it
if that event was given up between manifest and execution.

At most one ingestion runs at a time (the function's reserved concurrency is 1). If two did, they would write the same.
"""

import errno
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydantic import AwareDatetime, BaseModel, ValidationError

from treering import keys, names
from treering.clock import SYSTEM_CLOCK, Clock, Deadline
from treering.contracts import (
    DatasetManifest,
    DatasetRef,
    ExecutionInput,
    FileRecord,
    IngestionRecord,
    IngestResult,
    ScheduledEvent,
)
from treering.errors import ConfigurationError
from treering.steps.archive import UnpackedFile, file_names, unpack
from treering.steps.hashing import dataset_version
from treering.steps.ports import DataSource, Downloaded, Executions, ObjectStore
from treering.steps.splitting import SplitFile, write_splits
from treering.steps.validation import TableSummary, validate
from treering.use_case import UseCase

# StartExecution (API reference): a name is free again 90 days after the execution ended. Later than that, asking for an
# execution once more could start it a second time.
_NAME_IS_REMEMBERED = timedelta(days=90)


class _MadeFor(BaseModel):
    """The only member of a manifest that ingestion reads back, so that manifests of other releases can be read."""

    scheduled_at: AwareDatetime


@dataclass(frozen=True)
class Ingestion:
    """The step and all it needs. `workspace` is a folder of its own, emptied before and after."""

    use_case: UseCase
    competition: str
    source: DataSource
    bucket: ObjectStore
    executions: Executions
    workspace: Path
    retrain_on_unchanged_data: bool
    clock: Clock = SYSTEM_CLOCK

    def run(self, event: ScheduledEvent, deadline: Deadline) -> IngestResult:
        """Handle one event of the schedule. Raises `treering.errors`; then the same event can be handled again."""
        scheduled_at = event.time.astimezone(UTC).replace(microsecond=0)  # the precision of names
        with emptied(self.workspace):
            known = self._handled_version(scheduled_at)
            version = known or self._store(scheduled_at, deadline)
        return self._start(version, scheduled_at)

    def _handled_version(self, scheduled_at: datetime) -> str | None:
        """Version that this event led to, if all of it is there."""
        record = self.bucket.find(keys.ingestion_key(self.use_case.dataset, scheduled_at))
        if record is None:
            return None
        version = IngestionRecord.model_validate_json(record).version
        return version if self._made_for(version) is not None else None

    def _made_for(self, version: str) -> datetime | None:
        """Time of the event that made a version; none if the version is not there, or not complete."""
        manifest = self.bucket.find(keys.manifest_key(self.use_case.dataset, version))
        return None if manifest is None else self._time_in(manifest, version)

    def _time_in(self, manifest: bytes, version: str) -> datetime:
        try:
            return _MadeFor.model_validate_json(manifest).scheduled_at
        except ValidationError as error:
            uri = keys.uri(self.bucket.name, keys.manifest_key(self.use_case.dataset, version))
            raise ConfigurationError(f"{uri} is no manifest of a dataset version: {error}. Was it edited?") from error

    def _store(self, scheduled_at: datetime, deadline: Deadline) -> str:
        """Download, check and store the data; the version they have."""
        maximum_bytes = self.use_case.source.maximum_megabytes * 1024**2
        archive = self.workspace / "download.zip"
        download = self.source.download(self.competition, archive, maximum_bytes, deadline)
        raw = unpack(archive, self.use_case.source.files, self.workspace / "raw", maximum_bytes)
        download_holds = file_names(archive) if len(raw) < len(self.use_case.source.files) else []
        archive.unlink()  # makes room for the splits
        self._require_room(raw)
        table = validate(self.use_case, {name: file.path for name, file in raw.items()}, download_holds)
        version = dataset_version(self.use_case, {name: file.sha256 for name, file in raw.items()})
        if self._made_for(version) is not None:
            self._remember(version, scheduled_at)
            return version
        splits = write_splits(raw[self.use_case.source.labelled_file].path, self.use_case, self.workspace)
        manifest = self._manifest(version, scheduled_at, download, table, raw, splits)
        for record, file in zip(manifest.raw, raw.values(), strict=True):
            self.bucket.create_from_file(record.key, file.path, record.sha256)
        for name, split in splits.items():
            self.bucket.create_from_file(manifest.splits[name].key, split.path, split.sha256)
        self._remember(version, scheduled_at)
        self.bucket.create(keys.manifest_key(self.use_case.dataset, version), manifest.to_json().encode())
        return version

    def _require_room(self, raw: Mapping[str, UnpackedFile]) -> None:
        """Say before the long part that the splits, which are as large as the labelled file, would not fit."""
        labelled = raw.get(self.use_case.source.labelled_file)
        needed = labelled.bytes if labelled else 0
        usage = shutil.disk_usage(self.workspace)
        if needed > usage.free:
            raise ConfigurationError(
                f"The splits of {self.use_case.source.labelled_file} need {needed:,} bytes in {self.workspace}, which "
                f"has {usage.free:,} left of {usage.total:,}. Raise the function's ephemeral storage "
                f"(IngestStorageMegabytes) by {-(-(needed - usage.free) // 1024**2):,} MB or more."
            )

    def _remember(self, version: str, scheduled_at: datetime) -> None:
        """Tie the event to the version. A record with another version is of a try that got no manifest written."""
        record = IngestionRecord(dataset=self.use_case.dataset, version=version, scheduled_at=scheduled_at)
        key, body = keys.ingestion_key(self.use_case.dataset, scheduled_at), record.to_json().encode()
        if not self.bucket.create(key, body) and self.bucket.read(key) != body:
            self.bucket.replace(key, body)

    def _manifest(
        self,
        version: str,
        scheduled_at: datetime,
        download: Downloaded,
        table: TableSummary,
        raw: Mapping[str, UnpackedFile],
        splits: Mapping[keys.Split, SplitFile],
    ) -> DatasetManifest:
        dataset = self.use_case.dataset
        return DatasetManifest(
            dataset=dataset,
            version=version,
            use_case=self.use_case.name,
            source=download.url,
            competition=self.competition,
            scheduled_at=scheduled_at,
            downloaded_at=self.clock.now(),
            rows={name: split.rows for name, split in splits.items()},
            columns=table.columns,
            split_salt=self.use_case.split.salt,
            split_shares=self.use_case.split.shares,
            raw=tuple(
                FileRecord(key=keys.raw_prefix(dataset, version) + name, bytes=file.bytes, sha256=file.sha256)
                for name, file in raw.items()
            ),
            splits={
                name: FileRecord(
                    key=keys.split_key(dataset, version, name), bytes=split.bytes, sha256=split.sha256, rows=split.rows
                )
                for name, split in splits.items()
            },
        )

    def _start(self, version: str, scheduled_at: datetime) -> IngestResult:
        """Start the execution that this event asks for, once."""
        made_for = self._time_in(self.bucket.read(keys.manifest_key(self.use_case.dataset, version)), version)
        is_new = made_for == scheduled_at
        what = f"{'New' if is_new else 'Unchanged'} dataset version {version} of {self.use_case.dataset}"
        if is_new or self.retrain_on_unchanged_data:
            arn, started = self._ask_for_execution(version, scheduled_at)
            then = "its training was started" if started else "this event had started its training before"
            return self._result(version, is_new, arn, started, f"{what}: {then}.")
        if abs(scheduled_at - made_for) < _NAME_IS_REMEMBERED:
            arn, started = self._ask_for_execution(version, made_for)
            if started:
                since = f"stored on {made_for:%Y-%m-%d} but never trained on until now"
                return self._result(version, False, arn, True, f"{what}, {since}: its training was started.")
        then = "not trained on again, as RETRAIN_ON_UNCHANGED_DATA is false"
        return self._result(version, False, None, False, f"{what}: {then}.")

    def _ask_for_execution(self, version: str, scheduled_at: datetime) -> tuple[str, bool]:
        execution_input = ExecutionInput(dataset=self._reference(version), scheduled_at=scheduled_at)
        return self.executions.start(names.execution_name(version, scheduled_at), execution_input.model_dump_json())

    def _reference(self, version: str) -> DatasetRef:
        dataset, bucket = self.use_case.dataset, self.bucket.name
        return DatasetRef(
            name=dataset,
            version=version,
            prefix_uri=keys.uri(bucket, keys.dataset_prefix(dataset, version)),
            manifest_uri=keys.uri(bucket, keys.manifest_key(dataset, version)),
        )

    def _result(self, version: str, is_new: bool, arn: str | None, started: bool, message: str) -> IngestResult:
        return IngestResult(
            dataset=self._reference(version),
            new_version=is_new,
            execution_arn=arn,
            execution_started=started,
            message=message,
        )


@contextmanager
def emptied(folder: Path) -> Iterator[None]:
    """The folder, empty at the start and gone at the end: a warm Lambda environment keeps /tmp, and one that was
    killed keeps half-written files there. A full disk becomes ConfigurationError."""
    shutil.rmtree(folder, ignore_errors=True)
    try:
        folder.mkdir(parents=True)
        yield
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise ConfigurationError(
            f"{folder} is full. Raise the function's ephemeral storage (EphemeralStorage in template.yaml)."
        ) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)

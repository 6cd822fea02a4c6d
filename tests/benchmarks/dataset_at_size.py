"""A dataset version of any size, as ingestion stores it and a job finds it."""

from datetime import UTC, datetime
from pathlib import Path

from tests.benchmarks.houses_at_size import CASE, write
from treering.contracts import DatasetManifest, FileRecord
from treering.keys import MANIFEST
from treering.steps.splitting import write_splits

VERSION = "0123456789abcdef"
ENVIRONMENT = {
    "TREERING_USE_CASE": CASE.name,
    "TREERING_RUN_ID": "20240101-060000-0a1b2c3d",
    "TREERING_DATASET_VERSION": VERSION,
}


def make(folder: Path, rows: int | None = None, megabytes: float | None = None) -> DatasetManifest:
    """Write splits and manifest into `folder`; `rows` and `megabytes` are of all splits together."""
    folder.mkdir(parents=True)
    table = folder / "all.csv"
    write(table, rows, megabytes)
    splits = write_splits(table, CASE, folder)
    table.unlink()
    day = datetime(2024, 1, 1, tzinfo=UTC)
    manifest = DatasetManifest(
        dataset=CASE.dataset,
        version=VERSION,
        use_case=CASE.name,
        source="made for a benchmark",
        competition=CASE.source.competition,
        scheduled_at=day,
        downloaded_at=day,
        rows={name: split.rows for name, split in splits.items()},
        columns=(),
        split_salt=CASE.split.salt,
        split_shares=CASE.split.shares,
        raw=(),
        splits={
            name: FileRecord(key=f"{name}.csv", bytes=split.bytes, sha256=split.sha256, rows=split.rows)
            for name, split in splits.items()
        },
    )
    (folder / MANIFEST).write_text(manifest.to_json())
    return manifest

"""Reads the splits of a dataset version from a folder, as SageMaker copies it into a job."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from treering.contracts import DatasetManifest
from treering.errors import ConfigurationError, InvalidDataError
from treering.keys import MANIFEST, Split
from treering.steps.csv_columns import read_encoded

# Bytes in memory at least: of a cell (see `EncodedColumn`); of a row besides, for its key as text, its target, and the
# values of one feature while it is measured. docs/performance.md says what was measured.
_CELL, _ROW = 1, 100


def require_memory(manifest: DatasetManifest, split: Split, columns: int, parameter: str) -> None:
    """Raises ConfigurationError if a split of so many columns cannot fit into this machine's memory, however it goes.

    `parameter` names the template's parameter for the instance type.
    """
    needed = manifest.rows[split] * (columns * _CELL + _ROW)
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if needed > memory:
        raise ConfigurationError(
            f"The {split} split of dataset version {manifest.version} has {manifest.rows[split]:,} rows of {columns} "
            f"columns, which need {needed / 1e6:,.0f} MB of memory at least; this instance has {memory / 1e6:,.0f} MB. "
            f"Give the job a larger one ({parameter})."
        )


def read_manifest(folder: Path, version: str) -> DatasetManifest:
    """The manifest in `folder`. Raises InvalidDataError if there is none or if it is another version's."""
    path = folder / MANIFEST
    try:
        manifest = DatasetManifest.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        raise InvalidDataError(
            f"The dataset version {version} has no {MANIFEST}, so it is not complete. Ingest it again."
        ) from error
    except ValidationError as error:
        raise InvalidDataError(f"The {MANIFEST} of dataset version {version} is not valid: {error}") from error
    if manifest.version != version:
        raise InvalidDataError(
            f"The job was started for dataset version {version}, but its input is version {manifest.version}. "
            "Give it the prefix of that version."
        )
    return manifest


def read_split(folder: Path, manifest: DatasetManifest, split: Split) -> dict[str, Sequence[str]]:
    """Raw columns of a split, all values as text, as `read_encoded` gives them.

    Raises InvalidDataError if the file is not what the manifest says.
    """
    path = folder / f"{split}.csv"
    columns = read_encoded(path)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != manifest.splits[split].sha256:
        raise InvalidDataError(
            f"{path.name} of dataset version {manifest.version} is not the file that its manifest describes "
            f"(SHA-256 {digest}, expected {manifest.splits[split].sha256}). Ingest the data again."
        )
    if not columns or not next(iter(columns.values())):
        raise InvalidDataError(f"{path.name} of dataset version {manifest.version} has no row.")
    return columns

"""Reads the splits of a dataset version from a folder, as SageMaker copies it into a job."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from treering.contracts import DatasetManifest
from treering.errors import InvalidDataError
from treering.keys import MANIFEST, Split
from treering.steps.csv_columns import read_encoded


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

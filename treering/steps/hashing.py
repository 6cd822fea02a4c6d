"""Content hashes: of a file, and of all that makes a dataset version."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from treering.use_case import UseCase

_FORMAT = 1  # of a version's objects; another number gives every data set a new version


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex, in constant memory."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def dataset_version(use_case: UseCase, files: Mapping[str, str]) -> str:
    """Version of a data set, 16 hex digits; `files` maps the name of every raw file to its SHA-256.

    It covers what a version's objects are made of, and nothing else: the bytes of the use case's files, which are
    stored as they came, and what decides each row's split (labelled file, key column, salt, shares). So no two contents
    ever want the same object key, and the same data give the same version: however they were zipped, whenever and
    wherever they were downloaded, and whatever model is to be learned from them.
    """
    made_of = {
        "format": _FORMAT,
        "files": {name: files[name] for name in use_case.source.files},
        "labelled_file": use_case.source.labelled_file,
        "key": use_case.columns.key,
        "salt": use_case.split.salt,
        "shares": use_case.split.shares,
    }
    return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()[:16]


def unit_position(text: str) -> float:
    """Where the hash of a text lies in [0, 1): the first 53 bits of its SHA-256, all that a float holds exactly."""
    return (int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 11) / 2**53

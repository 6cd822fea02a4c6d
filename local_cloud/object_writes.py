"""Objects in buckets are whole, with their metadata, or as they were before: also where the cloud is killed in between.

The emulator keeps an object's body in one file and what it knows of it (type, tag, version) in another, and replaces
them one after the other. Before it does, what it is about to write is noted here; the next cloud finishes what it finds
noted, or, where the body has not been replaced yet, forgets it.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from local_cloud import durable_files

_FOLDER = "s3_writes"


def install(state: Path) -> None:
    """Note every write of an object in ``<state>/s3_writes`` while it goes on."""
    from ministack.services import s3

    folder = state / _FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    write_files = s3._persist_object

    def persist(bucket: str, key: str, obj: Any) -> None:
        note = _note(s3, folder, bucket, key, obj) if isinstance(obj, Mapping) and obj.get("body") is not None else None
        write_files(bucket, key, obj)
        if note is not None:
            note.unlink()
        _forget_bodies(s3, bucket, key, obj)

    s3._persist_object = persist


def finish(state: Path) -> None:
    """Finish the writes of a cloud that was killed; call it before the emulator, which reads objects, is imported."""
    for note in sorted((state / _FOLDER).glob("*.json")):
        written = durable_files.read(note, holds="an object that was being written")
        body = Path(written["body"])
        if body.is_file() and _digest(body.read_bytes()) == written["digest"]:
            durable_files.write(Path(f"{body}.meta.json"), json.dumps(written["known"]))
        for unfinished in (f"{body}.tmp", f"{body}.meta.json.tmp"):
            Path(unfinished).unlink(missing_ok=True)
        note.unlink()


def _forget_bodies(s3: Any, bucket: str, key: str, obj: Any) -> None:
    """Drop what lies on the disk from memory: the emulator drops an object's own body, but not that of its version."""
    if not isinstance(obj, Mapping) or obj.get("body") is not None:  # it could not be written
        return
    for version in s3._object_versions.get((bucket, key)) or []:
        version.pop("data", None)  # earlier ones were written when they were displaced


def _note(s3: Any, folder: Path, bucket: str, key: str, obj: Mapping[str, Any]) -> Path | None:
    path = s3._object_disk_path(bucket, key)
    if path is None:
        return None
    known = {**s3._object_meta_from_record(obj), **s3._key_history_meta(bucket, key), "key": key}
    note = folder / f"{uuid.uuid4().hex}.json"
    unfinished = note.with_suffix(".tmp")
    unfinished.write_text(json.dumps({"body": str(path), "digest": _digest(obj["body"]), "known": known}))
    unfinished.replace(note)
    return note


def _digest(body: bytes) -> str:
    return hashlib.blake2b(body, digest_size=20).hexdigest()

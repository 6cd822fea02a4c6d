"""What an image is once it is built: folders to mount, an environment, and what to run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from local_cloud.sandbox import Mount


@dataclass(frozen=True)
class EngineImage:
    """An image that a container engine holds.

    ``reference`` is the engine's own ID of it. ``program`` is the engine's command, ``environment`` what that command
    needs in its environment. ``owner`` tells the containers of one local cloud from those of another.
    """

    reference: str
    program: str
    environment: Mapping[str, str]
    owner: str


@dataclass(frozen=True)
class ImageSpec:
    """A built image.

    ``uri`` names it as it was asked for; ``digest`` is 64 hexadecimal digits of its content. ``mounts`` are read-only
    and hold the image's files and its Python; ``env`` is the whole environment of its programs, ``workdir`` absolute.
    ``entrypoint`` and ``command`` are those of the Dockerfile or its base. ``packages`` are the names (normalised, as
    in PEP 503) that its programs can import from: requirements and what the base image brings. ``notes`` says where
    this image differs from what a container engine would have built. With an ``engine_image`` there are no mounts.
    """

    uri: str
    digest: str
    mounts: tuple[Mount, ...]
    env: Mapping[str, str]
    workdir: str
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    ports: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    engine_image: EngineImage | None = None

    def to_json(self, folder: Path) -> str:
        """The image as JSON text; its mounts are written relative to ``folder``, so that the folder may be moved."""
        content = {
            "uri": self.uri,
            "digest": self.digest,
            "mounts": [{"source": str(m.source.relative_to(folder)), "target": m.target} for m in self.mounts],
            "env": dict(self.env),
            "workdir": self.workdir,
            "entrypoint": self.entrypoint,
            "command": self.command,
            "packages": self.packages,
            "labels": dict(self.labels),
            "ports": self.ports,
            "notes": self.notes,
            "engine_image": None if self.engine_image is None else asdict(self.engine_image),
        }
        return json.dumps(content, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str, folder: Path, uri: str) -> ImageSpec:
        """Read what ``to_json`` wrote; the image is then known by ``uri``."""
        content: dict[str, Any] = json.loads(text)
        return cls(
            uri=uri,
            digest=content["digest"],
            mounts=tuple(Mount(folder / m["source"], m["target"], read_only=True) for m in content["mounts"]),
            env=content["env"],
            workdir=content["workdir"],
            entrypoint=tuple(content["entrypoint"]),
            command=tuple(content["command"]),
            packages=tuple(content["packages"]),
            labels=content["labels"],
            ports=tuple(content["ports"]),
            notes=tuple(content["notes"]),
            engine_image=EngineImage(**content["engine_image"]) if content["engine_image"] else None,
        )

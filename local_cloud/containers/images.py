"""Builds images with the engine and notes them where the local cloud looks for images.

The Dockerfile is the engine's to interpret. Only its base is looked at beforehand: where it cannot be pulled, the build
argument that names it gets a stand-in.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from local_cloud.containers.bases import BaseImages
from local_cloud.containers.engine import Engine, EngineError
from local_cloud.images import ImageError, ImageRegistry, ImageSpec
from local_cloud.images.dockerfile import read_dockerfile
from local_cloud.images.spec import EngineImage

_ARGUMENT = re.compile(r"\$(?:(\w+)|\{(\w+)\})")


class ContainerImages:
    """Builds for one local cloud, whose state directory is ``state``. Safe to use from several threads."""

    def __init__(self, engine: Engine, bases: BaseImages, registry: ImageRegistry, state: Path) -> None:
        self._engine, self._bases, self._registry = engine, bases, registry
        self._owner = hashlib.sha256(os.fsencode(state.absolute())).hexdigest()[:12]

    def build(
        self,
        name: str,
        *,
        dockerfile: Path,
        context: Path,
        build_args: Mapping[str, str] | None = None,
        tag: str = "latest",
    ) -> ImageSpec:
        """Build a Dockerfile and note it as ``name``; the spec's URI names it by digest. Raises ImageError."""
        arguments = dict(build_args or {})
        stand_in = self._choose_base(dockerfile, arguments)
        try:
            identity = self._build(dockerfile, context, arguments, f"treering/{name}:{tag}")
            described = json.loads(self._engine.run("image", "inspect", identity))[0]
        except EngineError as error:
            raise ImageError(f"{dockerfile} could not be built: {error}") from error
        notes = [f"built on {arguments[stand_in]}, for its own base cannot be pulled here"] if stand_in else []
        return self._registry.push(name, self._spec(identity, described, notes), tag=tag)

    def _choose_base(self, dockerfile: Path, arguments: dict[str, str]) -> str | None:
        """Set the build argument that names the base where the base has a stand-in; return the argument's name."""
        if not dockerfile.is_file():
            raise ImageError(f"{dockerfile} does not exist: check Dockerfile and DockerContext in the template")
        defaults: dict[str, str] = {}
        for instruction in read_dockerfile(dockerfile):
            if instruction.name == "ARG":
                name, _, default = instruction.text.partition("=")
                defaults[name] = default
                continue
            if instruction.name != "FROM":
                break
            words = instruction.words()
            reference = instruction.expand(words[0], defaults | arguments)
            found = self._bases.find(reference)
            argument = _ARGUMENT.fullmatch(words[0])
            if found == reference:
                return None
            if argument is None:
                raise instruction.error(
                    f"{reference} cannot be pulled; with `FROM ${{BASE_IMAGE}}` another could serve"
                )
            name = argument[1] or argument[2]
            arguments[name] = found
            return name
        raise ImageError(f"{dockerfile} has no FROM")

    def _build(self, dockerfile: Path, context: Path, arguments: Mapping[str, str], reference: str) -> str:
        given = [word for name, value in arguments.items() for word in ("--build-arg", f"{name}={value}")]
        with tempfile.TemporaryDirectory(prefix="treering-build-") as folder:
            identity = Path(folder) / "id"
            self._engine.run(
                "build", "--network=host", "--file", str(dockerfile), *given, "--tag", reference,
                "--iidfile", str(identity), str(context),
                build=True,
            )  # fmt: skip
            return identity.read_text().strip()

    def _spec(self, identity: str, described: Mapping[str, Any], notes: list[str]) -> ImageSpec:
        config: Mapping[str, Any] = described["Config"]
        return ImageSpec(
            uri="",
            digest=identity.removeprefix("sha256:"),
            mounts=(),
            env=dict(variable.split("=", 1) for variable in config.get("Env") or ()),
            workdir=config.get("WorkingDir") or "/",
            entrypoint=tuple(config.get("Entrypoint") or ()),
            command=tuple(config.get("Cmd") or ()),
            labels=config.get("Labels") or {},
            ports=tuple(config.get("ExposedPorts") or ()),
            notes=tuple(notes),
            engine_image=EngineImage(identity, self._engine.program, dict(self._engine.environment), self._owner),
        )

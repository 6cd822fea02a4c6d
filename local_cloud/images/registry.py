"""Images by URI, as ECR holds them: repositories with digests and tags.

On disk: ``images/<digest>/`` with ``root/`` (what was copied), ``python/`` and ``spec.json``, and
``images/repositories/<name>/{digests,tags}/…``, small files that hold a digest. An image appears under its digest all
at once, by a rename, and is never changed.
"""

from __future__ import annotations

import os
import py_compile
import re
import shutil
import uuid
from collections.abc import Mapping
from importlib.util import cache_from_source
from pathlib import Path

from local_cloud.images.build import ROOT, SPEC, ImageBuild
from local_cloud.images.errors import ImageError, ImageNotFoundError
from local_cloud.images.spec import ImageSpec

# https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CreateRepository.html, repositoryName
_NAME = re.compile(r"(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*[a-z0-9]+(?:[._-][a-z0-9]+)*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_URI = re.compile(
    r"(?P<registry>\d{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com)/(?P<name>[a-z0-9._/-]+?)"
    r"(?:@sha256:(?P<digest>[0-9a-f]{64})|:(?P<tag>[A-Za-z0-9_][A-Za-z0-9._-]*))?"
)


_COMPILED: dict[bytes, bytes] = {}  # content of a Python file → what was compiled of it


class ImageRegistry:
    """The images of one local cloud, under ``<state_dir>/images``.

    ``account_id`` and ``region`` become part of the images' URIs. Safe to use from several threads and processes.
    """

    def __init__(self, state_dir: Path, *, account_id: str = "000000000000", region: str = "us-east-1") -> None:
        self._folder = state_dir.absolute() / "images"
        self._registry = f"{account_id}.dkr.ecr.{region}.amazonaws.com"

    def build(
        self,
        name: str,
        *,
        dockerfile: Path,
        context: Path,
        build_args: Mapping[str, str] | None = None,
        tag: str = "latest",
    ) -> ImageSpec:
        """Build a Dockerfile and push it as ``name``; the spec's URI names it by digest.

        The same sources give the same digest. Raises ImageError, DockerfileError.
        """
        if not _NAME.fullmatch(name) or not _TAG.fullmatch(tag):
            raise ImageError(
                f"{name}:{tag} is no valid name of an image: lower-case letters, digits, and . _ - / between"
            )
        self._folder.mkdir(parents=True, exist_ok=True)
        self._sweep()
        folder = self._folder / f".building-{os.getpid()}-{uuid.uuid4().hex}"
        try:
            spec = ImageBuild(dockerfile, context, build_args or {}, folder).run()
            (folder / SPEC).write_text(spec.to_json(folder), encoding="utf-8")
            if not (self._folder / spec.digest / SPEC).is_file():
                _compile(folder / ROOT)
                self._publish(folder, self._folder / spec.digest)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return self._tag(name, tag, spec.digest)

    def push(self, name: str, spec: ImageSpec, *, tag: str = "latest") -> ImageSpec:
        """Note an image that a container engine holds as ``name``; the returned spec's URI names it by digest."""
        _write(self._folder / spec.digest / SPEC, spec.to_json(self._folder / spec.digest))
        return self._tag(name, tag, spec.digest)

    def _tag(self, name: str, tag: str, digest: str) -> ImageSpec:
        repository = self._folder / "repositories" / name
        _write(repository / "digests" / digest, digest)
        _write(repository / "tags" / tag, digest)
        return self.resolve(f"{self._registry}/{name}@sha256:{digest}")

    def resolve(self, uri: str) -> ImageSpec:
        """Return the image that a URI names, by digest, by tag, or as ``latest``. Raises ImageNotFoundError."""
        match = _URI.fullmatch(uri)
        if match is None:
            raise ImageNotFoundError(
                f"{uri!r} is no URI of an image in ECR: it reads {self._registry}/<name>@sha256:<digest> or …:<tag>"
            )
        if match["registry"] != self._registry:
            raise ImageNotFoundError(
                f"{uri}: the local cloud has only the registry {self._registry}, and pulls nothing from elsewhere"
            )
        repository = self._folder / "repositories" / match["name"]
        digest_entry, tag_entry = repository / "digests" / (match["digest"] or ""), repository / "tags"
        entry = digest_entry if match["digest"] else tag_entry / (match["tag"] or "latest")
        try:
            digest = entry.read_text()
            folder = self._folder / digest
            return ImageSpec.from_json((folder / SPEC).read_text(encoding="utf-8"), folder, uri)
        except FileNotFoundError:
            raise ImageNotFoundError(
                f"there is no image {uri}; {self._known()}: deploy again, which builds it"
            ) from None

    def _known(self) -> str:
        tags = sorted((self._folder / "repositories").glob("**/tags/*"))
        root = self._folder / "repositories"
        names = [f"{tag.parent.parent.relative_to(root)}:{tag.name}" for tag in tags]
        return f"known are {', '.join(names)}" if names else "none has been built"

    def _publish(self, folder: Path, place: Path) -> None:
        try:
            folder.rename(place)
        except OSError:
            if not (place / SPEC).is_file():  # not the same image, built before or just now
                raise

    def _sweep(self) -> None:
        """Remove what builds of processes that no longer run have left."""
        for folder in self._folder.glob(".building-*"):
            owner = folder.name.split("-")[1]
            if not Path("/proc", owner).exists():
                shutil.rmtree(folder, ignore_errors=True)


def _compile(folder: Path) -> None:
    """Compile the Python files of an image, which is read-only: every start would compile them again.

    An image never changes, so nothing needs to compare a file with what was compiled of it.
    """
    for path in folder.rglob("*.py"):
        source = path.read_bytes()
        compiled = Path(cache_from_source(str(path)))
        if source in _COMPILED:  # images have much in common
            compiled.parent.mkdir(exist_ok=True)
            compiled.write_bytes(_COMPILED[source])
            continue
        # a file with an error says so when it is imported
        made = py_compile.compile(
            str(path), doraise=False, quiet=2, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH
        )
        if made:
            _COMPILED[source] = compiled.read_bytes()


def _write(path: Path, text: str) -> None:
    """Write a small file so that a reader sees the old text or the new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_file() and path.read_text() == text:
        return
    temporary = path.parent / f".{path.name}-{uuid.uuid4().hex}"
    temporary.write_text(text)
    temporary.replace(path)

"""Base images: as the Dockerfiles name them, or stand-ins where no registry of images can be reached.

A stand-in is Debian with its Python, put together by mmdebstrap from Debian's packages. For Lambda's base it also has
what AWS's has: the entry point, the runtime client and the Runtime Interface Emulator (folder ``lambda_base``). It
shows that an image builds and has all it needs; it does not show AWS's own Python and system libraries.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
import threading
from importlib.metadata import version
from pathlib import Path

from local_cloud.containers.engine import Engine, EngineError
from local_cloud.images.bases import Base, find_base
from local_cloud.images.errors import ImageError
from local_cloud.images.requirements import with_dependencies
from local_cloud.lambda_runtime.emulator import emulator_binary

_PULL_SECONDS = 300.0
_DEBIAN = "bookworm"
_PACKAGES = "python3-minimal,python3-pip,ca-certificates"
# A machine whose clock or mirror is not of today refuses its own package lists otherwise.
_APT_OPTIONS = ('Acquire::Check-Valid-Until "false"', 'Acquire::Check-Date "false"')
_REPOSITORY = "localhost/treering/stand-in"
_LAMBDA_FILES = Path(__file__).with_name("lambda_base")


class BaseImages:
    """Base images of one engine. ``cache`` keeps the archive that stand-ins are made of. Safe for several threads."""

    def __init__(self, engine: Engine, cache: Path) -> None:
        self._engine = engine
        self._cache = cache
        self._lock = threading.Lock()
        self._found: dict[str, str] = {}

    def find(self, reference: str) -> str:
        """Return what to build on: ``reference`` if the engine has or can pull it, else its stand-in.

        Raises ImageError if it is to be had in neither way.
        """
        with self._lock:
            if reference not in self._found:
                self._found[reference] = self._pulled(reference)
            return self._found[reference]

    def _pulled(self, reference: str) -> str:
        if self._engine.has_image(reference):
            return reference
        try:
            self._engine.run("pull", "--quiet", reference, timeout=_PULL_SECONDS)
        except (EngineError, TimeoutError) as problem:
            found = find_base(reference)
            if found is None:
                raise ImageError(f"{reference} cannot be pulled, and there is no stand-in for it: {problem}") from None
            return self._stand_in(found[0], str(problem))
        return reference

    def _stand_in(self, base: Base, why: str) -> str:
        debian = f"{_REPOSITORY}:{_DEBIAN}"
        if not self._engine.has_image(debian):
            archive = self._debian_archive(base, why)
            change = 'CMD ["python3"]'
            self._engine.run("import", "--change", "ENV LANG=C.UTF-8", "--change", change, str(archive), debian)
        return self._lambda_stand_in(debian) if "awslambdaric" in base.provides else debian

    def _debian_archive(self, base: Base, why: str) -> Path:
        name = hashlib.sha256("\n".join((_DEBIAN, _PACKAGES, *_APT_OPTIONS)).encode()).hexdigest()[:12]
        archive = self._cache / f"debian-{name}.tar"
        if archive.is_file():
            return archive
        program = shutil.which("mmdebstrap")
        if program is None:
            raise ImageError(
                f"{base.name} cannot be pulled ({why}), and mmdebstrap, which puts a stand-in together, is not "
                "installed: run `apt-get install --no-install-recommends mmdebstrap`, or let this machine reach it"
            )
        self._cache.mkdir(parents=True, exist_ok=True)
        unfinished = archive.with_suffix(".unfinished")
        options = [f"--aptopt={option}" for option in _APT_OPTIONS]
        done = subprocess.run(
            [program, "--variant=minbase", f"--include={_PACKAGES}", *options, "--format=tar", _DEBIAN, unfinished],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            unfinished.unlink(missing_ok=True)
            raise ImageError(f"mmdebstrap could not make the stand-in for {base.name}: {done.stderr.strip()[-2000:]}")
        unfinished.replace(archive)
        return archive

    def _lambda_stand_in(self, debian: str) -> str:
        reference = f"{_REPOSITORY}-lambda:{_DEBIAN}"
        with tempfile.TemporaryDirectory(prefix="treering-base-") as folder:
            context = Path(folder)
            shutil.copytree(_LAMBDA_FILES, context, dirs_exist_ok=True)
            shutil.copy(emulator_binary(), context / "aws-lambda-rie")
            pins = [f"{name}=={version(name)}" for name in sorted(with_dependencies(["awslambdaric"]))]
            (context / "requirements.txt").write_text("\n".join(pins) + "\n")
            self._engine.run(
                "build", "--network=host", "--build-arg", f"BASE_IMAGE={debian}", "--tag", reference, folder, build=True
            )
        return reference

"""A Python for an image: the running interpreter, with the image's own packages and no others.

It is a virtual environment whose ``site-packages`` holds links to the installed packages, so it costs no space and
next to no time, and a program that imports what its requirements file forgot fails here as it would in the container.
Programs that packages install (``bin/``) are left out: start them with ``python -m``.
"""

from __future__ import annotations

import csv
import importlib.metadata
import sys
from collections.abc import Iterable
from pathlib import Path

from local_cloud.images.requirements import RequirementsError


def interpreter() -> Path:
    """The interpreter under the running virtual environment, if it is one."""
    return Path(getattr(sys, "_base_executable", None) or sys.executable).resolve()


def create(folder: Path, packages: Iterable[str]) -> None:
    """Create the environment in an empty folder, with the given installed packages.

    Raises RequirementsError if it cannot be known which files belong to a package.
    """
    python = interpreter()
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    programs = folder / "bin"
    programs.mkdir(parents=True)
    (programs / "python").symlink_to(python)
    for name in ("python3", f"python{version}"):
        (programs / name).symlink_to("python")
    (folder / "pyvenv.cfg").write_text(f"home = {python.parent}\ninclude-system-site-packages = false\n")
    site = folder / "lib" / f"python{version}" / "site-packages"
    site.mkdir(parents=True)
    places: dict[str, set[Path]] = {}
    for package in packages:
        for path in _top_level(package):
            places.setdefault(path.name, set()).add(path)
    for name, paths in places.items():
        _link(site / name, sorted(paths))


def _top_level(package: str) -> set[Path]:
    """The files and folders of a package right in ``site-packages``, its metadata among them."""
    distribution = importlib.metadata.distribution(package)
    record = distribution.read_text("RECORD")
    if record is None:
        raise RequirementsError(
            f"{package} has no list of its files (RECORD), so it cannot become part of an image: install it with "
            f"`{sys.executable} -m pip install --force-reinstall {package}=={distribution.version}`"
        )
    root = Path(str(distribution.locate_file("")))
    names = {row[0].partition("/")[0] for row in csv.reader(record.splitlines()) if row}
    # ".." leads to programs, "" is an absolute path; the cache of top-level modules is made again where it can be
    return {root / name for name in names - {"..", "", "__pycache__"}}


def _link(place: Path, paths: list[Path]) -> None:
    """Link to a package's folder; if it lies in several ``site-packages`` folders (a namespace), to what is in them."""
    if len(paths) == 1:
        place.symlink_to(paths[0])
        return
    place.mkdir()
    children: dict[str, list[Path]] = {}
    for path in paths:
        for child in path.iterdir():
            children.setdefault(child.name, []).append(child)
    for name, found in children.items():
        _link(place / name, found)

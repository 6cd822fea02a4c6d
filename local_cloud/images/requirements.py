"""The packages of a ``pip install -r``: pinned, installed here in just that version, and complete.

Nothing is installed: the programs of an image share the packages of the running interpreter, but see only those that
their own requirements file pins (``python_environment``).
"""

from __future__ import annotations

import importlib.metadata
import re
import sys
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

_COMMENT = re.compile(r"(^|\s)#.*$")
_HASH = re.compile(r"\s--hash=\S+")


class RequirementsError(Exception):
    """A requirements file cannot be satisfied; says which packages, what was wanted and found, and what to run."""


@dataclass(frozen=True)
class Pin:
    """One pinned package: its normalised name, its version, and the extras asked for."""

    name: str
    version: str
    extras: frozenset[str] = frozenset()


def read_pins(file: Path) -> list[Pin]:
    """Return the packages that a requirements file pins for this interpreter and platform.

    Raises RequirementsError for a line that is not ``name==version`` (markers, extras and hashes may follow).
    """
    pins: dict[str, Pin] = {}
    text = file.read_text(encoding="utf-8").replace("\\\n", " ")
    for line in text.splitlines():
        stated = _HASH.sub("", " " + _COMMENT.sub("", line)).strip()
        if not stated:
            continue
        if stated.startswith("-"):
            raise RequirementsError(f"the local cloud does not interpret the option {stated.split()[0]!r}")
        try:
            requirement = Requirement(stated)
        except InvalidRequirement as error:
            raise RequirementsError(f"{stated!r} is no requirement: {error}") from error
        if requirement.marker is not None and not requirement.marker.evaluate():
            continue
        specifiers = list(requirement.specifier)
        if len(specifiers) != 1 or specifiers[0].operator != "==" or specifiers[0].version.endswith(".*"):
            raise RequirementsError(
                f"{stated!r} is not pinned: write {requirement.name}==<version>, so that every build installs the same"
            )
        name = canonicalize_name(requirement.name)
        pins[name] = Pin(name, specifiers[0].version, frozenset(requirement.extras))
    return list(pins.values())


def check_installed(pins: Iterable[Pin], file: Path) -> None:
    """Raise RequirementsError unless every pin, and all that these packages need, is installed in that version."""
    pinned = {pin.name: pin for pin in pins}
    problems = []
    for pin in pinned.values():
        found = installed_version(pin.name)
        if found is None:
            problems.append(f"{pin.name}: wanted {pin.version}, not installed")
        elif Version(found) != Version(pin.version):
            problems.append(f"{pin.name}: wanted {pin.version}, found {found}")
    if problems:
        raise RequirementsError(
            f"{len(problems)} package(s) of {file} are not in the Python that runs the local cloud ({sys.prefix}): "
            f"{'; '.join(problems)}. Run `{sys.executable} -m pip install -r {file}`, or compile the file again from "
            "the project's lock file so that both agree"
        )
    missing = sorted(
        f"{needed} (needed by {pin.name})"
        for pin in pinned.values()
        for needed in dependencies(pin.name, pin.extras)
        if needed not in pinned
    )
    if missing:
        raise RequirementsError(
            f"{file} is not complete, so a build may install other versions every day: it does not pin "
            f"{', '.join(missing)}; compile it again"
        )


def read_project(folder: Path) -> Pin:
    """Return name and version of the Python project in a folder, which is installed here and needs nothing.

    Raises RequirementsError otherwise. It is not built: what is installed here stands for it.
    """
    try:
        project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        pin = Pin(canonicalize_name(project["name"]), project["version"])
    except (OSError, tomllib.TOMLDecodeError, KeyError) as error:
        raise RequirementsError(
            f"{folder.name} is no project that pip could install: no name and version in its pyproject.toml ({error})"
        ) from error
    found = installed_version(pin.name)
    if found is None or Version(found) != Version(pin.version):
        raise RequirementsError(
            f"{pin.name} {pin.version}, the project in {folder.name}, is not in the Python that runs the local cloud "
            f"({sys.prefix}), found {found}. Run `make setup`, or `{sys.executable} -m pip install` with its folder"
        )
    if needed := dependencies(pin.name):
        raise RequirementsError(f"{pin.name} needs {', '.join(sorted(needed))}, which --no-deps leaves out")
    return pin


def installed_version(name: str) -> str | None:
    """Version of a package in the running interpreter's environment, None if it is not there."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def dependencies(name: str, extras: Iterable[str] = ()) -> set[str]:
    """Normalised names of what an installed package needs here, with the given extras."""
    needed: set[str] = set()
    for line in importlib.metadata.requires(name) or []:
        requirement = Requirement(line)
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            needed.add(canonicalize_name(requirement.name))
    return needed


def with_dependencies(names: Iterable[str]) -> set[str]:
    """The given installed packages and all that they need; RequirementsError names one that is not installed."""
    found: set[str] = set()
    waiting: list[str] = [canonicalize_name(name) for name in names]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        if installed_version(name) is None:
            raise RequirementsError(
                f"the base image brings {name}, which is not in the Python that runs the local cloud ({sys.prefix}): "
                f"run `{sys.executable} -m pip install {name}`"
            )
        found.add(name)
        waiting.extend(dependencies(name))
    return found

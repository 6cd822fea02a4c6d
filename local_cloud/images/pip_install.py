"""The one kind of RUN that is interpreted: ``pip install`` of a requirements file, or of a project's folder."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from local_cloud.images.dockerfile import Instruction
from local_cloud.images.errors import DockerfileError

_PROGRAMS = (
    ("pip", "install"),
    ("pip3", "install"),
    ("python", "-m", "pip", "install"),
    ("python3", "-m", "pip", "install"),
)
# Options that change nothing of what is installed.
_OPTIONS = frozenset(
    {
        "--break-system-packages",
        "--disable-pip-version-check",
        "--no-cache-dir",
        "--no-compile",
        "--no-deps",
        "--no-input",
        "--only-binary=:all:",
        "--prefer-binary",
        "--quiet",
        "--require-hashes",
        "--root-user-action=ignore",
        "-q",
    }
)
_SHELL = re.compile(r"[;&|<>`()]")


@dataclass(frozen=True)
class Installed:
    """What a RUN installs, as it names them: requirements files, and folders of Python projects."""

    files: tuple[str, ...]
    projects: tuple[str, ...]


def read_pip_install(instruction: Instruction, variables: Mapping[str, str]) -> Installed:
    """Return what a RUN installs.

    Raises DockerfileError for any other command and for options that would change what is installed.
    """
    command = instruction.exec_form()
    if command is None:
        if _SHELL.search(instruction.text):
            raise _only_pip(instruction)
        command = tuple(shlex.split(instruction.expand(instruction.text, variables)))
    program = next((program for program in _PROGRAMS if command[: len(program)] == program), None)
    if program is None:
        raise _only_pip(instruction)
    files, projects, rest = [], [], list(command[len(program) :])
    while rest:
        word = rest.pop(0)
        if word in ("-r", "--requirement") and rest:
            files.append(rest.pop(0))
        elif word.startswith("--requirement="):
            files.append(word.partition("=")[2])
        elif word.startswith(("./", "/")):
            projects.append(word)
        elif word not in _OPTIONS:
            raise instruction.error(f"the local cloud does not interpret {word!r} of pip install")
    if not files and not projects:
        raise _only_pip(instruction)
    if projects and "--no-deps" not in command:
        raise instruction.error("the local cloud installs a project's folder with --no-deps only: pin what it needs")
    return Installed(tuple(files), tuple(projects))


def _only_pip(instruction: Instruction) -> DockerfileError:
    return instruction.error(
        "the local cloud runs only `pip install [options] -r <file>` or `pip install --no-deps ./<folder>`, "
        f"not `{instruction.text}`"
    )

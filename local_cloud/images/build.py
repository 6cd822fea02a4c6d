"""Builds an image: one instruction of the Dockerfile after the other, into a folder that mirrors the image's root.

Interpreted are FROM, ARG, ENV, WORKDIR, COPY, RUN of the forms ``pip install … -r <file>`` and ``pip install --no-deps
./<folder>``, ENTRYPOINT and CMD in exec form, LABEL and EXPOSE; any other instruction, option or form stops the build
with its file and line.
"""

from __future__ import annotations

import hashlib
import json
import os
import posixpath
import re
import stat
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from local_cloud.images import python_environment
from local_cloud.images.bases import BASES, Base, find_base
from local_cloud.images.context import IGNORE_FILE, Context, ContextError
from local_cloud.images.dockerfile import Instruction, read_dockerfile
from local_cloud.images.errors import ImageError
from local_cloud.images.pip_install import read_pip_install
from local_cloud.images.requirements import (
    Pin,
    RequirementsError,
    check_installed,
    read_pins,
    read_project,
    with_dependencies,
)
from local_cloud.images.spec import ImageSpec
from local_cloud.sandbox import Mount

ROOT, PYTHON, SPEC = "root", "python", "spec.json"
# Folders that every base image has: what is copied into them is mounted entry by entry, so that the rest stays visible.
_BASE_FOLDERS = frozenset(
    ("/", "/bin", "/etc", "/home", "/lib", "/mnt", "/opt", "/opt/ml", "/root", "/srv", "/usr", "/usr/bin", "/usr/lib",
     "/usr/local", "/usr/local/bin", "/usr/local/lib", "/usr/local/share", "/usr/share", "/var", "/var/lib", "/var/opt")
)  # fmt: skip


class ImageBuild:
    """One build, into ``folder``, which must not exist.

    ``build_args`` are the values for ARG. ``run`` raises ImageError; ``folder`` is then of no use.
    """

    def __init__(self, dockerfile: Path, context: Path, build_args: Mapping[str, str], folder: Path) -> None:
        self.dockerfile = dockerfile
        self.folder = folder
        self.base: Base | None = None
        self.env: dict[str, str] = {}
        self.workdir = "/"
        self.entrypoint: tuple[str, ...] = ()
        self.command: tuple[str, ...] = ()
        self.labels: dict[str, str] = {}
        self.ports: list[str] = []
        self.pins: dict[str, Pin] = {}
        self.notes: list[str] = []
        self._copied: list[tuple[Path, Path]] = []  # where to in the folder, where from in the context
        self._command_given = False
        self._context = Context.open(context)
        self._build_args = dict(build_args)
        self._unused_args = set(build_args)
        self._arguments: dict[str, str] = {}  # ARGs in force: before FROM those of FROM alone
        self._global_arguments: dict[str, str] = {}

    def run(self) -> ImageSpec:
        """Interpret the Dockerfile; the spec's URI is still empty."""
        if self.dockerfile.with_name(self.dockerfile.name + IGNORE_FILE).exists():
            raise ImageError(f"{self.dockerfile}{IGNORE_FILE}: the local cloud reads only the context's {IGNORE_FILE}")
        if not self.dockerfile.is_file():
            raise ImageError(f"{self.dockerfile} does not exist: check Dockerfile and DockerContext in the template")
        (self.folder / ROOT).mkdir(parents=True)
        for instruction in read_dockerfile(self.dockerfile):
            self._interpret(instruction)
        if self.base is None:
            raise ImageError(f"{self.dockerfile} has no FROM")
        if self._unused_args:
            raise ImageError(
                f"{self.dockerfile} declares no ARG {', '.join(sorted(self._unused_args))}: add it, or take it out of "
                "the build arguments"
            )
        return self._finish(self.base)

    def _interpret(self, instruction: Instruction) -> None:
        handlers: dict[str, Callable[[Instruction], None]] = {
            "FROM": self._from, "ARG": self._arg, "ENV": self._env, "WORKDIR": self._workdir, "COPY": self._copy,
            "RUN": self._run, "ENTRYPOINT": self._entrypoint, "CMD": self._cmd, "LABEL": self._label,
            "EXPOSE": self._expose,
        }  # fmt: skip
        handler = handlers.get(instruction.name)
        if handler is None:
            raise instruction.error(
                f"the local cloud does not interpret {instruction.name}; it knows {', '.join(handlers)}"
            )
        if self.base is None and instruction.name not in ("FROM", "ARG"):
            raise instruction.error("must come after FROM")
        try:
            handler(instruction)
        except (ContextError, RequirementsError) as error:
            raise instruction.error(str(error)) from error

    def _from(self, instruction: Instruction) -> None:
        if self.base is not None:
            raise instruction.error("the local cloud builds no images of several stages")
        _, words = instruction.options(instruction.words())
        reference = instruction.expand(words[0], self._arguments) if words else ""
        if len(words) not in (1, 3) or (len(words) == 3 and words[1].upper() != "AS"):
            raise instruction.error("must read FROM <image> [AS <name>]")
        found = find_base(reference)
        if found is None:
            known = " or ".join(base.name for base in BASES)
            raise instruction.error(f"nothing is known of the base image {reference!r}; the local cloud knows {known}")
        self.base, python = found
        self.env = self.base.environment(python)
        self.workdir, self.entrypoint, self.command = self.base.workdir, self.base.entrypoint, self.base.command
        self._global_arguments, self._arguments = self._arguments, {}
        running = f"{sys.version_info.major}.{sys.version_info.minor}"
        if python != running:
            self.notes.append(f"{reference} has Python {python}; here it runs on Python {running}")

    def _arg(self, instruction: Instruction) -> None:
        for word in instruction.words():
            name, given, default = word.partition("=")
            if name in self._build_args:
                self._unused_args.discard(name)
                self._arguments[name] = self._build_args[name]
            elif given:
                self._arguments[name] = instruction.expand(default, self._variables)
            elif name in self._global_arguments:
                self._arguments[name] = self._global_arguments[name]

    def _env(self, instruction: Instruction) -> None:
        self.env |= self._assignments(instruction)

    def _label(self, instruction: Instruction) -> None:
        self.labels |= self._assignments(instruction)

    def _assignments(self, instruction: Instruction) -> dict[str, str]:
        words = instruction.words()
        if not words or any("=" not in word for word in words):
            raise instruction.error("must read NAME=value")
        variables = self._variables  # those of before this instruction, for every assignment in it
        pairs = (word.partition("=") for word in words)
        return {name: instruction.expand(value, variables) for name, _, value in pairs}

    def _workdir(self, instruction: Instruction) -> None:
        self.workdir = self._absolute(instruction.expand(instruction.text, self._variables))
        self._place(instruction, self.workdir).mkdir(parents=True, exist_ok=True)

    def _copy(self, instruction: Instruction) -> None:
        words = instruction.exec_form() or instruction.words()
        options, words = instruction.options(words, known=("--chmod",))
        *sources, target = [instruction.expand(word, self._variables) for word in words] or [""]
        if not sources or not target:
            raise instruction.error("must read COPY <source>… <target>")
        into_folder = target.endswith(("/", "/.")) or target == "."
        if len(sources) > 1 and not into_folder:
            raise instruction.error(f"several sources need a target that ends with a slash, unlike {target!r}")
        mode = _mode(instruction, options["--chmod"]) if "--chmod" in options else None
        place = self._place(instruction, self._absolute(target))
        for source in sources:
            path = self._context.find(source)
            inside = path.is_file() and (into_folder or place.is_dir())
            goal = place / path.name if inside else place
            self._context.copy(path, goal, mode)
            self._copied.append((goal, path))

    def _run(self, instruction: Instruction) -> None:
        installed = read_pip_install(instruction, self._variables)
        for file in installed.files:
            self._require(instruction, file)
        for project in installed.projects:
            pin = read_project(self._place(instruction, self._absolute(project)))
            self.pins[pin.name] = pin

    def _require(self, instruction: Instruction, file: str) -> None:
        place = self._place(instruction, self._absolute(file))
        if not place.is_file():
            raise instruction.error(f"{self._absolute(file)} is not in the image: copy it before this line")
        pins = read_pins(place)
        for pin in pins:
            known = self.pins.setdefault(pin.name, pin)
            if known.version != pin.version:
                raise instruction.error(f"{pin.name} is pinned twice: {known.version} and {pin.version}")
        check_installed(pins, self._origin(place))

    def _origin(self, place: Path) -> Path:
        """The file of the context that lies at a place of the image now."""
        for copied, source in reversed(self._copied):
            if place.is_relative_to(copied):
                return source / place.relative_to(copied)
        return place

    def _entrypoint(self, instruction: Instruction) -> None:
        self.entrypoint = self._exec_form(instruction)
        if not self._command_given:
            self.command = ()  # as Docker does: a CMD of the base is for the base's ENTRYPOINT

    def _cmd(self, instruction: Instruction) -> None:
        self.command = self._exec_form(instruction)
        self._command_given = True

    def _exec_form(self, instruction: Instruction) -> tuple[str, ...]:
        words = instruction.exec_form()
        if words is None:
            raise instruction.error(
                'must be in exec form, ["program", "argument"]: a shell in between swallows the signal to stop'
            )
        return words

    def _expose(self, instruction: Instruction) -> None:
        self.ports += [instruction.expand(word, self._variables) for word in instruction.words()]

    @property
    def _variables(self) -> dict[str, str]:
        return self._arguments | self.env  # ENV wins over ARG

    def _absolute(self, path: str) -> str:
        return posixpath.normpath(posixpath.join(self.workdir, path))

    def _place(self, instruction: Instruction, path: str) -> Path:
        """Where a path of the image lies in the folder."""
        parts = Path(path.lstrip("/"))
        if ".." in parts.parts:
            raise instruction.error(f"{path} leads out of the image")
        return self.folder / ROOT / parts

    def _finish(self, base: Base) -> ImageSpec:
        packages = set(self.pins)
        try:
            packages |= with_dependencies(base.provides)
            python_environment.create(self.folder / PYTHON, packages)
        except RequirementsError as error:
            raise ImageError(f"{self.dockerfile}: {error}") from error
        mounts = [Mount(self.folder / PYTHON, base.python_home, read_only=True), *self._mounts(self.folder / ROOT, "/")]
        described = [
            base.name, self.env, self.workdir, self.entrypoint, self.command, self.labels, self.ports,
            sorted((pin.name, pin.version) for pin in self.pins.values()),
            # another interpreter or another place of its packages is another image
            [sys.version, str(python_environment.interpreter()), sys.prefix],
        ]  # fmt: skip
        digest = hashlib.sha256(json.dumps(described, sort_keys=True).encode())
        _add_tree(digest, self.folder / ROOT)
        return ImageSpec(
            uri="", digest=digest.hexdigest(), mounts=tuple(mounts), env=self.env, workdir=self.workdir,
            entrypoint=self.entrypoint, command=self.command, packages=tuple(sorted(packages)), labels=self.labels,
            ports=tuple(self.ports), notes=tuple(self.notes),
        )  # fmt: skip

    def _mounts(self, folder: Path, target: str) -> list[Mount]:
        mounts: list[Mount] = []
        for entry in sorted(folder.iterdir()):
            place = posixpath.join(target, entry.name)
            if entry.is_dir() and not entry.is_symlink() and place in _BASE_FOLDERS:
                mounts += self._mounts(entry, place)
            else:
                mounts.append(Mount(entry, place, read_only=True))
        return mounts


def _mode(instruction: Instruction, text: str) -> int:
    if not re.fullmatch(r"0?[0-7]{3}", text):
        raise instruction.error(f"--chmod={text}: only octal permissions, such as 755, are interpreted")
    return int(text, 8)


def _add_tree(digest: hashlib._Hash, root: Path) -> None:
    """Add what a folder holds, names, permissions and contents, but not its times, to a digest."""
    for folder, names, files in os.walk(root):
        names.sort()
        links = [name for name in names if Path(folder, name).is_symlink()]
        for name in sorted([*files, *links]):
            path = Path(folder, name)
            digest.update(f"\0{path.relative_to(root)}\0".encode())
            if path.is_symlink():
                digest.update(b"->" + os.fsencode(path.readlink()))
            else:
                digest.update(f"{stat.S_IMODE(path.stat().st_mode):o}\0".encode() + path.read_bytes())
        if not files and not names:
            digest.update(f"\0{Path(folder).relative_to(root)}/\0".encode())

"""Reads a Dockerfile: instructions, line continuations, variables.

The rules are those of https://docs.docker.com/reference/dockerfile/. What this module does not read it refuses by
name: another escape character, here-documents, options of an instruction other than those asked for.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from local_cloud.images.errors import DockerfileError

_VARIABLE = re.compile(r"\\\$|\$(?:(\w+)|\{(\w+)(?:(:[-+])([^{}]*))?\}|(.?))")


@dataclass(frozen=True)
class Instruction:
    """One instruction: its file, the line it starts on (from 1), its name in capitals, and the text after it."""

    path: Path
    line: int
    name: str
    text: str

    def error(self, problem: str) -> DockerfileError:
        """An error that says where."""
        return DockerfileError(self.path, self.line, self.name, problem)

    def words(self) -> list[str]:
        """The text split as a shell would, without expanding anything. ``\\$`` stays for ``expand``."""
        try:
            return [word.replace("\0", "\\$") for word in shlex.split(self.text.replace("\\$", "\0"))]
        except ValueError as error:
            raise self.error(f"{self.text!r} cannot be split into words: {error}") from error

    def exec_form(self) -> tuple[str, ...] | None:
        """The words of the JSON form, ``["a", "b"]``; None if the text is not in that form."""
        if not self.text.startswith("["):
            return None
        try:
            words = json.loads(self.text)
        except ValueError as error:
            raise self.error(f"{self.text} is not a JSON list of strings: {error}") from error
        if not all(isinstance(word, str) for word in words):
            raise self.error(f"{self.text} must hold strings only")
        return tuple(words)

    def options(self, words: Sequence[str], known: Sequence[str] = ()) -> tuple[dict[str, str], list[str]]:
        """Split ``--name=value`` options off the front; one that is not known is refused by name."""
        options: dict[str, str] = {}
        rest = list(words)
        while rest and rest[0].startswith("--"):
            name, _, value = rest.pop(0).partition("=")
            if name not in known:
                raise self.error(f"the local cloud does not interpret the option {name}")
            options[name] = value
        return options, rest

    def expand(self, text: str, variables: Mapping[str, str]) -> str:
        """Replace ``$NAME``, ``${NAME}``, ``${NAME:-default}`` and ``${NAME:+instead}``; ``\\$`` is a dollar sign.

        Docker replaces an unknown variable by nothing; here it is an error, as it is nearly always a misspelling or an
        ARG of before FROM.
        """

        def value(match: re.Match[str]) -> str:
            if match[0] == "\\$":
                return "$"
            name, operator, word = match[1] or match[2], match[3], match[4] or ""
            if not name:
                raise self.error(f"{match[0]!r} is no variable that the local cloud can expand")
            known = variables.get(name, "")
            if operator == ":-":
                return known or word
            if operator == ":+":
                return word if known else ""
            if name not in variables:
                raise self.error(
                    f"the variable {name} has no value here: declare it with ARG or ENV above "
                    "(an ARG of before FROM must be repeated after it)"
                )
            return known

        return _VARIABLE.sub(value, text)


def read_dockerfile(path: Path) -> list[Instruction]:
    """Return the instructions of a Dockerfile, in order.

    Raises DockerfileError with file and line; FileNotFoundError as usual.
    """
    instructions: list[Instruction] = []
    pending: list[str] = []
    start = 0
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        stripped = line.strip()
        if stripped.startswith("#"):
            _check_directive(path, number, stripped, instructions, pending)
            continue
        if not stripped:
            continue
        if not pending:
            start = number
        continued = stripped.endswith("\\")
        pending.append(stripped[:-1].strip() if continued else stripped)
        if not continued:
            instructions.append(_instruction(path, start, " ".join(pending)))
            pending = []
    if pending:
        instructions.append(_instruction(path, start, " ".join(pending)))
    return instructions


def _check_directive(
    path: Path, number: int, comment: str, instructions: Sequence[Instruction], pending: Sequence[str]
) -> None:
    if instructions or pending:
        return
    if re.match(r"#\s*escape\s*=", comment):
        raise DockerfileError(path, number, "escape", "the local cloud knows only the backslash as escape character")


def _instruction(path: Path, line: int, text: str) -> Instruction:
    name, _, rest = text.partition(" ")
    instruction = Instruction(path, line, name.upper(), rest.strip())
    if "<<" in rest and instruction.name in ("RUN", "COPY", "ADD"):
        raise instruction.error("the local cloud does not interpret here-documents")
    return instruction

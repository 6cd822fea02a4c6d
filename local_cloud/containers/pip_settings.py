"""What this machine's pip is set up with, so that pip inside of a build finds the same packages.

A registry of one's own, or a proxy with a certificate of its own, is set up in pip's configuration files or in
variables. Neither is seen inside of a build, so all of it becomes one file there, which is mounted and not copied.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

_INSIDE = "/etc/pip.conf"  # pip's own place for the settings of a whole machine
_CERTIFICATE_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")


def volumes(file: Path) -> list[str]:
    """Write pip's settings into ``file``; return it and the files and folders it names as ``from:to:ro``."""
    sections = settings()
    file.write_text(_text(sections))
    values = [value for values in sections.values() for text in values.values() for value in text.split()]
    named = {Path(value) for value in values if value.startswith("/")}
    # pages of an index in a folder lead to files beside it
    named |= {Path(value.removeprefix("file://")).parent for value in values if value.startswith("file:///")}
    mounted = sorted(str(path) for path in named if path != Path("/") and path.exists() and ":" not in str(path))
    return [f"{file}:{_INSIDE}:ro", *(f"{path}:{path}:ro" for path in mounted)]


def settings() -> dict[str, dict[str, str]]:
    """Sections of pip's configuration; variables count as on a command line, before every file."""
    command = [sys.executable, "-m", "pip", "config", "list", "--disable-pip-version-check"]
    listed = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True).stdout
    sections: dict[str, dict[str, str]] = {"global": {}}
    variables: dict[str, str] = {}
    for line in listed.splitlines():
        key, _, value = line.partition("=")
        section, _, name = key.rpartition(".")
        place = variables if section == ":env:" else sections.setdefault(section, {})
        place[name] = str(ast.literal_eval(value))
    sections["global"] |= variables
    certificates = next((os.environ[name] for name in _CERTIFICATE_VARIABLES if os.environ.get(name)), None)
    if certificates:
        sections["global"].setdefault("cert", certificates)
    return sections


def _text(sections: dict[str, dict[str, str]]) -> str:
    lines: list[str] = []
    for section, values in sections.items():
        lines.append(f"[{section}]")
        lines += [f"{name} = {value.strip().replace(chr(10), chr(10) + '    ')}" for name, value in values.items()]
    return "\n".join(lines) + "\n"

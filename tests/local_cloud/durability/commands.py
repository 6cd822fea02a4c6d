"""The command `treering` as a user types it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PATIENCE = 240


def start(*arguments: str, state: Path) -> subprocess.Popen[str]:
    """`treering …` as a process."""
    command = [sys.executable, "-m", "cli", *arguments, "--state", str(state)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True)


def treering(*arguments: str, state: Path) -> subprocess.CompletedProcess[str]:
    """`treering …` to its end."""
    process = start(*arguments, state=state)
    out, err = process.communicate(timeout=PATIENCE)
    return subprocess.CompletedProcess(arguments, process.returncode, out, err)

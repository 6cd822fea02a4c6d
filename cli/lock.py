"""One command at a time works on a state folder: a second one is refused, and told which process the first one is."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cli.errors import CommandError

FILE = "command.lock"


@contextmanager
def only_one(folder: Path, command: str) -> Iterator[None]:
    """Hold the folder for a command, for as long as its process lives at most. Raises CommandError.

    `command` is what others are told of this one, such as `treering up`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 200).decode(errors="replace").strip() or "another command"
            raise CommandError(
                f"{holder} is at work in {folder}, so `{command}` cannot be.",
                hint="Wait until it has ended, or end it; or name another folder with --state.",
            ) from None
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"`{command}` (process {os.getpid()})\n".encode())
        yield
    finally:
        os.close(descriptor)

"""Ports of this machine that nobody takes between their choice and the moment at which a program listens on them.

A port that ``bind`` chooses (port 0) is free again until the program that is told of it has started, which takes up to
seconds: meanwhile the kernel may give it to any other program, as the port of a server or of a connection. So these lie
below the range that the kernel chooses from (``ip_local_port_range``,
https://docs.kernel.org/networking/ip-sysctl.html), and each has a socket in the abstract namespace beside it
(https://man7.org/linux/man-pages/man7/unix.7.html), a name that two local clouds cannot have at the same time, and that
is gone with the process.
"""

from __future__ import annotations

import random
import socket
from pathlib import Path

_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_FIRST, _LAST = 20_000, 65_535
_FEWEST = 1_000  # where the kernel leaves less, ports are taken from its range: still no other local cloud has them


class ReservedPort:
    """A ``number`` that is this process's own until ``release``. Raises OSError where there is none to be had."""

    number: int

    def __init__(self) -> None:
        numbers = _numbers()
        begin = random.randrange(len(numbers))  # noqa: S311  no secret
        for number in (*numbers[begin:], *numbers[:begin]):
            name = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            try:
                name.bind(f"\0treering-port-{number}")
                with socket.socket() as probe:
                    probe.bind(("", number))
            except OSError:
                name.close()
                continue
            self.number, self._name = number, name
            return
        raise OSError(f"no port from {numbers[0]} to {numbers[-1]} is free on this machine")

    def release(self) -> None:
        """Let others have it."""
        self._name.close()


def _numbers() -> range:
    lowest = int(_RANGE.read_text().split()[0])
    return range(_FIRST, lowest if lowest - _FIRST >= _FEWEST else _LAST + 1)

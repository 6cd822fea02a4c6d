"""Ctrl-C, SIGTERM and a closed terminal end a command in order: they raise once, but not where that would tear it."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from cli.errors import Interrupted

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_holds = 0
_arrived = False
_raised = False


def install() -> None:
    """Let the first of them raise Interrupted in the main thread; further ones do not disturb the tidying up."""
    global _arrived, _raised
    _arrived = _raised = False
    for number in _SIGNALS:
        if number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN:
            continue  # as `nohup` asks
        signal.signal(number, _handle)


@contextmanager
def held() -> Iterator[None]:
    """Hold an interruption back until the end of the block: for starting and ending processes."""
    global _holds
    _holds += 1
    try:
        yield
    finally:
        _holds -= 1
        _raise_if_due()


def _handle(_number: int, _frame: FrameType | None) -> None:
    global _arrived
    _arrived = True
    _raise_if_due()


def _raise_if_due() -> None:
    global _raised
    if _arrived and not _raised and not _holds:
        _raised = True
        raise Interrupted

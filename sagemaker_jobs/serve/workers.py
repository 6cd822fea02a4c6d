"""Processes that answer on one socket, one for each processor, and share the memory of the model loaded before them."""

import ctypes
import gc
import logging
import os
import signal
import sys
from collections.abc import Callable
from types import FrameType

_PR_SET_PDEATHSIG = 1  # prctl(2)
log = logging.getLogger(__name__)


def processors() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0))


def run(work: Callable[[], None], count: int, *, started: Callable[[], None]) -> None:
    """Do the `work`, which ends at SIGTERM, in `count` processes, and exit when all have ended.

    `started` is called once they have started, in this process where it does not work itself. Exits with 0 if they were
    asked to end. If one ends by itself, so do the others, with 1: SageMaker then starts the container anew, and until
    then it is better to fail /ping than to answer on half of the processors.
    """
    if count == 1:
        work()
        sys.exit(0)
    gc.collect()
    gc.freeze()  # the collector touches what it looks at, and memory that is touched is no longer shared
    parent = os.getpid()
    children = set()
    for _ in range(count):
        child = os.fork()
        if not child:
            _work(work, parent)
        children.add(child)
    started()
    asked = False

    def stop(_signal: int, _frame: FrameType | None) -> None:
        nonlocal asked
        asked = True
        _end(children)

    signal.signal(signal.SIGTERM, stop)
    failed = False
    while children:
        child, status = os.wait()
        if child not in children:
            continue  # the first process of a container inherits those whose parents have ended
        children.remove(child)
        if not asked and not failed:
            failed = True
            log.error("A worker ended with status %d; so the server ends.", os.waitstatus_to_exitcode(status))
            _end(children)
    sys.exit(int(failed))


def _work(work: Callable[[], None], parent: int) -> None:
    """Body of a child, which ends with its parent even if that is killed. Never returns."""
    status = 1
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() == parent:
            work()
            status = 0
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1
    except BaseException:
        log.exception("A worker cannot go on")
    finally:
        os._exit(status)


def _end(children: set[int]) -> None:
    for child in children:
        os.kill(child, signal.SIGTERM)

"""Somebody who uses the endpoint all the time, a few requests a second."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from treering import use_case

if TYPE_CHECKING:
    from tests.faults.bench import Bench

_EVERY_SECONDS = 0.5
_TARGET = use_case.load("house_prices").target.column


@dataclass(frozen=True)
class Request:
    """One request: when it was answered (monotonic seconds), and the prediction or the error."""

    at: float
    prediction: float | None
    error: str = ""


class Traffic:
    """Asks for the same house again and again, in a thread of its own."""

    def __init__(self, bench: "Bench") -> None:
        self._bench = bench
        self._requests: list[Request] = []
        self._lock = threading.Lock()
        self._asking = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="traffic", daemon=True)
        row = bench.source.table.row(0)
        self.row = {name: value for name, value in row.items() if name != _TARGET}

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Nobody asks meanwhile."""
        with self._asking:
            yield

    def close(self) -> None:
        """End."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(10)

    def since(self, moment: float) -> list[Request]:
        """The requests that were answered since then (monotonic seconds)."""
        with self._lock:
            return [request for request in self._requests if request.at >= moment]

    def _run(self) -> None:
        while not self._stop.wait(_EVERY_SECONDS):
            with self._asking:
                try:
                    done = Request(time.monotonic(), self._bench.predict(self.row))
                except Exception as error:  # whatever a user of the endpoint would see
                    done = Request(time.monotonic(), None, f"{type(error).__name__}: {error}")
            with self._lock:
                self._requests.append(done)

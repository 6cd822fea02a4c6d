"""A value that is made when it is first asked for, once, whatever the thread."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Value = TypeVar("Value")

#: Held while a part of the local cloud is imported late. Two threads that import packages of which one imports the
#: other, from different ends, would wait for each other; Python raises an error in one of them instead.
IMPORTING = threading.RLock()


class Once(Generic[Value]):
    """Calls ``make`` at the first call of the object and returns the same value from then on."""

    def __init__(self, make: Callable[[], Value]) -> None:
        self._make = make
        self._lock = threading.RLock()
        self._value: Value | None = None

    def __call__(self) -> Value:
        """Return the value, making it if need be."""
        with self._lock:
            if self._value is None:
                self._value = self._make()
            return self._value

    @property
    def made(self) -> Value | None:
        """The value, or None if nobody has asked for it yet."""
        return self._value

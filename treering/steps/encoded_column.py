"""A column of text in little memory: each distinct cell once, and its number for each row.

A cell costs 1, 2 or 4 bytes, where a list of text costs some 60.
"""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
from numpy.typing import NDArray

_TOO_MANY = 0.5  # share of distinct cells from which on encoding a column costs more than it saves,
_TOO_MANY_FROM = 200_000  # once it has so many of them: some 30 MB
_RECENT = 65_536  # cells


@dataclass(frozen=True, eq=False)
class EncodedColumn(Sequence[str]):
    """Text, one value per row. `distinct` is in the order in which cells first occur; `codes` numbers them, per row."""

    distinct: tuple[str, ...]
    codes: NDArray[np.unsignedinteger]

    def __len__(self) -> int:
        return len(self.codes)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> "EncodedColumn": ...
    def __getitem__(self, index: int | slice) -> "str | EncodedColumn":
        if isinstance(index, slice):
            return EncodedColumn(self.distinct, self.codes[index])
        return self.distinct[int(self.codes[index])]

    def __iter__(self) -> Iterator[str]:
        return map(self.distinct.__getitem__, self.codes)


class ColumnEncoder:
    """Takes up a column piece by piece."""

    def __init__(self) -> None:
        self._numbers = _Numbers()
        self._recent = array("I")  # codes that are not yet in as few bytes as they need
        self._codes: list[NDArray[np.unsignedinteger]] = []
        self._text: list[str] | None = None

    def extend(self, cells: Iterable[str]) -> None:
        """Add cells at the end."""
        if self._text is not None:
            self._text.extend(cells)
            return
        self._recent.extend(map(self._numbers.__getitem__, cells))
        if len(self._recent) >= _RECENT:
            self._narrow()
            if len(self._numbers) > max(_TOO_MANY_FROM, _TOO_MANY * sum(map(len, self._codes))):
                self._text = list(self._encoded())
                self._numbers, self._codes = _Numbers(), []

    def column(self) -> Sequence[str]:
        """The whole column: encoded, or a list where hardly any cell occurs twice."""
        self._narrow()
        return self._encoded() if self._text is None else self._text

    def _narrow(self) -> None:
        kind = next(kind for kind in (np.uint8, np.uint16, np.uint32) if len(self._numbers) - 1 <= np.iinfo(kind).max)
        self._codes.append(np.array(self._recent).astype(kind))
        self._recent = array("I")

    def _encoded(self) -> EncodedColumn:
        return EncodedColumn(tuple(self._numbers), np.concatenate(self._codes))


class _Numbers(dict[str, int]):
    """Gives each new text the next number."""

    def __missing__(self, text: str) -> int:
        self[text] = number = len(self)
        return number

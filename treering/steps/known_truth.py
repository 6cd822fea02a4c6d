"""Finds the truth of rows that an endpoint was asked about, among the labelled rows of a later dataset version.

A request need not say which row it is about: its feature values are looked up. Only rows count that no model in
question has learnt from, since a model is good at those whatever it is worth.
"""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

from treering.steps.captures import Row
from treering.use_case import UseCase

Identity = tuple[tuple[str, ...], tuple[str, ...]]


@dataclass(frozen=True)
class Known:
    """A row whose truth is known: its key, its target in the target's unit, and whether a model has learnt from it."""

    key: str
    target: float
    learnt: bool


class KnownTruth:
    """The labelled rows of a dataset version. `columns` holds all of them, as text; `learnt` the keys learnt from."""

    def __init__(self, case: UseCase, columns: Mapping[str, Sequence[str]], learnt: Set[str]) -> None:
        self._case, self._columns, self._learnt = case, columns, learnt
        self._indices: dict[tuple[str, ...], dict[tuple[str, ...], list[int]]] = {}

    def find(self, row: Row) -> Known | None:
        """The labelled row with the same values in all features that the request names; none where there is no such.

        Where several rows have them, the one whose key the request carries, or none: it would be a guess.
        """
        names, values = self.identity(row)
        if not names or not set(names) <= self._columns.keys():
            return None
        found = self._index(names).get(values, [])
        if len(found) > 1:
            key = str(row.get(self._case.columns.key))
            found = [at for at in found if self._columns[self._case.columns.key][at] == key]
        if len(found) != 1:
            return None
        key = self._columns[self._case.columns.key][found[0]]
        return Known(key, float(self._columns[self._case.target.column][found[0]]), key in self._learnt)

    def identity(self, row: Row) -> Identity:
        """The features that a request names, and their values, written alike whether they came as text or as number."""
        names = tuple(name for name in self._case.columns.features if name in row)
        return names, tuple(self._plain(name, row[name]) for name in names)

    def _index(self, names: tuple[str, ...]) -> dict[tuple[str, ...], list[int]]:
        if names not in self._indices:
            index: dict[tuple[str, ...], list[int]] = {}
            plain = ([self._plain(name, value) for value in self._columns[name]] for name in names)
            for at, values in enumerate(zip(*plain, strict=True)):
                index.setdefault(values, []).append(at)
            self._indices[names] = index
        return self._indices[names]

    def _plain(self, name: str, value: object) -> str:
        text = "" if value is None else str(value)
        if text in self._case.columns.missing_tokens:
            return ""
        if name not in self._case.columns.category:
            try:
                return repr(float(text))
            except ValueError:
                pass
        return text

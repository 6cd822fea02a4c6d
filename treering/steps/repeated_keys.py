"""Finds keys that occur more than once, in 8 bytes a key.

A first pass keeps each key's hash. Only where a hash occurs twice, a second pass looks at the keys themselves, so
that two keys with the same hash are not taken for one.
"""

from array import array
from collections.abc import Iterable

MOST_REPEATED = 100_000  # hashes that are looked for in the second pass
_GROUPS = 256  # hashes are compared group by group, so that the comparison takes little memory too


class KeyHashes:
    """The first pass: hashes of all keys."""

    def __init__(self) -> None:
        self._groups = [array("q") for _ in range(_GROUPS)]

    def add(self, keys: Iterable[str]) -> None:
        """Take up more keys."""
        groups = self._groups
        for value in map(hash, keys):
            groups[value % _GROUPS].append(value)

    def repeated(self) -> frozenset[int]:
        """Hashes that occurred more than once: all, or MOST_REPEATED if there are more."""
        found: set[int] = set()
        for group in self._groups:
            if len(set(group)) < len(group):
                seen: set[int] = set()
                for value in group:
                    if value in seen:
                        found.add(value)
                        if len(found) == MOST_REPEATED:
                            return frozenset(found)
                    seen.add(value)
        return frozenset(found)

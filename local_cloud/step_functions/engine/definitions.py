"""Reading definitions: each with scopes of its own."""

from __future__ import annotations

from typing import Any


def own_scopes(self: Any) -> None:
    """Begin with no query language (replaces `Preprocessor.__init__`).

    The engine keeps the stack of query languages in the class: a definition that is refused half-way would leave its
    own there, and every later one would be read in it; two that are read at once would mix theirs.
    """
    self._query_language_per_scope = []

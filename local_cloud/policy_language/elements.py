"""How elements of a policy are read: one value stands for a list of it, a template's function for what it will be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def statements_of(document: object) -> list[Any]:
    """Return a policy's statements; what it has instead, where it has none."""
    return listed(document.get("Statement")) if isinstance(document, Mapping) else []


def is_intrinsic(value: object) -> bool:
    """Whether a value is an intrinsic function of a template."""
    if not isinstance(value, Mapping) or len(value) != 1:
        return False
    name = next(iter(value))
    return name == "Ref" or str(name).startswith("Fn::")


def listed(value: Any) -> list[Any]:
    """Return a value, or the list that it is, as a list; an element that is not there is an empty one."""
    return [] if value is None else value if isinstance(value, list) else [value]

"""JSON as AWS reads and writes it: without NaN and Infinity, which Python's own parser takes, and writes."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any


def read(text: str) -> Any:
    """Parse JSON; raises ValueError."""
    return json.loads(text, parse_constant=_refuse)


def write(value: Any, separators: tuple[str, str] = (",", ":"), default: Callable[[Any], str] | None = None) -> str:
    """Write JSON, without blanks and escapes that it does not need; raises ValueError for what JSON has no word for."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=separators, default=default)


def _refuse(token: str) -> Any:
    raise ValueError(f"Non-standard token '{token}'")

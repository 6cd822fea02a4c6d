"""Collects what is wrong with a file: each kind once, with its count and its first places."""

from dataclasses import dataclass, field

_EXAMPLES = 3
_LONGEST_VALUE = 40  # characters


@dataclass
class _Kind:
    count: int = 0
    examples: list[str] = field(default_factory=list)


class Problems:
    """Problems in the order in which their kinds were first met."""

    def __init__(self) -> None:
        self._kinds: dict[str, _Kind] = {}

    def __bool__(self) -> bool:
        return bool(self._kinds)

    def add(self, kind: str, line: int | None = None, value: str | None = None) -> None:
        """Note one problem of a kind ("column area: not a finite number"), its line and value where it has them."""
        entry = self._kinds.setdefault(kind, _Kind())
        entry.count += 1
        if line is not None and len(entry.examples) < _EXAMPLES:
            entry.examples.append(f"line {line}" + (f" ({_short(value)})" if value is not None else ""))

    def lines(self) -> list[str]:
        """One line for each kind: what, how often, where first."""
        return [_line(kind, entry) for kind, entry in self._kinds.items()]


def _line(kind: str, entry: _Kind) -> str:
    if not entry.examples:
        return kind
    if entry.count == 1:
        return f"{kind}: {entry.examples[0]}"
    return f"{kind}: {entry.count:,} times, first at {', '.join(entry.examples)}"


def _short(value: str) -> str:
    return repr(value if len(value) <= _LONGEST_VALUE else value[:_LONGEST_VALUE] + "…")

"""What a drill expected, what was seen, and whether the two agree."""

import io
from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import BaseModel
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

WIDTH = 120  # where the output is no terminal


class Check(BaseModel):
    """One expectation: about what, in words, what was seen instead or as well, and whether it was met."""

    what: str
    expected: str
    seen: str
    ok: bool


class Checks:
    """Collects expectations in the order in which they are checked; `during` says at which point of the drill."""

    def __init__(self) -> None:
        self.all: list[Check] = []
        self._during = ""

    @contextmanager
    def during(self, phase: str) -> Iterator[None]:
        """Name what is checked in the block after a phase of the drill."""
        before, self._during = self._during, phase
        try:
            yield
        finally:
            self._during = before

    def add(self, what: str, expected: str, seen: str, ok: bool) -> None:
        """Hold what was seen against what was expected."""
        name = f"{self._during}: {what}" if self._during else what
        self.all.append(Check(what=name, expected=expected, seen=seen, ok=ok))

    @property
    def ok(self) -> bool:
        """Whether all was as expected; a drill that has checked nothing has shown nothing."""
        return bool(self.all) and all(check.ok for check in self.all)


class DrillReport(BaseModel):
    """A drill that has been carried through."""

    drill: str
    outcome: str  # as expected, not as expected
    checks: list[Check]
    executions: list[str]  # ARNs, in the order in which they ran
    folder: str  # in which the drill's cloud kept its state
    seconds: float


def table(checks: list[Check], width: int = WIDTH) -> str:
    """The checks as a table for a person, `width` characters wide."""
    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, expand=True)
    grid.add_column("", width=3)
    for title, ratio in (("", 3), ("expected", 4), ("seen", 6)):
        grid.add_column(title, ratio=ratio, overflow="fold")
    for check in checks:
        grid.add_row("ok" if check.ok else "NO", *(Text(text) for text in (check.what, check.expected, check.seen)))
    console = Console(file=io.StringIO(), width=width)
    with console.capture() as captured:
        console.print(grid)
    return "\n".join(line.rstrip() for line in captured.get().splitlines())

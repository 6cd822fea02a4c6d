"""What is shown while a command works: a live table on a terminal, else one plain line as each step ends."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self, TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

_STYLES = {"running": "cyan", "succeeded": "green", "done": "green", "failed": "bold red", "stopped": "yellow"}
FINAL = frozenset({"succeeded", "done", "failed", "stopped"})


@dataclass
class Row:
    """One step or state: `seconds` is none while it runs, and then counted from `started` (monotonic clock)."""

    name: str
    status: str = "running"
    seconds: float | None = None
    says: str = ""
    started: float = field(default_factory=time.monotonic)

    @property
    def final(self) -> bool:
        """Whether the status will not change any more ("succeeded, retried 2" is final too)."""
        return self.status.partition(",")[0] in FINAL


class Board(Protocol):
    """Where steps are shown."""

    def show(self, key: str, row: Row) -> None:
        """Show a row, or what became of it; rows keep the order in which their keys came."""

    def note(self, line: str) -> None:
        """Show a line that belongs to no row."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class PlainBoard:
    """One line for each row, when it has ended."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._shown: set[str] = set()

    def show(self, key: str, row: Row) -> None:
        """Print the row if it has ended and was not printed yet."""
        if row.final and key not in self._shown:
            self._shown.add(key)
            seconds = f"{row.seconds:6.1f} s" if row.seconds is not None else " " * 8
            self.note(f"{row.name:<25} {row.status:<12} {seconds}  {row.says}".rstrip())

    def note(self, line: str) -> None:
        """Print the line."""
        print(line, file=self._stream, flush=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to tidy up."""


class LiveBoard:
    """What runs is redrawn with its seconds; what has ended scrolls up as lines that stay."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._running: dict[str, Row] = {}
        self._shown: set[str] = set()
        self._live = Live(get_renderable=self._redraw, console=console, refresh_per_second=8, transient=True)

    def show(self, key: str, row: Row) -> None:
        """Redraw the row while it runs, print it once when it has ended."""
        if not row.final:
            new = key not in self._running
            self._running[key] = row
            if new:
                self._live.refresh()
        elif key not in self._shown:
            self._running.pop(key, None)
            self._shown.add(key)
            self._live.refresh()  # else its last drawing would come again below the line
            self._console.print(_table([row]))

    def note(self, line: str) -> None:
        """Print the line above what runs."""
        self._console.print(Text(line))

    def _redraw(self) -> RenderableType:
        rows = list(self._running.values())
        return _table(rows) if rows else Group()

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the terminal back."""
        self._live.stop()


def _table(rows: list[Row]) -> Table:
    """Rows side by side with those printed before: all columns but the last are as wide as ever."""
    table = Table(box=None, pad_edge=False, show_header=False, expand=True)
    for width in (25, 20, 8):
        table.add_column(width=width, no_wrap=True, justify="right" if width == 8 else "left")
    table.add_column(ratio=1, overflow="fold")
    for row in rows:
        seconds = row.seconds if row.seconds is not None or row.final else time.monotonic() - row.started
        table.add_row(
            row.name,
            Text(row.status + ("" if row.final else "…"), _STYLES.get(row.status.partition(",")[0], "")),
            "" if seconds is None else f"{seconds:.1f} s",
            Text(row.says),
        )
    return table


def board(*, to_stderr: bool = False) -> Board:
    """The board that fits the stream: stdout, or stderr where stdout carries JSON."""
    stream = sys.stderr if to_stderr else sys.stdout
    return LiveBoard(Console(file=stream)) if stream.isatty() else PlainBoard(stream)


@contextmanager
def step(board: Board, name: str) -> Iterator[Callable[[str], None]]:
    """Show a step while its block runs; the block calls what it is given with what there is to say.

    A block that raises leaves the step as failed (stopped, where the user interrupted it).
    """
    row = Row(name)
    board.show(name, row)

    def say(text: str) -> None:
        row.says = text
        board.show(name, row)

    status = "stopped"
    try:
        yield say
        status = "done"
    except Exception as error:
        status, row.says = "failed", str(error).partition("\n")[0] or row.says
        raise
    finally:
        row.status, row.seconds = status, time.monotonic() - row.started
        board.show(name, row)


def shown(path: Path) -> str:
    """A path as a person standing in the working directory would type it."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)

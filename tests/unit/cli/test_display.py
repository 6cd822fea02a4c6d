"""What a command shows while it works."""

import contextlib
import io

import pytest
from rich.console import Console

from cli.display import LiveBoard, PlainBoard, Row, step


def test_without_a_terminal_each_row_is_one_line_when_it_ends() -> None:
    """Nothing is printed while a row runs, one line when it has ended, and nothing twice."""
    stream = io.StringIO()
    board = PlainBoard(stream)

    board.show("a", Row("Preprocess"))
    board.show("a", Row("Preprocess", "succeeded, retried 1", 1.25, "kept 40"))
    board.show("a", Row("Preprocess", "succeeded, retried 1", 1.25, "kept 40"))

    assert stream.getvalue().split() == ["Preprocess", "succeeded,", "retried", "1", "1.2", "s", "kept", "40"]


@pytest.mark.parametrize(
    ("raised", "line"),
    [
        (None, "Deploy done 38 of 38"),
        (ValueError("no"), "Deploy failed no"),
        (KeyboardInterrupt(), "Deploy stopped 38 of 38"),
    ],
)
def test_a_step_ends_as_its_block_does(raised: BaseException | None, line: str) -> None:
    """A block that ends is done, one that raises has failed and says why, one that is interrupted was stopped."""
    stream = io.StringIO()

    with contextlib.suppress(ValueError, KeyboardInterrupt), step(PlainBoard(stream), "Deploy") as say:
        say("38 of 38")
        if raised:
            raise raised

    assert " ".join(stream.getvalue().replace("0.0 s", "").split()) == line


def test_on_a_terminal_what_runs_is_redrawn_and_what_ended_stays() -> None:
    """A running row is drawn with the seconds so far; once it has ended it is printed as a line that stays."""
    stream = io.StringIO()

    with LiveBoard(Console(file=stream, force_terminal=True, width=100)) as board:
        board.show("a", Row("Preprocess"))
        board.note("a line of its own")
        board.show("a", Row("Preprocess", "succeeded", 1.25, "kept 40"))

    shown = stream.getvalue()
    assert "running…" in shown
    assert "a line of its own" in shown
    assert "kept 40" in shown.rpartition("running…")[2]

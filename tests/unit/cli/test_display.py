"""What a command shows while it works."""

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


@pytest.mark.parametrize(("raised", "status"), [(None, "done"), (ValueError, "failed"), (KeyboardInterrupt, "stopped")])
def test_a_step_ends_as_its_block_does(raised: type[BaseException] | None, status: str) -> None:
    """A block that ends is done, one that raises has failed, one that is interrupted was stopped."""
    stream = io.StringIO()

    try:
        with step(PlainBoard(stream), "Deploy") as say:
            say("38 of 38")
            if raised:
                raise raised
    except (ValueError, KeyboardInterrupt):
        pass

    assert f"Deploy {status}" in " ".join(stream.getvalue().split())
    assert "38 of 38" in stream.getvalue()


def test_on_a_terminal_the_table_shows_running_rows() -> None:
    """The live table has a row for what runs, with the seconds so far, and keeps it at the end."""
    stream = io.StringIO()

    with LiveBoard(Console(file=stream, force_terminal=True, width=100)) as board:
        board.show("a", Row("Preprocess"))
        board.note("a line of its own")

    assert "Preprocess" in stream.getvalue()
    assert "running…" in stream.getvalue()
    assert "a line of its own" in stream.getvalue()

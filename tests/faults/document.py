"""Writes the table of faults into docs/faults.md, between the last heading and the end of the page."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path

from tests.faults.runner import Result
from tests.faults.table import as_markdown

PAGE = Path(__file__).resolve().parents[2] / "docs" / "faults.md"
HEADING = "## What was seen\n"


def write(results: Sequence[Result], today: date, page: Path = PAGE) -> None:
    """Replace the page's last chapter by these results."""
    before = page.read_text("utf-8").partition(HEADING)[0]
    differ = sum(not result.ok for result in results)
    summary = (
        f"{len(results)} faults on {today:%Y-%m-%d}, {differ or 'none'} with another outcome than expected. "
        "This chapter is written by `make faults ARGS=--document`.\n"
    )
    page.write_text(f"{before}{HEADING}\n{summary}\n{as_markdown(results)}", "utf-8")

"""A labelled file of any size that looks like the use case's data: its real rows over and over, varied.

Every row gets a key of its own. Columns of numbers with many values (and the target) are drawn up to a tenth up or
down, so that they have as many values as a larger data set would. The same size gives the same bytes.
"""

import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from cli.data_source import make_feed
from tests.benchmarks.environments import CACHE
from treering import use_case

CASE = use_case.load("house_prices")
_MANY_VALUES = 200
_SPREAD = 0.1  # a number is multiplied by 1 - this to 1 + this


def write(path: Path, rows: int | None = None, megabytes: float | None = None) -> int:
    """Write as many rows, or rows until the file has as many megabytes (of 10^6 bytes); the number of rows."""
    table = _sales()
    header = [CASE.columns.key, *(name for name in table if name != CASE.columns.key)]
    written = size = 0
    most_rows, most_bytes = rows or 2**63, (megabytes or 2**43) * 1e6
    with path.open("w", encoding="utf-8", newline="") as file:
        size += file.write(",".join(header) + "\n")
        for row in _varied(table, header):
            if written == most_rows or size >= most_bytes:
                break
            written += 1
            size += file.write(f"{written},{row}\n")
    return written


def _varied(table: dict[str, list[str]], header: list[str]) -> Iterator[str]:
    """Rows without their key, without end."""
    chance = np.random.default_rng(1)
    numbers = {*CASE.columns.integer, *CASE.columns.number, CASE.target.column}
    varied = {name for name in header[1:] if name in numbers and len(set(table[name])) > _MANY_VALUES}
    while True:
        columns = []
        for name in header[1:]:
            values = table[name]
            if name in varied:
                factors = chance.uniform(1 - _SPREAD, 1 + _SPREAD, len(values)).tolist()
                values = [
                    value if value in CASE.columns.missing_tokens else str(round(float(value) * factor))
                    for value, factor in zip(values, factors, strict=True)
                ]
            columns.append(values)
        yield from map(",".join, zip(*columns, strict=True))


def _sales() -> dict[str, list[str]]:
    feed = make_feed(CASE, "ames", by_date=False, cache=CACHE)
    content = feed.files(datetime.now(UTC))[CASE.source.labelled_file]
    text = (content if isinstance(content, bytes) else content.read_bytes()).decode()
    header, *rows = csv.reader(io.StringIO(text, newline=""))
    return dict(zip(header, map(list, zip(*rows, strict=True)), strict=True))

"""A few made-up houses in the form of the competition's download, and the ways in which a download can be bad."""

import csv
import io
import math
import random
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Self

from treering import use_case

CASE = use_case.load("house_prices")
ROWS = 200  # of which some thirty are the test split
Files = dict[str, bytes]


@dataclass(frozen=True)
class Table:
    """The labelled file: header and rows, and how it is written down."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    line_end: str = "\n"
    start: bytes = b""

    @classmethod
    def make(cls, week: int = 0, *, dear: bool = False) -> Self:
        """Houses whose prices follow from two columns; each week's differ, and so does what is learnt of them.

        Where prices are dear, they are so much higher that a model of other weeks is plainly worse.
        """
        chance = random.Random(f"week {week}")  # noqa: S311  # reproducible, not secret
        columns = CASE.columns
        header = (columns.key, *columns.integer, *columns.number, *columns.category, CASE.target.column)
        return cls(header, tuple(_house(number, dear, chance) for number in range(1, ROWS + 1)))

    def set(self, column: str, value: str, *lines: int) -> Self:
        """The value in these rows (counted from 0), in all rows without any."""
        at = self.header.index(column)
        chosen = set(lines or range(len(self.rows)))
        return self._with_rows(
            (*row[:at], value, *row[at + 1 :]) if number in chosen else row for number, row in enumerate(self.rows)
        )

    def without(self, column: str) -> Self:
        """Without a column."""
        at = self.header.index(column)
        kept = self._with_rows((*row[:at], *row[at + 1 :]) for row in self.rows)
        return replace(kept, header=(*self.header[:at], *self.header[at + 1 :]))

    def renamed(self, column: str, name: str) -> Self:
        """With another name for a column."""
        return replace(self, header=tuple(name if each == column else each for each in self.header))

    def added(self, column: str, value: str) -> Self:
        """With one more column at the end."""
        more = self._with_rows((*row, value) for row in self.rows)
        return replace(more, header=(*self.header, column))

    def first(self, count: int) -> Self:
        """The first rows only."""
        return self._with_rows(self.rows[:count])

    def content(self) -> bytes:
        """The file's bytes."""
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator=self.line_end)
        writer.writerow(self.header)
        writer.writerows(self.rows)
        return self.start + text.getvalue().encode()

    def files(self) -> Files:
        """The whole download: this labelled file, and the others."""
        return dict.fromkeys(CASE.source.files, _OTHERS) | {CASE.source.labelled_file: self.content()}

    def row(self, number: int) -> dict[str, str]:
        """One row by column."""
        return dict(zip(self.header, self.rows[number], strict=True))

    def _with_rows(self, rows: Iterable[tuple[str, ...]]) -> Self:
        return replace(self, rows=tuple(rows))


_OTHERS = b"Not read, but part of the download.\n"


def _house(number: int, dear: bool, chance: random.Random) -> tuple[str, ...]:
    columns = CASE.columns
    integers = [chance.randint(1, 9) for _ in columns.integer]
    numbers = [str(chance.randint(0, 99)) if chance.random() > 0.1 else "NA" for _ in columns.number]
    categories = [chance.choice("ABCD") if chance.random() > 0.1 else "NA" for _ in columns.category]
    price = 100_000 * math.exp(0.1 * integers[0] + 0.05 * integers[1] + chance.gauss(0, 0.02))
    return str(number), *map(str, integers), *numbers, *categories, str(round(1.5 * price if dear else price))


def zipped(files: Mapping[str, bytes], *, member: zipfile.ZipInfo | None = None) -> bytes:
    """A zip of the files, and of one strange member."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
        if member is not None:
            archive.writestr(member, b"strange")
    return buffer.getvalue()


def encrypted(files: Mapping[str, bytes]) -> bytes:
    """A zip whose members say that they are encrypted (APPNOTE.TXT 4.4.4, bit 0), in both places where they say so."""
    content = bytearray(zipped(files))
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = content.find(signature)
        while at >= 0:
            content[at + flags] |= 1
            at = content.find(signature, at + 1)
    return bytes(content)

"""Reads a CSV file record by record, in memory that does not grow with the file.

RFC 4180 with line breaks in quotes; LF, CRLF or CR; a byte order mark is skipped; blank lines between records count as
nothing. What the csv module would read somehow (text after a closing quote, a quote never closed) is an error.
"""

import csv
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

LONGEST_LINE = 1024 * 1024  # characters
LONGEST_CELL = csv.field_size_limit()  # characters: 131,072, the csv module's own limit


class BrokenCsvError(Exception):
    """From this line on, the file cannot be read: the line's number and the reason."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"line {line}: {reason}")
        self.line = line
        self.reason = reason


class Record(NamedTuple):
    """One record: the number of its first line (from 1), its cells, and its text with the line break at its end."""

    line: int
    cells: list[str]
    text: str


class CsvRecords:
    """Iterates over the records of a file, header first.

    Bytes that are not UTF-8 are let through as lone surrogates, after `on_not_utf8` was called with the line's number.
    """

    def __init__(self, path: Path, on_not_utf8: Callable[[int], None] | None = None) -> None:
        self._file = path.open(encoding="utf-8-sig", errors="surrogateescape", newline="")
        self._on_not_utf8 = on_not_utf8
        self._text: list[str] = []  # lines of the record being read

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: BaseException | TracebackType | None) -> None:
        self._file.close()

    def __iter__(self) -> Iterator[Record]:
        reader = csv.reader(self._lines(), strict=True)
        while True:
            first_line = reader.line_num + 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                raise BrokenCsvError(first_line, f"{error} (is a quote not closed?)") from error
            if cells:
                yield Record(first_line, cells, "".join(self._text))
            self._text.clear()

    def _lines(self) -> Iterator[str]:
        number = 0
        while line := self._file.readline(LONGEST_LINE):
            number += 1
            if len(line) == LONGEST_LINE and line[-1] not in "\r\n":
                raise BrokenCsvError(number, f"longer than {LONGEST_LINE:,} characters")
            if self._on_not_utf8 and not line.isascii() and not _is_utf8(line):
                self._on_not_utf8(number)
            self._text.append(line)
            yield line


def _is_utf8(line: str) -> bool:
    try:
        line.encode()
    except UnicodeEncodeError:
        return False
    return True

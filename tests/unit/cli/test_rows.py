"""Rows that a user asks the endpoint about."""

import pytest

from cli.errors import CommandError
from cli.rows import parse
from treering import use_case

CASE = use_case.load("house_prices")
FIRST, SECOND = CASE.columns.features[:2]
KEY = CASE.columns.key


def test_a_file_with_header_is_read_as_texts() -> None:
    """Values stay as they are written; the key's column can be taken out; a byte order mark does not hurt."""
    rows = parse(f"\ufeff{KEY},{FIRST}\n007,NA\n8,\n", "rows.csv", CASE)

    assert rows.columns == (KEY, FIRST)
    assert rows.column(KEY) == ["007", "8"]
    assert rows.column("elsewhere") is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "rows.csv is empty"),
        (f"{KEY},{FIRST}\n", "has a header and no rows"),
        ("1,2,3\n4,5,6\n", "has no header with the columns of house_prices"),
        (f"{FIRST},{SECOND}\n1,2\n3\n", "line 3 has 1 values; the header has 2"),
        (f"{FIRST},{FIRST}\n1,2\n", f"names these columns twice: {FIRST}"),
        (f'{FIRST}\n"1\n', "not valid CSV"),
    ],
)
def test_a_bad_file_is_refused_with_what_is_wrong_and_where(text: str, words: str) -> None:
    """The message names the file, the line and the fault."""
    with pytest.raises(CommandError) as refused:
        parse(text, "rows.csv", CASE)

    assert words in str(refused.value)


def test_many_rows_travel_in_chunks_each_with_the_header() -> None:
    """No chunk is longer than the limit, none is lost, and the order stays."""
    rows = parse(f"{KEY},{FIRST}\n" + "".join(f"{n},{n}\n" for n in range(100)), "rows.csv", CASE)

    chunks = list(rows.chunks(limit=100))

    assert sum(count for count, _ in chunks) == 100
    assert all(len(text) <= 100 and text.startswith(f"{KEY},{FIRST}\n") for _, text in chunks)
    assert [line.split(",")[0] for _, text in chunks for line in text.split()[1:]] == [str(n) for n in range(100)]

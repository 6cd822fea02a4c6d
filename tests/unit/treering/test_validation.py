"""A download that does not fit the use case is refused with one message that names all that is wrong."""

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from treering.errors import InvalidDataError
from treering.steps import repeated_keys, validation
from treering.steps.validation import validate

NO_NUMBER = "not a finite number (3.4e+38 at most)"
NOT_POSITIVE = "not a positive number (3.4e+38 at most), which its logarithm needs"


@pytest.fixture
def check(flats: Any, tmp_path: Path) -> Callable[[bytes], Any]:
    """Validates a download with this labelled file."""

    def run(table: bytes) -> Any:
        (tmp_path / "flats.csv").write_bytes(table)
        (tmp_path / "readme.txt").write_bytes(b"text")
        return validate(flats.use_case, {name: tmp_path / name for name in ("flats.csv", "readme.txt")})

    return run


def test_data_that_fit_are_summed_up(flats: Any, check: Callable[[bytes], Any]) -> None:
    """Number of rows; columns in the file's order with type and number of missing values."""
    columns = ["rent", "district", "id", "rooms", "area"]
    summary = check(flats.table(flats.rows(77), columns))

    assert summary.rows == 77
    assert [c.name for c in summary.columns] == columns
    assert [c.type for c in summary.columns] == ["target", "category", "key", "integer", "number"]
    assert [c.missing for c in summary.columns] == [0, 7, 0, 0, 11]


@pytest.mark.parametrize(
    ("column", "value", "problem"),
    [
        ("rent", "0", f"column rent: {NOT_POSITIVE}: line 5 ('0')"),
        ("rent", "-3", f"column rent: {NOT_POSITIVE}: line 5 ('-3')"),
        ("rent", "1e999", f"column rent: {NOT_POSITIVE}: line 5 ('1e999')"),
        ("rent", "1e308", f"column rent: {NOT_POSITIVE}: line 5 ('1e308')"),
        ("rent", "nan", f"column rent: {NOT_POSITIVE}: line 5 ('nan')"),
        ("rent", "NA", "column rent: no value: line 5"),
        ("rent", "", "column rent: no value: line 5"),
        ("rooms", "2.5", "column rooms: not a whole number: line 5 ('2.5')"),
        ("rooms", "1_0", "column rooms: not a whole number: line 5 ('1_0')"),
        ("rooms", "٣", "column rooms: not a whole number: line 5 ('٣')"),
        ("rooms", "9" * 30, f"column rooms: not a whole number: line 5 ('{'9' * 30}')"),
        ("rooms", "NA", "column rooms: no value: line 5"),
        ("area", "12,5", f"column area: {NO_NUMBER}: line 5 ('12,5')"),
        ("area", "inf", f"column area: {NO_NUMBER}: line 5 ('inf')"),
        ("area", "-1e39", f"column area: {NO_NUMBER}: line 5 ('-1e39')"),
        ("area", "9" * 300, f"column area: {NO_NUMBER}: line 5 ('{'9' * 40}…')"),
        ("area", " 3", f"column area: {NO_NUMBER}: line 5 (' 3')"),
        ("id", "", "column id: no value: line 5"),
        ("id", "flat-1", "column id: the same key again: line 5 ('flat-1, as in line 3')"),
        ("area", "x" * 1000, f"column area: {NO_NUMBER}: line 5 ('{'x' * 40}…')"),
    ],
)
def test_a_wrong_value_is_named_with_its_line(
    flats: Any, check: Callable[[bytes], Any], column: str, value: str, problem: str
) -> None:
    """The row in line 5 has a value that its column does not take."""
    rows = flats.rows(30)
    rows[3][column] = value

    with pytest.raises(InvalidDataError) as caught:
        check(flats.table(rows))

    assert f"- flats.csv: {problem}\n" in str(caught.value)


@pytest.mark.parametrize("value", ["1", "+1", "-1.", ".5", "1e5", "1.25E-3", "3.4028234663852886e38", "", "NA"])
def test_numbers_are_read_in_every_usual_form(flats: Any, check: Callable[[bytes], Any], value: str) -> None:
    """Decimal and scientific notation, and both ways to say that there is no value."""
    rows = flats.rows(30)
    rows[3]["area"] = value

    assert check(flats.table(rows)).rows == 30


def test_without_log_scale_a_target_may_be_negative(flats: Any, tmp_path: Path) -> None:
    """It must be a finite number all the same."""
    use_case = flats.use_case.model_copy(
        update={"target": flats.use_case.target.model_copy(update={"log_scale": False})}
    )
    rows = flats.rows(30)
    rows[0]["rent"], rows[1]["rent"] = "-1", "abc"
    for name, content in {"flats.csv": flats.table(rows), "readme.txt": b"text"}.items():
        (tmp_path / name).write_bytes(content)

    with pytest.raises(InvalidDataError) as caught:
        validate(use_case, {name: tmp_path / name for name in ("flats.csv", "readme.txt")})

    assert str(caught.value).count("\n- ") == 1
    assert f"column rent: {NO_NUMBER}: line 3 ('abc')" in str(caught.value)


def test_all_problems_come_in_one_message(flats: Any, tmp_path: Path) -> None:
    """Missing file, header, values, keys, row length, number of rows: each kind once, with count and first lines."""
    rows = flats.rows(12)
    for row in rows:
        row["colour"] = row.pop("district")
    for row in rows[4:10]:
        row["rent"] = "-1"
    table = flats.table(rows).replace(b"flat-2,", b"flat-1,").replace(b"flat-3,", b"flat-3,one more,")
    (tmp_path / "flats.csv").write_bytes(table)

    with pytest.raises(InvalidDataError) as caught:
        validate(flats.use_case, {"flats.csv": tmp_path / "flats.csv"})

    lines = str(caught.value).splitlines()
    assert lines[0] == "The data of rents-of-flats do not fit the use case flats:"
    assert lines[1:-1] == [
        "- the file readme.txt is not in the download",
        "- flats.csv: columns are missing: 'district'",
        "- flats.csv: columns are unknown to the use case: 'colour'",
        "- flats.csv: rows without the header's 5 cells: line 5 ('6 cells')",
        f"- flats.csv: column rent: {NOT_POSITIVE}: 6 times, first at line 6 ('-1'), line 7 ('-1'), line 8 ('-1')",
        "- flats.csv: column id: the same key again: line 4 ('flat-1, as in line 3')",
        "- flats.csv: 12 rows, at least 20 are needed",
    ]
    assert lines[-1].startswith("Nothing was stored. Correct the data, or the expectations in")


def test_problems_far_apart_are_counted_and_named_in_their_order(
    flats: Any, check: Callable[[bytes], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However the file is read in blocks, and whether or not a value was met before."""
    rows = flats.rows(3000)
    for i in (1100, 2200, 2900):
        rows[i]["area"] = "wide"
        rows[i]["id"] = rows[i - 1000]["id"]
    for block, known in ((1, 0), (5000, 3), (10**9, 5000)):
        monkeypatch.setattr(validation, "_BLOCK", block)
        monkeypatch.setattr(validation, "_MOST_KNOWN", known)
        with pytest.raises(InvalidDataError) as caught:
            check(flats.table(rows))
        wide = "line 1102 ('wide'), line 2202 ('wide'), line 2902 ('wide')"
        assert f"- flats.csv: column area: {NO_NUMBER}: 3 times, first at {wide}\n" in str(caught.value)
        assert "column id: the same key again: 3 times, first at line 1102 ('flat-100, as in line 102')" in str(
            caught.value
        )


def test_keys_with_the_same_hash_are_not_the_same_key(
    flats: Any, check: Callable[[bytes], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the keys themselves count."""
    for module in (validation, repeated_keys):
        monkeypatch.setattr(module, "hash", len, raising=False)

    assert check(flats.table(flats.rows(300))).rows == 300


def test_a_file_of_nothing_but_repeated_keys_is_refused_in_bounded_memory(
    flats: Any, check: Callable[[bytes], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not every key is looked for then, and the message says so."""
    monkeypatch.setattr(validation, "MOST_REPEATED", 20)
    monkeypatch.setattr(repeated_keys, "MOST_REPEATED", 20)
    rows = flats.rows(30)

    with pytest.raises(InvalidDataError, match="the same key again: 20 times") as caught:
        check(flats.table([*rows, *rows]))

    assert "column id: 20 keys or more are there again, not all were counted" in str(caught.value)


def test_memory_grows_by_little_with_the_rows(flats: Any, check: Callable[[bytes], Any]) -> None:
    """100,000 keys take a tenth of what a set of them would."""
    table = flats.table(flats.rows(100_000))
    tracemalloc.start()
    try:
        check(table)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 9_000_000


def test_a_column_that_is_there_twice_is_named(flats: Any, check: Callable[[bytes], Any]) -> None:
    """Nobody could say which of the two is meant."""
    table = flats.table(flats.rows(30)).replace(b"district", b"rooms", 1)

    with pytest.raises(InvalidDataError, match=r"missing: 'district'\n.*more than once: 'rooms'\n"):
        check(table)


def test_a_thousand_unknown_columns_give_a_short_message(flats: Any, check: Callable[[bytes], Any]) -> None:
    """The first ten are named, the others counted."""
    names = ",".join(f"c{i}" for i in range(1000)).encode()

    with pytest.raises(InvalidDataError, match="'c9' and 990 more") as caught:
        check(b"id,rooms,area,district,rent," + names + b"\n")

    assert len(str(caught.value)) < 1000


@pytest.mark.timeout(100)  # minutes, where each column is looked for among all others
def test_a_header_as_long_as_a_line_may_be_is_refused_at_once(check: Callable[[bytes], Any]) -> None:
    """170,000 columns take no longer than reading them, and not every one is listed."""
    names = ",".join(f"{i:x}" for i in range(170_000)).encode()

    with pytest.raises(InvalidDataError, match="'9' and 169990 more") as caught:
        check(names + b",a,a\n")

    assert "more than once: 'a'" in str(caught.value)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("start", ["", "\ufeff"])
def test_line_ends_byte_order_mark_blank_lines_and_quoted_breaks_are_read(
    flats: Any, check: Callable[[bytes], Any], newline: str, start: str
) -> None:
    """None of them changes rows or names; a problem's line is that of the file, breaks in quotes included."""
    rows = flats.rows(30)
    rows[1]["district"] = "BREAK"
    text = start + flats.table(rows).decode().replace("\n", newline)
    text = text.replace("BREAK", f'"two{newline}lines"').replace("flat-5,", f"{newline}flat-5,")

    assert check(text.encode()).rows == 30
    with pytest.raises(InvalidDataError, match=r"column rooms: no value: line 9"):
        check(text.replace("flat-5,1,", "flat-5,,").encode())


@pytest.mark.parametrize(
    ("end", "problem"),
    [
        (b'flat-x,1,2,"never closed,3\n', "no CSV from here on, the rest was not read: unexpected end of data"),
        (b'flat-x,1,2,"closed" and more,3\n', "no CSV from here on, the rest was not read: ',' expected after '\"'"),
        (b"flat-x,1,2," + b"x" * 200_000 + b",3\n", "no CSV from here on, the rest was not read: field larger than"),
        (b"x" * 2_000_000, "no CSV from here on, the rest was not read: longer than 1,048,576 characters"),
    ],
)
def test_what_is_no_csv_is_said_with_its_line(
    flats: Any, check: Callable[[bytes], Any], end: bytes, problem: str
) -> None:
    """A quote that is not closed, a huge cell, a line without end: reading stops there."""
    with pytest.raises(InvalidDataError) as caught:
        check(flats.table(flats.rows(30)) + end)

    assert problem in str(caught.value)
    assert "line 32" in str(caught.value)


def test_bytes_that_are_not_utf8_are_named(flats: Any, check: Callable[[bytes], Any]) -> None:
    """A Latin-1 file: lines are counted, the first are named."""
    rows = flats.rows(30)
    for i in (2, 6, 8, 9):
        rows[i]["district"] = "Köln"

    with pytest.raises(InvalidDataError, match=r"not UTF-8: 4 times, first at line 4, line 8, line 10\n"):
        check(flats.table(rows).decode().encode("latin-1"))


@pytest.mark.parametrize("content", [b"", b"\n\n", b"id,rooms,area,district,rent\n", b"\x00\x01\x02"])
def test_a_file_with_nothing_in_it_is_refused(check: Callable[[bytes], Any], content: bytes) -> None:
    """Empty, blank, a header alone, not even text."""
    with pytest.raises(InvalidDataError, match=r"is empty|0 rows, at least 20"):
        check(content)


def test_memory_grows_with_the_keys_only(flats: Any, check: Callable[[bytes], Any]) -> None:
    """A table whose cells hold 20 MB is checked in less than 3 MB."""
    rows = [{**row, "district": "x" * 40_000} for row in flats.rows(500)]
    table = flats.table(rows)
    tracemalloc.start()
    summary = check(table)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert summary.rows == 500
    assert peak < 3_000_000 < len(table)

"""The readers of CSV files, given every kind of file: each is read, or refused with a reason, in bounded memory."""

import contextlib
import csv
import io
import tracemalloc

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from treering.errors import InvalidDataError
from treering.steps.csv_columns import parse_columns, read_columns
from treering.steps.csv_records import BrokenCsvError, CsvRecords
from treering.steps.splitting import write_splits
from treering.steps.validation import validate

FILES = 600  # to each of the four readers
LONGEST_MESSAGE = 10_000  # characters: a list of problems, not the file
_fuzz = settings(max_examples=FILES, deadline=None, database=None, suppress_health_check=list(HealthCheck))

_odd = st.sampled_from([
    "", "NA", " ", "0", "-1", "1e308", "1e309", "nan", "inf", "9" * 30, "9" * 5000, "1_0", "\u0661", "\x00", '"', '""',
    "a,b", "a\nb", "a\r\nb", "\ufeff", "\u2028", "\x85", "\x0c", "\x1c", "x" * 140_000, "a;b", "'", "=1+1", "#",
])  # fmt: skip
_cells = _odd | st.text(max_size=5)
_pieces = st.sampled_from(
    [b"\x00", b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b'"', b",", b"\n", b"\r", b"\xef\xbb\xbf", b'""']
)


def _written(table, end, start, quoting, encoding):
    """The cells as CSV in some dialect."""
    text = io.StringIO()
    csv.writer(text, lineterminator=end, quoting=quoting).writerows(table)
    return start + text.getvalue().encode(encoding, "surrogatepass" if encoding == "utf-8" else "replace")


def _bent(content, changes):
    """With some bytes put in or cut off."""
    for where, piece, cut in changes:
        at = int(where * len(content))
        content = content[:at] + piece + content[at + cut :]
    return content


_dialects = (
    st.sampled_from(["\n", "\n", "\r\n", "\r", "\n\n"]),
    st.sampled_from([b"", b"", b"\xef\xbb\xbf", b"\n", b"\xff\xfe"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    st.sampled_from(["utf-8", "utf-8", "utf-8", "utf-16", "latin-1"]),
)
_changes = st.lists(st.tuples(st.floats(0, 1), _pieces | st.binary(max_size=4), st.integers(0, 30)), max_size=3)
_tables = st.lists(st.lists(_cells, min_size=1, max_size=4), max_size=6)
_files = st.builds(_bent, st.builds(_written, _tables, *_dialects), _changes) | st.binary(max_size=200)
# of a file that is but the start of a byte order mark, Python's decoder gives nothing at all
_any_file = _files.filter(lambda content: content not in (b"\xef", b"\xef\xbb"))


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """Where the files are written, one after the other."""
    return tmp_path_factory.mktemp("csv") / "flats.csv"


def _tried(call):
    """What a reader gives, or nothing and the reason of its refusal."""
    try:
        return call(), ""
    except (InvalidDataError, BrokenCsvError) as error:
        return None, str(error)


def _read_records(path, on_not_utf8):
    with CsvRecords(path, on_not_utf8) as records:
        return list(records)


@seed(1)
@_fuzz
@given(content=_any_file)
def test_records_are_those_of_the_text_or_the_file_is_broken(path, content):
    """Each record's own text holds its cells, and all texts together are the file, but for blank lines."""
    path.write_bytes(content)
    not_utf8 = []
    records, reason = _tried(lambda: _read_records(path, not_utf8.append))

    if records is None:
        assert 0 < len(reason) <= LONGEST_MESSAGE
        return
    assert all(next(csv.reader(io.StringIO(text, newline=""))) == cells for _, cells, text in records)
    read = "".join(text for _, _, text in records).encode("utf-8", "surrogateescape")
    assert _without_breaks(read) == _without_breaks(content.removeprefix(b"\xef\xbb\xbf"))
    assert bool(not_utf8) == (not _is_utf8(content))


@seed(2)
@_fuzz
@given(content=_any_file)
def test_columns_are_all_as_long_or_the_file_is_refused(path, content):
    """A table has one value per row in each column; anything else is an error that names the file and says why."""
    path.write_bytes(content)
    columns, reason = _tried(lambda: read_columns(path))

    if columns is None:
        assert path.name in reason
        assert len(reason) <= LONGEST_MESSAGE
    else:
        assert columns
        assert len({len(values) for values in columns.values()}) == 1


@seed(3)
@_fuzz
@given(data=st.data())
def test_whatever_is_valid_can_be_split_and_nothing_is_lost(path, flats, data):
    """Good rows with something changed are refused with every reason, or split into files that hold every row."""
    rows = flats.rows(24)
    for _ in range(data.draw(st.integers(0, 2))):
        row = data.draw(st.sampled_from(rows))
        row[data.draw(st.sampled_from(list(row)))] = data.draw(_cells)
    table = [list(rows[0]), *(list(row.values()) for row in rows)]
    content = _written(table, *(data.draw(part) for part in _dialects))
    path.write_bytes(_bent(content, data.draw(_changes) if data.draw(st.booleans()) else []))
    summary, reason = _tried(lambda: validate(flats.use_case, {"flats.csv": path, "readme.txt": path}))

    if summary is None:
        assert 0 < len(reason) <= LONGEST_MESSAGE
        return
    splits = write_splits(path, flats.use_case, path.parent)
    read = [read_columns(split.path) for split in splits.values()]
    assert sum(split.rows for split in splits.values()) == summary.rows
    assert sorted(key for columns in read for key in columns["id"]) == sorted(read_columns(path)["id"])


@seed(4)
@_fuzz
@given(lines=st.lists(st.text(max_size=30) | _cells, max_size=6))
def test_any_text_is_columns_or_refused(lines):
    """Text that comes line by line, from wherever, is read or refused."""
    columns, reason = _tried(lambda: parse_columns([f"{line}\n" for line in lines], "some text"))

    assert columns or "some text" in reason


@pytest.mark.parametrize(
    "content",
    [
        b"x" * 30_000_000,
        b"a,b\n" + b"," * 30_000_000,
        b'"' + b"x\n" * 15_000_000,
        b'"' + b'""' * 15_000_000,
        b"\n" * 1_000_000,
        b"\xff" * 30_000_000,
        b"a,b\n" + b"1,2\n" * 300_000,
    ],
    ids=["one line", "one record", "quote never closed", "quotes", "blank lines", "no UTF-8", "many rows"],
)
def test_memory_does_not_grow_with_the_file(path, content):
    """A file of many megabytes, whatever it is made of, is read in a few."""
    path.write_bytes(content)
    del content
    lines = []
    tracemalloc.start()
    try:
        with contextlib.suppress(BrokenCsvError), CsvRecords(path, lines.append) as records:
            for _ in records:
                lines.clear()
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()

    assert peak < 25_000_000


def _without_breaks(content):
    return content.replace(b"\n", b"").replace(b"\r", b"")


def _is_utf8(content):
    try:
        content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return False
    return True

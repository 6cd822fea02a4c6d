"""Columns in little memory hold the same text as lists, and everything computed from them is the same."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from treering import use_case
from treering.errors import InvalidDataError
from treering.steps import encoded_column, fitting
from treering.steps.csv_columns import read_columns, read_encoded, write_columns
from treering.steps.encoded_column import ColumnEncoder, EncodedColumn
from treering.steps.preprocessing import Preprocessing

HOUSES = use_case.load("house_prices")
NAMES = {"run_id": "20240101-060000-0a1b2c3d", "dataset_version": "0123456789abcdef"}
CASE = HOUSES.model_copy(
    update={
        "columns": use_case.Columns(
            key="id", integer=("rooms",), number=("area",), category=("street",), minimum_rows=1
        ),
        "features": use_case.Features(keep=9, category_smoothing=2, sums={"space": ("area", "rooms")}),
        "target": use_case.Target(column="rent", unit="EUR", log_scale=False),
    }
)


def encoded(cells, pieces=3):
    """The cells, taken up in pieces."""
    encoder = ColumnEncoder()
    for start in range(0, len(cells), pieces):
        encoder.extend(cells[start : start + pieces])
    return encoder.column()


@given(st.lists(st.text(max_size=2)), st.integers(1, 5))
def test_it_is_the_same_sequence(cells, pieces):
    """Length, order, single cells and slices."""
    column = encoded(cells, pieces)

    assert isinstance(column, EncodedColumn)
    assert list(column) == cells
    assert len(column) == len(cells)
    assert [column[i] for i in range(-len(cells), len(cells))] == cells * 2
    assert list(column[1:3]) == cells[1:3]
    assert column.distinct == tuple(dict.fromkeys(cells))


@pytest.mark.parametrize("distinct", [1, 256, 257, 65_536, 65_537])
def test_a_cell_costs_as_few_bytes_as_its_number_needs(distinct):
    """One byte up to 256 distinct cells, two up to 65,536, then four."""
    column = encoded([str(i % distinct) for i in range(3 * distinct)], 1000)

    assert column.codes.itemsize == (1 if distinct <= 256 else 2 if distinct <= 65_536 else 4)
    assert column[-1] == str(distinct - 1)


def test_a_column_that_hardly_repeats_becomes_a_list(monkeypatch):
    """Encoding would cost more there than it saves; nothing of what came before is lost."""
    monkeypatch.setattr(encoded_column, "_TOO_MANY_FROM", 10)
    monkeypatch.setattr(encoded_column, "_RECENT", 20)
    cells = ["a"] * 15 + [str(i) for i in range(100)]

    assert encoded(cells) == cells


def test_a_table_takes_a_fraction_of_a_list_of_text(tmp_path):
    """20,000 rows of twenty columns that repeat: a byte or two a cell."""
    write_columns(tmp_path / "train.csv", {f"c{i}": [str(j % (90 + i)) for j in range(20_000)] for i in range(20)})
    peaks = []
    for read in (read_columns, read_encoded):
        tracemalloc.start()
        table = read(tmp_path / "train.csv")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert len(table["c0"]) == 20_000

    assert peaks[1] < 5_000_000 < peaks[0] / 4


_numbers = st.sampled_from(["1", "2", " 2", "2.0", "-0.0", "0", "NA", "", "1e-3", "3.25", "7"])
_rows = st.lists(
    st.tuples(_numbers, _numbers, st.sampled_from(["N", " N", "S", "NA", "", "é", "20"]), st.integers(1, 9)),
    min_size=1,
    max_size=40,
)


@settings(deadline=None, max_examples=40)
@given(_rows)
def test_fit_and_transform_are_the_same_to_the_last_bit(rows):
    """Whether the columns are lists or encoded: fills, codes, relevance, features kept, features."""
    rooms, area, street, rent = ([str(cell) for cell in cells] for cells in zip(*rows, strict=True))
    lists = {"id": [str(i) for i in range(len(rows))], "rooms": rooms, "area": area, "street": street, "rent": rent}
    columns = {name: encoded(cells) for name, cells in lists.items()}
    found = [_tried(lambda table=table: fitting.fit(table, CASE, **NAMES)) for table in (lists, columns)]

    assert repr(found[0]) == repr(found[1])
    if isinstance(found[0], tuple):
        preprocessing: Preprocessing = found[0][0]
        plain, coded = preprocessing.transform(lists), preprocessing.transform(columns)
        assert plain.tobytes() == coded.tobytes()
        assert plain.flags.f_contiguous == coded.flags.f_contiguous
        parts = [values.of_rows(slice(1, 3)) for values in preprocessing.feature_values(columns)]
        assert np.array(parts).T.tobytes() == plain[1:3].tobytes()


@given(st.lists(st.sampled_from(["1", "2", "x", "y", "NA"]), min_size=1))
def test_the_first_wrong_number_is_named_with_its_row(cells):
    """A cell that occurs again is parsed once; the message is as for a list."""
    said = [
        _tried(lambda column=column: fitting.read_target({"rent": column}, CASE).tolist())
        for column in (cells, encoded(cells))
    ]

    assert said[0] == said[1]


def test_reading_in_little_memory_refuses_what_reading_refuses(tmp_path):
    """The same message for a file that is no table."""
    path = tmp_path / "train.csv"
    for content in (b"", b"\n\n", b"a,b\n1\n", b"a,a\n1,2\n", b'a\n"x\n', b"a\n\xff\n", b"a\n", b"a,b\n1,2\n"):
        path.write_bytes(content)
        said = [
            _tried(lambda read=read: {name: list(cells) for name, cells in read(path).items()})
            for read in (read_columns, read_encoded)
        ]
        assert said[0] == said[1]
    path.unlink()
    with pytest.raises(InvalidDataError, match=r"train\.csv is not in"):
        read_encoded(path)


def _tried(call):
    """What a call gives, or its refusal."""
    try:
        return call()
    except InvalidDataError as error:
        return str(error)

"""The parts of the data source that need no server: days, tables, folders, zips."""

import os
import zipfile
from collections import Counter
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_cloud.kaggle import FeedDescription, FeedError, FolderFeed
from local_cloud.kaggle.archive import zip_files
from local_cloud.kaggle.rdatasets_source import as_text
from local_cloud.kaggle.sale_days import spread
from local_cloud.kaggle.table import Table

NOW = datetime(2020, 6, 15, tzinfo=UTC)
DESCRIPTION = FeedDescription(
    package="p",
    dataset="d",
    key="id",
    target="y",
    labelled_file="train.csv",
    year_column="year",
    month_column="month",
    unlabelled_share=0.5,
    rename={"N": "id"},
)


def dated(count: int, year: int = 2020, month: int = 2) -> Table:
    """Rows of one month, keys from 0."""
    return Table(("id", "year", "month"), tuple((str(n), str(year), str(month)) for n in range(count)))


def days(table: Table) -> tuple[date, ...]:
    """The days of the rows."""
    return spread(table, key="id", year="year", month="month", name="the table")


@given(st.integers(min_value=1, max_value=200), st.integers(min_value=1, max_value=12))
def test_a_months_rows_are_spread_evenly(count: int, month: int) -> None:
    """Every day is in the month, the first is the 1st, and no day has two rows more than another that has one."""
    found = Counter(days(dated(count, month=month)))

    assert {(day.year, day.month) for day in found} == {(2020, month)}
    assert min(found) == date(2020, month, 1)
    assert max(found.values()) - min(found.values()) <= 1


def test_days_do_not_follow_the_order_of_keys() -> None:
    """The order within the month is by hash: the first keys are not all in the first days, nor are the last ones."""
    found = days(dated(100))

    assert list(found) != sorted(found)


def test_days_do_not_depend_on_the_order_of_rows() -> None:
    """A row keeps its day when the table is sorted in another way, or holds other months as well."""
    table = dated(20)
    mixed = Table(table.columns, (*dated(7, month=3).rows, *reversed(table.rows)))

    assert days(mixed)[7:] == tuple(reversed(days(table)))


@pytest.mark.parametrize("row", [("9", "NA", "2"), ("9", "2020", "13"), ("9", "2020", "")])
def test_a_row_without_date_is_named(row: tuple[str, str, str]) -> None:
    """The error tells which row, and what stands there."""
    with pytest.raises(FeedError, match="'9' has no date"):
        days(Table(("id", "year", "month"), (row,)))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "NA"),
        (float("nan"), "NA"),
        (3.0, "3"),
        (-0.0, "0"),
        (0.25, "0.25"),
        (7, "7"),
        ("WD ", "WD"),
        (" x", " x"),
    ],
)
def test_values_as_text(value: object, text: str) -> None:
    """Missing is NA, whole numbers lose their decimals, texts the blanks at their end."""
    assert as_text(value) == text


@pytest.mark.parametrize(
    ("column", "name"),
    [
        ("N", "id"),
        ("Lot.Area", "LotArea"),
        ("X1st.Flr", "1stFlr"),
        ("Xylophone", "Xylophone"),
        ("X", "X"),
        ("AX2", "AX2"),
    ],
)
def test_names_of_columns(column: str, name: str) -> None:
    """Dots go, and an X before a digit; a name in `rename` is taken as it is."""
    assert DESCRIPTION.competition_name(column) == name


def test_a_table_is_written_as_it_was_read() -> None:
    """Quotes, commas, line breaks and non-ASCII text come back byte for byte."""
    content = 'a,b\n"x, y",é\n"say ""no""","two\nlines"\n'.encode()

    assert Table.from_csv(content, "f").to_csv() == content


def test_a_table_with_a_short_row_is_refused() -> None:
    """The error names file and record."""
    with pytest.raises(FeedError, match=r"f\.csv, record 3"):
        Table.from_csv(b"a,b\n1,2\n3\n", "f.csv")


def test_the_zip_is_the_same_for_the_same_files(tmp_path: Path) -> None:
    """Order of the files, and whether they lie in memory or on disk, do not matter."""
    (tmp_path / "b").write_bytes(b"B")

    assert zip_files({"a": b"A", "b": b"B"}) == zip_files({"b": tmp_path / "b", "a": b"A"})


def test_a_folder_is_served_with_its_subfolders(tmp_path: Path) -> None:
    """Names are relative, with slashes; hidden files are left out."""
    (tmp_path / "sub").mkdir()
    for name in ("train.csv", "sub/more.csv", ".hidden", "sub/.hidden"):
        (tmp_path / name).write_text("x")

    assert sorted(FolderFeed(tmp_path).files(NOW)) == ["sub/more.csv", "train.csv"]


def test_a_zip_is_served_like_a_folder(tmp_path: Path) -> None:
    """The members are the files."""
    path = tmp_path / "all.zip"
    path.write_bytes(zip_files({"train.csv": b"id\n1\n"}))
    feed = FolderFeed(path)

    assert feed.files(NOW) == {"train.csv": b"id\n1\n"}
    assert feed.edition(NOW) == FolderFeed(path).edition(NOW)


def test_changed_files_are_another_edition(tmp_path: Path) -> None:
    """The edition follows the content."""
    (tmp_path / "train.csv").write_text("one")
    before = FolderFeed(tmp_path).edition(NOW)
    (tmp_path / "train.csv").write_text("other")

    assert FolderFeed(tmp_path).edition(NOW).name != before.name


def test_a_zip_that_leads_out_of_its_folder_is_refused(tmp_path: Path) -> None:
    """No member may have a path with .. or from the root."""
    path = tmp_path / "bad.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../outside.txt", "x")

    with pytest.raises(FeedError, match="leads out of the folder"):
        FolderFeed(path)


@pytest.mark.parametrize("at", [0.3, 0.5, 0.7])
def test_a_damaged_zip_is_refused(tmp_path: Path, at: float) -> None:
    """Wrong bytes in a member are noticed by deflate, or by the checksum."""
    content = bytearray(zip_files({"train.csv": "".join(str(n * n) for n in range(300)).encode()}))
    middle = int(len(content) * at)
    content[middle : middle + 20] = b"\xff" * 20
    (tmp_path / "bad.zip").write_bytes(content)

    with pytest.raises(FeedError, match=r"bad\.zip cannot be read as a zip file: .*(CRC|decompressing)"):
        FolderFeed(tmp_path / "bad.zip")


def test_a_file_whose_name_is_no_text_is_named(tmp_path: Path) -> None:
    """A zip cannot hold it."""
    (tmp_path / "train.csv").write_text("x")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe.csv")).write_text("x")

    with pytest.raises(FeedError, match=r"'\\udcff\\udcfe\.csv' is not UTF-8"):
        FolderFeed(tmp_path)


@pytest.mark.parametrize("name", ["nowhere", "empty", "text.zip"])
def test_a_source_without_files_is_refused(tmp_path: Path, name: str) -> None:
    """A path that does not exist, an empty folder, a file that is no zip: each is named."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.zip").write_text("no zip")

    with pytest.raises(FeedError, match=name):
        FolderFeed(tmp_path / name)


def test_by_date_needs_the_labelled_file_and_its_columns(tmp_path: Path) -> None:
    """What is missing is named: the description, the file, or the column."""
    (tmp_path / "other.csv").write_text("x\n")
    with pytest.raises(FeedError, match="needs a description"):
        FolderFeed(tmp_path, by_date=True)
    with pytest.raises(FeedError, match=r"no train\.csv"):
        FolderFeed(tmp_path, by_date=True, description=DESCRIPTION)
    (tmp_path / "train.csv").write_text("id,year\n1,2020\n")

    with pytest.raises(FeedError, match="no column 'month'"):
        FolderFeed(tmp_path, by_date=True, description=DESCRIPTION)


@pytest.mark.parametrize("share", [0, 1, -0.5])
def test_the_unlabelled_share_must_be_a_share(share: float) -> None:
    """Neither nothing nor everything can be unlabelled."""
    with pytest.raises(FeedError, match="between 0 and 1"):
        FeedDescription.from_mapping({**vars(DESCRIPTION), "unlabelled_share": share})

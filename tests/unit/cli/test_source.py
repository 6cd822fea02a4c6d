"""Which data source is used, and with which credentials."""

import json
from pathlib import Path

import pytest

from cli import source
from cli.errors import CommandError, UsageError


def test_the_token_wins_over_the_key_and_the_key_over_the_file(tmp_path: Path) -> None:
    """Credentials come from KAGGLE_API_TOKEN, then KAGGLE_USERNAME and KAGGLE_KEY, then ~/.kaggle/kaggle.json."""
    (tmp_path / ".kaggle").mkdir()
    (tmp_path / ".kaggle" / "kaggle.json").write_text(json.dumps({"username": "file", "key": "k1"}))
    pair = {"KAGGLE_USERNAME": "variable", "KAGGLE_KEY": "k2"}

    assert source.kaggle_credentials({**pair, "KAGGLE_API_TOKEN": "t"}, tmp_path) == {"api_token": "t"}
    assert source.kaggle_credentials(pair, tmp_path) == {"username": "variable", "key": "k2"}
    assert source.kaggle_credentials({"KAGGLE_USERNAME": "half"}, tmp_path) == {"username": "file", "key": "k1"}


def test_no_credentials_are_none(tmp_path: Path) -> None:
    """Without any of the three there are none."""
    assert source.kaggle_credentials({}, tmp_path) is None


def test_a_broken_file_is_named_without_its_content(tmp_path: Path) -> None:
    """A kaggle.json that is no credentials is an error that names the file and shows nothing of it."""
    (tmp_path / ".kaggle").mkdir()
    (tmp_path / ".kaggle" / "kaggle.json").write_text('{"username": "u", "secret": "s3cr3t"}')

    with pytest.raises(CommandError, match=r"kaggle\.json") as refused:
        source.kaggle_credentials({}, tmp_path)

    assert "s3cr3t" not in str(refused.value)


def test_kaggle_without_credentials_says_where_they_may_come_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message names all three places and the way out without an account."""
    for name in ("KAGGLE_API_TOKEN", "KAGGLE_USERNAME", "KAGGLE_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KAGGLE_CONFIG_DIR", str(tmp_path))

    with pytest.raises(CommandError) as refused:
        source.from_kaggle()

    for words in ("KAGGLE_API_TOKEN", "KAGGLE_KEY", "kaggle.json", "--source ames"):
        assert words in refused.value.hint


def test_an_unknown_source_is_a_usage_error(tmp_path: Path) -> None:
    """What is neither a known name nor a path there is, is refused; a path becomes absolute."""
    with pytest.raises(UsageError, match="no such folder or zip"):
        source.check("nowhere.zip")

    assert source.check(str(tmp_path)) == str(tmp_path.resolve())
    assert source.check("ames") == "ames"

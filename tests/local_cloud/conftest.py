"""What tests of the whole application share."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from cli.data_source import make_feed
from treering import use_case

_CASE = use_case.load("house_prices")
_EVERY = 3  # of so many rows of the public data one is enough where a test is not about the model's error


@pytest.fixture(scope="session")
def thin_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the competition's files for `--source`, thinned out: what is grown of it is grown sooner."""
    source = tmp_path_factory.mktemp("source")
    feed = make_feed(_CASE, "ames", by_date=False, cache=tmp_path_factory.mktemp("cache"))
    for name, content in feed.files(datetime.now(UTC)).items():
        text = content if isinstance(content, bytes) else content.read_bytes()
        if name == _CASE.source.labelled_file:
            header, *rows = text.splitlines(keepends=True)
            text = b"".join([header, *rows[::_EVERY]])
        (source / name).write_bytes(text)
    return source

"""The local cloud as the commands see it."""

import http.client
import urllib.error
from pathlib import Path

import pytest

from cli.cloud import Cloud
from cli.errors import CommandError


class Ended:
    """What opens a URL of a cloud that ends meanwhile."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def open(self, *_: object, **__: object) -> object:
        """As it ends."""
        raise self.error


@pytest.mark.parametrize(
    "error",
    [
        ConnectionResetError(104, "Connection reset by peer"),
        http.client.RemoteDisconnected("Remote end closed connection without response"),
        http.client.IncompleteRead(b"{"),
        urllib.error.URLError("Connection refused"),
        TimeoutError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_cloud_that_ends_while_it_is_asked_is_told_of(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One sentence and what to do, whenever it ended."""
    monkeypatch.setattr("cli.cloud._DIRECT", Ended(error))
    cloud = Cloud(
        folder=tmp_path,
        endpoint="http://127.0.0.1:1",
        region="us-east-1",
        account_id="000000000000",
        access_key_id="a",
        secret_access_key="b",
        pid=1,
        started_at="2026-01-01T00:00:00Z",
    )

    with pytest.raises(CommandError, match="does not answer any more") as told:
        cloud.waiting()

    assert "treering up" in told.value.hint

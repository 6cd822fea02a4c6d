"""What an answer of the data source means: go on, try again, or an error that says what to do."""

import json
from collections.abc import Iterator
from datetime import datetime
from urllib.parse import urlsplit, urlunsplit

import requests
from urllib3.exceptions import HTTPError

from treering.clock import Deadline
from treering.errors import CredentialsError, DataSourceError, TransientError, TreeringError
from treering.kaggle.backoff import retry_after

_LONGEST_ERROR_BODY = 64 * 1024  # bytes
_LONGEST_QUOTE = 500  # characters
_TRANSIENT_STATUSES = frozenset({408, 425, 429})  # and all from 500


class InterruptionError(Exception):
    """This attempt failed, the next may not: why, how long the server asks to wait (seconds), the error if it was the
    last attempt."""

    def __init__(self, reason: str, asked: float | None = None, final: type[TreeringError] = TransientError) -> None:
        super().__init__(reason)
        self.reason = reason
        self.asked = asked
        self.final = final


def without_query(url: str) -> str:
    """The URL without its query, which may be a signature, and without credentials; printable."""
    parts = urlsplit(url)
    return printable(urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", "")))


def printable(text: str) -> str:
    """Text from outside for a message: letters of all scripts as they are; what a terminal would obey, or no encoding
    can write (lone surrogates, which JSON may hold), as Python's escapes. At most 500 characters."""
    shown = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text[:_LONGEST_QUOTE])
    return shown[:_LONGEST_QUOTE]


def chunks(response: requests.Response, size: int, deadline: Deadline) -> Iterator[bytes]:
    """The body in pieces of at most `size` bytes, each as soon as it arrives, so that the deadline holds even for a
    source that sends a byte at a time. Raises InterruptionError where the connection breaks or time is up."""
    while True:
        if deadline.remaining() <= 0:
            raise TransientError(_time_is_up(response.url))
        try:
            chunk: bytes = response.raw.read1(size, decode_content=False)
        except (HTTPError, OSError) as error:
            raise InterruptionError(f"the connection broke ({type(error).__name__})") from error
        if not chunk:
            return
        yield chunk


def _time_is_up(url: str) -> str:
    return (
        f"The download from {without_query(url)} was stopped, as this function's time is nearly up. "
        "Trying again later may help; if not, raise the function's timeout."
    )


def check(
    response: requests.Response, competition: str, from_api: bool, how_to_store: str, now: datetime, deadline: Deadline
) -> None:
    """Return if the answer brings data (200, 206), else raise: InterruptionError or the application's error.

    `from_api` says whether Kaggle itself answered; from its storage, a refusal means that the signed URL has expired.
    `how_to_store` is the command that stores other credentials.
    """
    status = response.status_code
    if status in (200, 206):
        return
    asked = retry_after(response.headers.get("Retry-After"), now)
    source = without_query(response.url)
    if status >= 500 or status in _TRANSIENT_STATUSES:
        raise InterruptionError(f"{source} answered {status}", asked)
    if not from_api:
        raise InterruptionError(f"the storage {source} answered {status}", asked, DataSourceError)
    said = _message(response, deadline)
    if status == 401:
        raise CredentialsError(
            f"Kaggle refused the credentials for {competition} (401: {said}). Create a new token at "
            f"https://www.kaggle.com/settings (API) and store it with: {how_to_store}"
        )
    if status == 403:
        raise DataSourceError(
            f"Kaggle does not give out the data of {competition} (403: {said}). Log in as the user of the credentials "
            f"and accept the competition's rules at https://www.kaggle.com/competitions/{competition}/rules"
        )
    if status == 404:
        raise DataSourceError(
            f"Kaggle has no competition {competition} or no data of it (404: {said}). Compare the name with the page "
            f"https://www.kaggle.com/competitions/{competition} and set the competition's parameter right."
        )
    raise DataSourceError(
        f"{source} answered {status} ({said}) to the download of {competition}. Check the data source's base URL."
    )


def _message(response: requests.Response, deadline: Deadline) -> str:
    """Kaggle's `{"code", "message"}`, else the reason phrase; printable, on one line."""
    body = bytearray()
    try:
        for chunk in chunks(response, _LONGEST_ERROR_BODY, deadline):
            body += chunk
            if len(body) > _LONGEST_ERROR_BODY:
                break
        content = json.loads(body)
        said = str(content["message"] or "") if isinstance(content, dict) else ""
    except (InterruptionError, ValueError, KeyError, RecursionError):
        said = ""
    return printable(" ".join((said or response.reason or "no message").split()))

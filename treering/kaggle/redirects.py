"""GET that follows redirects by hand, so that credentials never travel to a host they are not for."""

from collections.abc import Mapping
from urllib.parse import SplitResult, urljoin, urlsplit

import requests
from requests.auth import AuthBase
from urllib3.exceptions import LocationValueError

from treering.clock import Deadline
from treering.errors import DownloadError, TransientError
from treering.kaggle.answers import InterruptionError, without_query

MOST_REDIRECTS = 5
CONNECT_TIMEOUT = 10.0  # seconds
READ_TIMEOUT = 30.0  # seconds without a byte
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PORTS = {"http": 80, "https": 443}


class PlainSession(requests.Session):
    """A session that looks for no redirects, not even to say where they lead: it would read their whole bodies."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        """None; `get` below follows redirects."""


class _Authorization(AuthBase):
    """Sets the header, or, with none, sees to it that requests takes no credentials from a .netrc file."""

    def __init__(self, value: str | None) -> None:
        self._value = value

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers.pop("Authorization", None)
        if self._value is not None:
            request.headers["Authorization"] = self._value
        return request


def get(
    session: PlainSession, url: str, authorization: str, headers: Mapping[str, str], deadline: Deadline
) -> tuple[requests.Response, bool]:
    """The first answer that is no redirect, its body unread, and whether it is from the host of `url`.

    `Authorization` goes to the scheme, host and port of `url` only; once a redirect has left them it is gone for good.
    Raises DownloadError for a redirect loop, to nowhere, or from https to http; InterruptionError where no connection
    is to be had.
    """
    origin = _origin(urlsplit(url))
    at_origin = True
    for _ in range(MOST_REDIRECTS + 1):
        remaining = deadline.remaining()
        if remaining <= 0:
            raise TransientError(f"No time is left to ask {without_query(url)}. Trying again later may help.")
        try:
            response = session.get(
                url,
                headers=dict(headers),
                auth=_Authorization(authorization if at_origin else None),
                allow_redirects=False,
                stream=True,
                timeout=(min(CONNECT_TIMEOUT, remaining), min(READ_TIMEOUT, remaining)),
            )
        except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema, LocationValueError) as error:
            raise DownloadError(f"The data source led to {without_query(url)}, which is no URL to load.") from error
        except requests.RequestException as error:
            raise InterruptionError(f"no answer from {without_query(url)} ({type(error).__name__})") from error
        if response.status_code not in _REDIRECTS:
            return response, at_origin
        url = _target(response, url)
        at_origin = at_origin and _origin(urlsplit(url)) == origin
    raise DownloadError(
        f"The data source redirected more than {MOST_REDIRECTS} times, last to {without_query(url)}. "
        "Check its base URL."
    )


def _target(response: requests.Response, url: str) -> str:
    """Where the redirect leads. Closes the response."""
    response.close()
    location = response.headers.get("Location")
    if not location:
        raise DownloadError(f"{without_query(url)} answered {response.status_code} without saying where to.")
    try:
        target = urljoin(url, location)
        parts = urlsplit(target)
        _origin(parts)
    except ValueError:
        raise DownloadError(f"{without_query(url)} redirected to something that is no URL.") from None
    if parts.scheme not in _PORTS or not parts.hostname:
        raise DownloadError(f"{without_query(url)} redirected to {without_query(target)}, which is not http or https.")
    if urlsplit(url).scheme == "https" and parts.scheme == "http":
        raise DownloadError(
            f"{without_query(url)} redirected to {without_query(target)}: from an encrypted connection to an open one."
        )
    return target


def _origin(parts: SplitResult) -> tuple[str, str | None, int | None]:
    return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme)

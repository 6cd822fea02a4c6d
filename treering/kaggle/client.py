"""Downloads all files of a competition as one zip, and tries again where that may help."""

import logging
from dataclasses import dataclass
from pathlib import Path

from treering.clock import SYSTEM_CLOCK, Clock, Deadline
from treering.errors import TransientError
from treering.kaggle.answers import InterruptionError, check, chunks
from treering.kaggle.backoff import wait
from treering.kaggle.credentials import Credentials
from treering.kaggle.redirects import PlainSession, get
from treering.kaggle.transfer import Transfer

ATTEMPTS = 6
_CHUNK = 256 * 1024  # bytes
_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Download:
    """A finished download: where it came from, its size in bytes and its SHA-256 in hex."""

    url: str
    bytes: int
    sha256: str


class KaggleClient:
    """Kaggle's HTTP API under `base_url` (`https://www.kaggle.com/api/v1`)."""

    def __init__(self, base_url: str, credentials: Credentials, clock: Clock = SYSTEM_CLOCK) -> None:
        self._base_url = base_url.rstrip("/")
        self._credentials = credentials
        self._clock = clock

    def download(self, competition: str, target: Path, maximum_bytes: int, deadline: Deadline) -> Download:
        """Write the competition's zip to `target`: all of it, checked, or an error and no file.

        A broken transfer goes on where it broke (ATTEMPTS connections at most). The deadline is never passed by more
        than a connection's read timeout, which is cut to what remains. Raises CredentialsError, DataSourceError,
        DownloadError for what another attempt would not change, TransientError otherwise.
        """
        url = f"{self._base_url}/competitions/data/download-all/{competition}"
        with Transfer(target, maximum_bytes) as transfer, PlainSession() as session:
            session.headers["User-Agent"] = "treering"
            attempt = 1
            while True:
                try:
                    self._attempt(session, url, competition, transfer, deadline)
                    return Download(url, transfer.size, transfer.sha256)
                except InterruptionError as interruption:
                    self._before_next(attempt, url, interruption, deadline)
                attempt += 1

    def _attempt(
        self, session: PlainSession, url: str, competition: str, transfer: Transfer, deadline: Deadline
    ) -> None:
        headers = transfer.headers()
        response, from_api = get(session, url, self._credentials.authorization, headers, deadline)
        with response:
            if response.status_code == 416:  # the part here is not the start of what is there
                transfer.give_up_part()
                raise InterruptionError("the data source has nothing to add to the part that is here")
            how_to_store = self._credentials.how_to_store
            check(response, competition, from_api, how_to_store, self._clock.now(), deadline)
            transfer.begin(response.status_code, response.headers)
            for chunk in chunks(response, _CHUNK, deadline):
                transfer.write(chunk)
        transfer.finish()

    def _before_next(self, attempt: int, url: str, interruption: InterruptionError, deadline: Deadline) -> None:
        """Wait for the next attempt, or raise if there is to be none."""
        failed = f"The download of {url} failed: {interruption.reason}"
        if attempt == ATTEMPTS:
            raise interruption.final(
                f"{failed}. This was attempt {attempt} of {ATTEMPTS}; try again later."
            ) from interruption
        seconds = wait(attempt, self._clock.random(), interruption.asked)
        if seconds >= deadline.remaining():
            raise TransientError(
                f"{failed}. No time is left to wait {seconds:.0f} s for the next attempt; try again later."
            ) from interruption
        _logger.warning("%s; attempt %d of %d follows in %.1f s", failed, attempt + 1, ATTEMPTS, seconds)
        self._clock.sleep(seconds)

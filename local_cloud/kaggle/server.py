"""Runs the data source: the API on one loopback address, the storage on another."""

import errno
from collections.abc import Callable, Iterable
from datetime import datetime
from types import TracebackType
from typing import Any, Self

from local_cloud.kaggle.api import API, ApiHandler
from local_cloud.kaggle.catalogue import Catalogue
from local_cloud.kaggle.competition import Competition, CompetitionServer, Credentials
from local_cloud.kaggle.faults import Fault, FaultPlan
from local_cloud.kaggle.feed import Feed
from local_cloud.kaggle.storage import StorageHandler

API_HOST = "127.0.0.1"
STORAGE_HOST = (
    "127.0.0.2"  # another host than the API's, for a client as for Linux, which answers on all of 127.0.0.0/8
)


class KaggleServer:
    """Serves one competition's data over Kaggle's API, in threads of this process, on loopback addresses only.

    `slug` is the competition; `feed` gives its files as they are at `now()`; `credentials` are generated unless given;
    `faults` is what shall go wrong (more with `faults.add`, or over HTTP under `/_control/faults`). With
    `rules_accepted` False, downloads are refused as for a user who has not joined. A single file of more than
    `zipped_above` bytes arrives as `<file>.zip`. `port` 0 takes a free one. With another `host` API and storage
    are both at that address of this machine: for a client that does not share the loopback addresses.
    """

    def __init__(
        self,
        slug: str,
        feed: Feed,
        now: Callable[[], datetime],
        credentials: Credentials | None = None,
        *,
        faults: Iterable[Fault] = (),
        rules_accepted: bool = True,
        zipped_above: int | None = None,
        host: str = API_HOST,
        port: int = 0,
    ) -> None:
        self._feed = feed
        self._host, self._port = host, port
        self._servers: list[CompetitionServer] = []
        self.competition = Competition(
            catalogue=Catalogue(slug, feed, zipped_above=zipped_above),
            now=now,
            credentials=credentials or Credentials.generate(),
            faults=FaultPlan(faults),
            rules_accepted=rules_accepted,
        )

    def start(self) -> Self:
        """Read the feed, listen, and serve from now on.

        Raises FeedError if there is nothing to serve, OSError if the port is taken.
        """
        self._feed.edition(self.competition.now())  # a feed that cannot be read fails here, not in the first request
        storage = self._listen_for_storage()
        self._servers = [storage]
        try:
            self._servers.append(CompetitionServer((self._host, self._port), ApiHandler, self.competition))
        except OSError:
            storage.server_close()
            self._servers = []
            raise
        for server, name in zip(self._servers, ("kaggle-storage", "kaggle-api"), strict=True):
            server.start(name)
        return self

    def close(self) -> None:
        """Stop serving and end all connections. A second call does nothing."""
        servers, self._servers = self._servers, []
        for server in servers:
            server.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def base_url(self) -> str:
        """What takes the place of https://www.kaggle.com/api/v1."""
        return f"{self._origin}{API}"

    @property
    def control_url(self) -> str:
        """Where faults (GET, POST, DELETE `/faults`) and requests (GET, DELETE `/requests`) are found."""
        return f"{self._origin}/_control"

    @property
    def username(self) -> str:
        """User name for HTTP Basic."""
        return self.competition.credentials.username

    @property
    def key(self) -> str:
        """Key for HTTP Basic."""
        return self.competition.credentials.key

    @property
    def token(self) -> str:
        """Token for `Authorization: Bearer`."""
        return self.competition.credentials.token

    @property
    def faults(self) -> FaultPlan:
        """What shall go wrong."""
        return self.competition.faults

    @property
    def requests(self) -> list[dict[str, Any]]:
        """The last requests: at ("api" or "storage"), method, path, range, authorization (scheme), status."""
        return self.competition.log.entries()

    @property
    def _origin(self) -> str:
        if not self._servers:
            raise RuntimeError("The data source is not running: call start() first")
        return f"http://{self._host}:{self._servers[1].server_address[1]}"

    def _listen_for_storage(self) -> CompetitionServer:
        host = STORAGE_HOST if self._host == API_HOST else self._host
        try:
            server = CompetitionServer((host, 0), StorageHandler, self.competition)
        except OSError as error:
            if error.errno != errno.EADDRNOTAVAIL or host != STORAGE_HOST:
                raise
            # A machine with 127.0.0.1 alone: another name for it is another host to a client just as well.
            server, host = CompetitionServer((API_HOST, 0), StorageHandler, self.competition), "localhost"
        self.competition.storage_url = f"http://{host}:{server.server_address[1]}"
        return server

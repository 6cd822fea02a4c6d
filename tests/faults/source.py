"""The data source of a bench: Kaggle's API on this machine, serving what a scenario wants, when it wants it."""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cached_property

from local_cloud.kaggle import Edition, Fault, KaggleServer
from local_cloud.kaggle.catalogue import Catalogue, Listing
from local_cloud.kaggle.stored_object import StoredObject
from tests.faults.houses import CASE, Table

_PUBLISHED = datetime(2026, 1, 1, tzinfo=UTC)
_BOUNDLESS = (CASE.source.maximum_megabytes + 1) * 2**20  # bytes; more than the use case takes


class _Shelf:
    """A feed that serves the files last put on it; each time another edition."""

    def __init__(self) -> None:
        self._count = 0
        self._files: Mapping[str, bytes] = {}

    def put(self, files: Mapping[str, bytes]) -> None:
        self._count, self._files = self._count + 1, files

    def edition(self, _now: datetime) -> Edition:
        """The one that was put last."""
        return Edition(str(self._count), _PUBLISHED)

    def files(self, _now: datetime) -> Mapping[str, bytes]:
        """Its files."""
        return self._files


class _Shop(Catalogue):
    """As the catalogue, with another archive in place of the zip of all files where there is one."""

    archive: StoredObject | None = None

    def _make(self, edition: Edition, now: datetime) -> Listing:
        listing = super()._make(edition, now)
        if self.archive is not None:
            listing.objects[listing.bundle] = self.archive
        return listing


class _Boundless(StoredObject):
    """Claims to be larger than the use case allows; holds zeros."""

    @cached_property
    def size(self) -> int:
        """In bytes."""
        return _BOUNDLESS

    @cached_property
    def md5(self) -> bytes:
        """Of nothing: it will not come to a comparison."""
        return bytes(16)


class Source:
    """A data source; `week` counts the editions of good data that were served."""

    def __init__(self) -> None:
        self._shelf = _Shelf()
        self.week = 0
        self._dear = self._dear_in_service = False
        self.server = KaggleServer(CASE.source.competition, self._shelf, lambda: datetime.now(UTC))
        self._shop = _Shop(CASE.source.competition, self._shelf)
        self.server.competition.catalogue = self._shop
        self.table = Table.make()
        self.serve_next_week()

    def serve_next_week(self) -> Table:
        """Serve good data that nobody has seen, without faults: a model of them is better than the one in service."""
        self.week += 1
        self._dear = not self._dear_in_service
        self.table = Table.make(self.week, dear=self._dear)
        self.serve(self.table.files())
        return self.table

    def deployed(self) -> None:
        """Take note that a model of the present data is in service."""
        self._dear_in_service = self._dear

    def serve(self, files: Mapping[str, bytes]) -> None:
        """Serve these files, without faults."""
        self.mend()
        self._shop.archive = None
        self._shelf.put(files)

    def serve_archive(self, content: bytes | None) -> None:
        """Serve these bytes as the zip; none: one that is announced larger than allowed."""
        self.serve(self.table.files())
        name = f"{CASE.source.competition}.zip"
        made = StoredObject(name, content, _PUBLISHED) if content is not None else _Boundless(name, b"", _PUBLISHED)
        self._shop.archive = made
        self._shelf.put(self.table.files())

    def plan(self, *faults: Fault) -> None:
        """Let requests meet these faults."""
        self.server.faults.add(*faults)

    def mend(self) -> None:
        """Forget all faults."""
        self.server.faults.clear()

    @property
    def secret(self) -> dict[str, str]:
        """Credentials that the source accepts."""
        return {"username": self.server.username, "key": self.server.key}

"""The objects of the storage: a competition's files, and the zip of them all, for each edition that was asked for."""

import threading
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from local_cloud.kaggle.archive import zip_files
from local_cloud.kaggle.feed import Edition, Feed
from local_cloud.kaggle.stored_object import StoredObject

BUCKET = "kaggle-competitions-data"
_KEPT_EDITIONS = 64  # a client may resume a download that it began this many weeks (of a moved clock) ago


@dataclass(frozen=True)
class Listing:
    """One edition: its objects by the quoted path that they have in the storage."""

    edition: Edition
    files: dict[str, str]  # file name → path of its object
    bundle: str  # path of the zip of all files
    objects: dict[str, StoredObject]


class Catalogue:
    """Makes an edition's objects when it is first asked for, and keeps those of the last editions.

    A single file of more than `zipped_above` bytes arrives as `<file>.zip`: Kaggle does so with large ones.
    """

    def __init__(self, slug: str, feed: Feed, *, zipped_above: int | None = None) -> None:
        self.slug = slug
        self._zipped_above = zipped_above
        self._feed = feed
        self._lock = threading.Lock()
        self._listings: OrderedDict[str, Listing] = OrderedDict()

    def listing(self, now: datetime) -> Listing:
        """The edition that is current at `now`. Raises FeedError if the feed cannot give it."""
        edition = self._feed.edition(now)
        with self._lock:  # of several requests for a new edition, one makes it, the others wait
            if edition.name not in self._listings:
                self._listings[edition.name] = self._make(edition, now)
            self._listings.move_to_end(edition.name)
            while len(self._listings) > _KEPT_EDITIONS:
                self._listings.popitem(last=False)
            return self._listings[edition.name]

    def find(self, path: str) -> StoredObject | None:
        """The object at a quoted path, of whichever edition is kept."""
        with self._lock:
            return next((e.objects[path] for e in self._listings.values() if path in e.objects), None)

    def _make(self, edition: Edition, now: datetime) -> Listing:
        files = self._feed.files(now)
        folder = f"/{BUCKET}/kaggle-v2/{quote(self.slug)}/{quote(edition.name)}"
        bundle = f"{folder}/bundle/archive.zip"
        paths: dict[str, str] = {}
        objects: dict[str, StoredObject] = {}
        for name in sorted(files):
            stored = StoredObject(name, files[name], edition.published)
            paths[name] = f"{folder}/upload/files/{quote(name)}"
            if self._zipped_above is not None and stored.size > self._zipped_above:
                zipped = zip_files({name.rpartition("/")[2]: files[name]})
                stored = StoredObject(f"{name}.zip", zipped, edition.published)
                paths[name] = f"{folder}/compressed/{quote(name)}.zip"
            objects[paths[name]] = stored
        objects[bundle] = StoredObject(f"{self.slug}.zip", zip_files(files), edition.published)
        return Listing(edition, paths, bundle, objects)

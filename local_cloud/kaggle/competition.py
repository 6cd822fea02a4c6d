"""What the API's and the storage's handlers share: one competition, who may read it, and what shall go wrong."""

import base64
import hmac
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

from local_cloud.kaggle.catalogue import Catalogue
from local_cloud.kaggle.faults import FaultPlan, Place
from local_cloud.kaggle.http_base import Handler, LoopbackServer
from local_cloud.kaggle.signing import Signer

LINK_SECONDS = 3 * 24 * 3600  # how long a redirect's URL works

_KEPT_REQUESTS = 1000


@dataclass(frozen=True)
class Credentials:
    """Both kinds of Kaggle credentials: the pair of the older `kaggle.json`, and the newer token."""

    username: str
    key: str = field(repr=False)
    token: str = field(repr=False)

    @classmethod
    def generate(cls) -> Self:
        """New ones, in the form of Kaggle's (32 hex digits; a token that starts with KGAT_)."""
        return cls("local-cloud", secrets.token_hex(16), f"KGAT_{secrets.token_hex(16)}")

    def admit(self, authorization: str | None) -> bool:
        """Whether an Authorization header is `Basic username:key` or `Bearer token`."""
        basic = base64.b64encode(f"{self.username}:{self.key}".encode()).decode()
        scheme, _, value = (authorization or "").partition(" ")
        expected = {"basic": basic, "bearer": self.token}.get(scheme.lower())
        return expected is not None and hmac.compare_digest(value.strip().encode(), expected.encode())


class RequestLog:
    """The last requests to the API and to the storage, in the order of their arrival."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: deque[dict[str, Any]] = deque(maxlen=_KEPT_REQUESTS)

    def open(self, at: Place, handler: Handler) -> dict[str, Any]:
        """Note a request; returns its entry, whose `status` (null until then) the handler sets when it answers."""
        scheme = (handler.headers.get("Authorization") or "").partition(" ")[0]
        entry = {
            "at": at,
            "method": handler.command,
            "path": handler.route,
            "range": handler.headers.get("Range"),
            "authorization": scheme or None,  # the scheme alone: no credentials in logs
            "status": None,
        }
        with self._lock:
            self._entries.append(entry)
        return entry

    def entries(self) -> list[dict[str, Any]]:
        """A copy of all entries."""
        with self._lock:
            return [dict(entry) for entry in self._entries]

    def clear(self) -> None:
        """Forget all entries."""
        with self._lock:
            self._entries.clear()


@dataclass
class Competition:
    """One competition as the two servers see it."""

    catalogue: Catalogue
    now: Callable[[], datetime]  # decides which rows are known; may be moved
    credentials: Credentials
    faults: FaultPlan
    signer: Signer = field(default_factory=Signer)
    log: RequestLog = field(default_factory=RequestLog)
    storage_url: str = ""  # scheme, host and port of the storage; known once it listens
    rules_accepted: bool = True
    wall_clock: Callable[[], float] = time.time  # decides when links expire; real, so that a moved `now` breaks none

    def link(self, path: str, *, seconds: float = LINK_SECONDS) -> str:
        """A signed URL of the object at a quoted path, valid for `seconds` (negative: expired already)."""
        stored = self.catalogue.find(path)
        name = stored.name.rpartition("/")[2] if stored else "file"
        query = self.signer.query(path, expires=int(self.wall_clock() + seconds), file_name=name)
        return f"{self.storage_url}{path}?{query}"


class CompetitionServer(LoopbackServer):
    """A server whose handlers know the competition."""

    def __init__(self, address: tuple[str, int], handler: type[Handler], competition: Competition) -> None:
        self.competition = competition
        super().__init__(address, handler)

"""What shall go wrong, how often: faults of the API and of the storage, for tests and for trying out."""

import threading
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, Self, get_args

Place = Literal["api", "storage"]
Kind = Literal[
    "status",  # answers `status` (429, 500, …), with Retry-After if given
    "unauthorized",  # API: 401, as for wrong credentials
    "rules_not_accepted",  # API: 403
    "web_page",  # 200 with an HTML page in place of what was asked for
    "disconnect",  # closes the connection without an answer
    "expired_link",  # API: redirects to a link whose time is over
    "redirect_loop",  # API: redirects to itself
    "truncate",  # storage: announces the whole, sends `after_bytes`, closes the connection
    "stall",  # storage: sends `after_bytes`, waits `seconds`, then sends the rest
    "corrupt",  # storage: right length, right headers, one wrong byte at `after_bytes`
    "ignore_range",  # storage: answers a range request with the whole (200)
    "no_hash",  # storage: leaves X-Goog-Hash out
]
_ONLY_API = ("unauthorized", "rules_not_accepted", "expired_link", "redirect_loop")
_ONLY_STORAGE = ("truncate", "stall", "corrupt", "ignore_range", "no_hash")


@dataclass(frozen=True)
class Fault:
    """One kind of failure, for the next `times` requests that it fits.

    `at` is where it happens; by default where the kind belongs, else the API. `path` limits it to requests whose path
    contains that text. Raises ValueError for what makes no sense.
    """

    kind: Kind
    times: int = 1
    at: Place | None = None
    path: str = ""
    status: int = 503
    retry_after: str | None = None  # seconds, or an HTTP date
    after_bytes: int = 1000  # counted from the start of the answer's body
    seconds: float = 3600

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ValueError(f"There is no fault {self.kind!r}. Known: {', '.join(get_args(Kind))}")
        fixed = "api" if self.kind in _ONLY_API else "storage" if self.kind in _ONLY_STORAGE else None
        if self.at not in (None, "api", "storage") or (fixed and self.at not in (None, fixed)):
            raise ValueError(f"The fault {self.kind!r} cannot happen at {self.at!r}; use {fixed or 'api or storage'}")
        if self.times < 1 or self.after_bytes < 0 or self.seconds < 0 or not 400 <= self.status <= 599:
            raise ValueError(f"times ≥ 1, after_bytes ≥ 0, seconds ≥ 0, status 400 to 599 are allowed; got {self}")
        object.__setattr__(self, "at", self.at or fixed or "api")

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Self:
        """Build from parsed JSON. Raises ValueError that names what is wrong."""
        unknown = sorted(values.keys() - {f.name for f in fields(cls)})
        if unknown or "kind" not in values:
            raise ValueError(f"A fault needs a kind and knows no {unknown}. Fields: {[f.name for f in fields(cls)]}")
        try:
            return cls(**values)
        except TypeError as error:
            raise ValueError(f"A field of the fault has the wrong type: {error}") from error

    def to_mapping(self) -> dict[str, Any]:
        """The fields, ready for JSON."""
        return asdict(self)


class FaultPlan:
    """The faults still to come. A request meets the oldest that fits it, and uses it up by one."""

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self._lock = threading.Lock()
        self._faults = list(faults)

    def add(self, *faults: Fault) -> None:
        """Plan further faults, after those already planned."""
        with self._lock:
            self._faults.extend(faults)

    def clear(self) -> None:
        """Forget all faults."""
        with self._lock:
            self._faults.clear()

    def remaining(self) -> list[Fault]:
        """What is still to come, with the `times` left."""
        with self._lock:
            return list(self._faults)

    def take(self, at: Place, path: str) -> Fault | None:
        """The fault that the request for `path` meets, if any; it counts as happened."""
        with self._lock:
            for index, fault in enumerate(self._faults):
                if fault.at == at and fault.path in path:
                    left = [replace(fault, times=fault.times - 1)] if fault.times > 1 else []
                    self._faults[index : index + 1] = left
                    return fault
        return None

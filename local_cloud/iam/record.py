"""What was decided: which statements allowed what, how often and when last, and what was denied.

The record is the emulator's whole process's; ``report`` reads it, and keeps it in the state directory.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from local_cloud.iam.statements import Origin, Statement
from local_cloud.policy_language.conditions import arn_like, like

_logger = logging.getLogger(__name__)
_MOST_DENIALS = 200


@dataclass(frozen=True)
class Use:
    """How often an action of a statement was allowed on one of the statement's resources, and when last."""

    count: int
    last: datetime


@dataclass(frozen=True)
class Denied:
    """One thing that was asked for and denied, ``count`` times, ``last`` at that time (UTC).

    ``principal`` is the caller's ARN, ``keys`` are the condition keys of the request that a policy may test.
    ``explicit`` is for a Deny statement, ``by_resource_policy`` for one in the resource's own policy. ``remedy`` is
    what the report said of it at the time: its role may be gone afterwards, with the stack that was rolled back.
    """

    principal: str
    action: str
    resource: str
    keys: Mapping[str, Any] = field(default_factory=dict)
    explicit: bool = False
    by_resource_policy: bool = False
    count: int = 1
    last: datetime = field(default_factory=lambda: datetime.now(UTC))
    remedy: Mapping[str, Any] = field(default_factory=dict)

    @property
    def role(self) -> str | None:
        """Name of the caller's role; none for users and for the anonymous."""
        kind, _, name = self.principal.rpartition(":")[2].partition("/")
        if kind == "assumed-role":
            return name.partition("/")[0]
        return name.rpartition("/")[2] if kind == "role" else None

    @property
    def message(self) -> str:
        """AWS's words, as in "Troubleshoot access denied error messages" of the IAM User Guide."""
        if self.by_resource_policy:
            how = "with an explicit deny in a resource-based policy"
        elif self.explicit:
            how = "with an explicit deny in an identity-based policy"
        else:
            how = f"because no identity-based policy allows the {self.action} action"
        return f"User: {self.principal} is not authorized to perform: {self.action} on resource: {self.resource} {how}"


UseKey = tuple[Origin, str, str]  # statement, its action and its resource as written there ("*" for NotAction …)


class Record:
    """Uses of statements and denials, of all roles. Thread-safe, and cheap: it is asked at every request."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._uses: dict[UseKey, Use] = {}
        self._denials: dict[tuple[str | None, str, str], Denied] = {}
        self.changed = False
        self.explain: Callable[[Denied], Mapping[str, Any]] = lambda _denied: {}  # says what to do about a denial

    def used(self, statements: Iterable[Statement], action: str, resource: str) -> None:
        """Note that statements allowed an action on a resource."""
        now = datetime.now(UTC)
        with self._lock:
            for statement in statements:
                if statement.origin is None:
                    continue
                key = (statement.origin, _pattern_of_action(statement, action), _pattern_of_arn(statement, resource))
                before = self._uses.get(key)
                self._uses[key] = Use(before.count + 1 if before else 1, now)
                self.changed = True

    def denied(self, denial: Denied) -> None:
        """Note a denial; the same again counts up."""
        key = (denial.role or denial.principal, denial.action, denial.resource)
        denial = replace(denial, remedy=self.explain(denial))
        with self._lock:
            before = self._denials.pop(key, None)
            self._denials[key] = replace(denial, count=before.count + 1) if before else denial
            while len(self._denials) > _MOST_DENIALS:
                del self._denials[next(iter(self._denials))]
            self.changed = True
        if before is None:
            _logger.warning("denied: %s\n%s", denial.message, denial.remedy.get("text", ""))

    def uses_of(self, origin: Origin) -> list[tuple[str, str, Use]]:
        """Return a statement's uses: action and resource as written in it, and how often and when."""
        with self._lock:
            return sorted((key[1], key[2], use) for key, use in self._uses.items() if key[0] == origin)

    def denials(self) -> list[Denied]:
        """Return what was denied, the last one last."""
        with self._lock:
            return list(self._denials.values())

    def restore(self, uses: Mapping[UseKey, Use], denials: Iterable[Denied]) -> None:
        """Take over what an earlier cloud of the state directory had recorded."""
        with self._lock:
            self._uses.update(uses)
            self._denials.update({(one.role or one.principal, one.action, one.resource): one for one in denials})


def _pattern_of_action(statement: Statement, action: str) -> str:
    return next((one for one in statement.actions if like(action, one, ignore_case=True)), "*")


def _pattern_of_arn(statement: Statement, resource: str) -> str:
    return next((one for one in statement.resources if arn_like(resource, one)), "*")


RECORD = Record()

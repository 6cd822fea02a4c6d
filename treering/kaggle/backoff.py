"""How long to wait before the next attempt: capped exponential backoff with full jitter, or as the server asks."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

FIRST_WAIT = 1.0  # seconds: the first wait is at most this, the next at most twice as much, …
LONGEST_WAIT = 60.0  # seconds: no wait is longer, whatever the server asks


def wait(attempt: int, chance: float, asked: float | None = None) -> float:
    """Seconds to wait after the failed attempt number `attempt` (1, 2, …).

    `chance` in [0, 1) spreads clients evenly over the interval; `asked` is what the server asked for, in seconds, and
    is a lower bound. Never more than LONGEST_WAIT.
    """
    backoff = chance * min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** min(attempt - 1, 32))
    return min(LONGEST_WAIT, max(backoff, asked or 0.0))


def retry_after(value: str | None, now: datetime) -> float | None:
    """Seconds that a `Retry-After` header asks for (RFC 9110, 10.2.3: seconds or an HTTP date), none if none."""
    if not value:
        return None
    value = value.strip()
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        instant = parsedate_to_datetime(value)
    except (ValueError, OverflowError):  # the latter for a year or zone of very many digits
        return None
    return max(0.0, ((instant if instant.tzinfo else instant.replace(tzinfo=UTC)) - now).total_seconds())

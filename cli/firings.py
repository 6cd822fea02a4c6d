"""Which weeks a replay runs: the last N instants of a schedule that end just after the data's last day."""

from collections.abc import Callable
from datetime import datetime, timedelta

from cli.errors import CommandError

Next = Callable[[datetime], datetime]  # the schedule's first instant later than the given one
_WINDOW = timedelta(days=8)
_FARTHEST = timedelta(days=60 * 366)


def last_instants(following: Next, known_by: datetime, count: int, period: timedelta | None = None) -> list[datetime]:
    """The `count` instants of the schedule up to, and including, the first one not before `known_by`.

    `following` gives the schedule's next instant; `period` that of a rate(…), which counts from its rule's creation and
    so has no instants of its own: then the last is `known_by`. Raises CommandError where the schedule has fewer.
    """
    try:
        if period is not None:
            return [known_by - number * period for number in reversed(range(count))]
        last = following(known_by - timedelta(seconds=1))
        window = _WINDOW * count
        while window < _FARTHEST:
            instants = _between(following, last - window, last)
            if len(instants) >= count:
                return instants[-count:]
            window *= 2
    except OverflowError:
        pass  # before the first day that there is
    raise CommandError(f"The schedule has fewer than {count} instants before {known_by:%Y-%m-%d}.")


def next_instants(following: Next, after: datetime, count: int) -> list[datetime]:
    """The next `count` instants of the schedule."""
    instants = [following(after)]
    while len(instants) < count:
        instants.append(following(instants[-1]))
    return instants


def _between(following: Next, after: datetime, until: datetime) -> list[datetime]:
    instants = []
    instant = following(after)
    while instant <= until:
        instants.append(instant)
        instant = following(instant)
    return instants

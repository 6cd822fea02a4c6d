"""A scenario: one fault, where it strikes, what should come of it, and the code that makes it happen."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.faults.stage import Stage


@dataclass(frozen=True)
class Scenario:
    """`play` raises DifferenceError where what was seen is not what was expected.

    One of `ingestion` needs no state of the state machine, and is quickly over, unless it `waits` for most of its time.
    """

    name: str  # unique; lower case, with dashes
    group: str
    fault: str
    where: str
    expected: str
    play: Callable[[Stage], None]
    ingestion: bool = False
    waits: bool = False

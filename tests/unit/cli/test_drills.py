"""The parts of a drill that need no cloud: bad data, the checks and their table, the waits of an update."""

import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cli.bakes import Bakes
from cli.display import PlainBoard
from cli.drills.checks import Checks, table
from cli.drills.datasets import shuffled

NOW = datetime(2026, 11, 23, 6, 5, tzinfo=UTC)


class FakeCloud:
    """A clock, and endpoints that bake until an instant of it."""

    def __init__(self, *waits: dict[str, Any]) -> None:
        self.time, self.waits, self.moves = NOW, list(waits), 0

    def waiting(self) -> dict[str, Any]:
        """Those whose time has not come."""
        return {"waiting": [one for one in self.waits if datetime.fromisoformat(one["until"]) > self.time]}

    def now(self) -> datetime:
        """The cloud's time."""
        return self.time

    def move_clock(self, to: datetime) -> None:
        """Move it forward."""
        assert to > self.time
        self.time, self.moves = to, self.moves + 1


def wait(minutes: int, endpoint: str = "oaks") -> dict[str, Any]:
    """An update that bakes until so many minutes from now."""
    until = (NOW + timedelta(minutes=minutes)).isoformat()
    return {
        "service": "sagemaker",
        "endpoint": endpoint,
        "endpoint_config": "new",
        "message": "Baking.",
        "until": until,
    }


def test_shuffled_data_differ_in_one_column_only() -> None:
    """The same values in another order; every other column as it was, missing values and quotes included."""
    rows = [f'{number},"a ""b"", c",NA,{1000 + number}' for number in range(50)]
    original = "\n".join(["Key,Text,Gap,Price", *rows]) + "\n"

    changed = shuffled(original.encode(), "Price").decode()

    columns = [[line.rpartition(",") for line in text.splitlines()] for text in (original, changed)]
    assert [line[0] for line in columns[0]] == [line[0] for line in columns[1]]
    assert sorted(line[2] for line in columns[0]) == sorted(line[2] for line in columns[1])
    assert sum(one[2] != other[2] for one, other in zip(*columns, strict=True)) > 25
    assert shuffled(original.encode(), "Price").decode() == changed


def test_a_drill_is_good_only_if_all_was_seen() -> None:
    """One check that is not met spoils it, and so does a drill that has checked nothing."""
    nothing, good, bad = Checks(), Checks(), Checks()
    good.add("outcome", "rejected", "rejected", True)
    with bad.during("slow model"):
        bad.add("outcome", "failed", "succeeded", False)
    bad.add("endpoint", "old", "old", True)

    assert (nothing.ok, good.ok, bad.ok) == (False, True, False)
    assert [check.what for check in bad.all] == ["slow model: outcome", "endpoint"]


def test_the_table_marks_what_was_not_as_expected() -> None:
    """Nothing is cut off, however narrow; brackets are text."""
    checks = Checks()
    checks.add("outcome", "rejected", "rejected", True)
    checks.add("endpoint", "the old [red]one[/red]", f"a name without spaces: {'x' * 90}", False)

    text = table(checks.all, 80)

    lines = text.splitlines()
    assert max(map(len, lines)) <= 80
    assert [line[:2] for line in lines if line[:2].strip() and not line.startswith("─")] == ["ok", "NO"]
    assert text.count("x") - text.count("expected") == 90
    assert "[red]one[/red]" in text


@pytest.mark.parametrize("advance", [True, False])
def test_the_clock_is_moved_where_an_update_bakes(advance: bool) -> None:
    """To the end of each wait, and each is told once; without leave to do so, only the latter."""
    cloud, said = FakeCloud(wait(10), wait(10, "firs"), wait(20)), io.StringIO()
    bakes = Bakes(cloud, PlainBoard(said), advance=advance)  # type: ignore[arg-type]  # the part of a cloud it uses

    for _ in range(5):
        bakes.pass_on()

    assert cloud.time == (NOW + timedelta(minutes=20) if advance else NOW)
    assert ("--advance-clock" in said.getvalue()) is not advance
    assert len(said.getvalue().splitlines()) == 3

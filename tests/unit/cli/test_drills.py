"""The parts of a drill that need no cloud: bad data, the checks and their table, the waits of an update."""

import argparse
import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cli.bakes import Bakes
from cli.commands import drill
from cli.display import PlainBoard
from cli.drills.bad_rollout import BadRollout
from cli.drills.checks import Checks, table
from cli.drills.datasets import shuffled
from cli.drills.people import Message
from cli.drills.scene import Scene, Service
from cli.drills.trial import Counted
from cli.history import Execution, Failure, StateRun
from cli.rollouts import DEPLOYED_BY

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


ARN = "arn:aws:states:us-east-1:000000000000:execution:machine:week-2"
ALARM = "treering-EndpointLatencyAlarm-1"
BEFORE = Service("InService", "config-1", 1, [100.0, 200.0])
AFTER = Service("InService", "config-2", 2, [110.0, 220.0])


class After(Scene):
    """A scene after its second week: how that ended, and what the endpoint is then."""

    ended: Execution
    now: Service

    def read(self, arn: str) -> Execution:
        """As it ended."""
        assert arn == ARN
        return self.ended

    def service(self) -> Service:
        """As it is."""
        return self.now


def after(execution: Execution, now: Service, outcome: str, reason: str = "") -> After:
    """A scene in which people were told that outcome."""
    told = [Message("Treering", {"outcome": outcome, "execution": ARN, "reason": reason})]
    resources = {"EndpointLatencyAlarm": ("AWS::CloudWatch::Alarm", ALARM)}
    stack = SimpleNamespace(resources=resources, parameters={"TrafficStepPercent": "10"})
    scene = After(
        ready=None,  # type: ignore[arg-type]  # nothing below looks at it
        found=SimpleNamespace(stack=stack),  # type: ignore[arg-type]  # the part of an application that is used
        board=PlainBoard(io.StringIO()),
        people=SimpleNamespace(read=lambda: told),  # type: ignore[arg-type]  # the part of people that is used
        due=[],
    )
    scene.ended, scene.now = execution, now
    return scene


def trial(statuses: list[str], alarms: list[str], until: Counted, afterwards: Counted) -> Any:
    """An update that was watched."""
    events = SimpleNamespace(statuses=lambda: statuses, alarms=lambda: alarms)
    counted = (until, afterwards)
    return SimpleNamespace(events=events, counted=lambda _: counted, hits=lambda: 9, hits_when_settled=9)


def checked(scene: After, watched: Any) -> dict[str, bool]:
    """What the drill of the slow model finds, by what it is about."""
    slow = BadRollout("slow model", lambda _endpoint, _config: {}, "EndpointLatencyAlarm")
    slow._check_rollback(scene, watched, BEFORE, ARN)
    return {check.what: check.ok for check in scene.checks.all}


def test_a_slow_model_that_an_alarm_takes_back_is_as_expected() -> None:
    """Failed by the alarm, told once, the old model as it was, few callers affected."""
    cause = f"Endpoint oaks was rolled back: {ALARM} went off"
    state = StateRun(DEPLOYED_BY, "Task", "failed", NOW, failure=Failure("States.TaskFailed", cause))
    statuses = ["UPDATING", "ROLLING_BACK", "IN_SERVICE"]

    found = checked(
        after(Execution("failed", (state,)), BEFORE, "failed", cause),
        trial(statuses, [ALARM], Counted(old=95, other=5, failed=0), Counted(old=20, other=0, failed=0)),
    )

    assert len(found) == 8
    assert all(found.values()), found


def test_a_slow_model_that_nobody_notices_is_not_as_expected() -> None:
    """Without the alarm the model would have stayed; the drill says so in every respect."""
    found = checked(
        after(Execution("succeeded", ()), AFTER, "deployed"),
        trial(["UPDATING", "IN_SERVICE"], [], Counted(old=60, other=40, failed=0), Counted(old=0, other=20, failed=0)),
    )

    assert len(found) == 7  # the alarm is looked for where it is what is to have failed the execution
    assert not any(found.values()), found


@pytest.mark.parametrize(("seen", "code"), [("failed", 0), ("succeeded", 1)])
def test_scripts_read_by_the_exit_code_whether_all_was_as_expected(
    seen: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """0 and the report where it was; 1 where it was not, and people read the table on stderr, too."""

    def carried_through(*_: object) -> Any:
        checks = Checks()
        checks.add("execution", "failed", seen, seen == "failed")
        return SimpleNamespace(checks=checks, executions=[ARN])

    monkeypatch.setattr(drill, "_carry_through", carried_through)
    monkeypatch.setattr(drill.prepare, "prepare", lambda *_, **__: None)
    monkeypatch.setattr(drill, "keep_story", lambda _: None)
    parser = argparse.ArgumentParser()
    drill.add_arguments(parser)

    ended = drill.execute(parser.parse_args(["slow-model", "--json", "--state", str(tmp_path)]))

    told = capsys.readouterr()
    assert ended == code
    assert json.loads(told.out)["outcome"] == ("not as expected" if code else "as expected")
    assert ("NO    execution" in told.err) is bool(code)

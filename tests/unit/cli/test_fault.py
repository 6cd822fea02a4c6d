"""`treering fault`, against a stand-in of the cloud's own paths."""

import json
from pathlib import Path
from typing import Any

import pytest

from cli import cloud as clouds
from cli.cloud import Cloud
from cli.commands import fault
from cli.main import main
from local_cloud.faults import FaultPlan
from local_cloud.faults.models import KINDS, parse


@pytest.fixture
def plan(monkeypatch: pytest.MonkeyPatch) -> FaultPlan:
    """The faults of a cloud that is up."""
    plan = FaultPlan()

    def call(_cloud: Cloud, path: str, body: Any = None, method: str | None = None) -> dict[str, Any]:
        assert path == "faults"
        if method == "DELETE":
            return {"cleared": plan.clear()}
        if body is None:
            return plan.as_json()
        return {"armed": [armed.as_json() for armed in plan.arm(map(parse, body))]}

    monkeypatch.setattr(Cloud, "_call", call)
    monkeypatch.setattr(
        clouds, "find", lambda folder: Cloud(folder, "http://127.0.0.1:1", "r", "0", 1, "a", "b", "now")
    )
    return plan


def test_every_kind_stands_in_the_help() -> None:
    """A new one cannot be forgotten."""
    listed = [line.split()[0] for line in fault.EPILOG.splitlines() if line.startswith("  ") and "treering" not in line]

    assert listed == list(KINDS)


def test_faults_are_armed_shown_and_disarmed(plan: FaultPlan, capsys: pytest.CaptureFixture[str]) -> None:
    """Single ones and lists."""
    several = '[{"kind": "capacity", "times": null}, {"kind": "ping", "status": "stall"}]'
    codes = [main(["fault", "add", '{"kind": "kill", "target": "job", "name": "*-train-*"}', several])]
    added = capsys.readouterr().out
    plan.use(plan.may_strike(KINDS["ping"], "endpoint", "e")[0])  # type: ignore[type-var]
    codes.append(main(["fault", "list"]))
    shown = capsys.readouterr().out
    codes.append(main(["fault", "clear"]))

    assert codes == [0, 0, 0]
    assert added.splitlines()[0] == (
        'armed    1 kill           name "*-train-*", target "job", when "start"; struck 0 times, 1 of 1 left'
    )
    assert 'armed    2 capacity       name "*"; struck 0 times, for ever' in shown
    assert 'spent    3 ping           name "*", during "start", status "stall"; struck 1 times, 0 of 1 left' in shown
    assert capsys.readouterr().out == "2 disarmed.\n"
    assert not plan


def test_a_script_reads_json(plan: FaultPlan, capsys: pytest.CaptureFixture[str]) -> None:
    """The cloud's own answers."""
    main(["fault", "add", '{"kind": "capacity"}', "--json"])
    added = json.loads(capsys.readouterr().out)
    main(["fault", "list", "--json"])
    listed = json.loads(capsys.readouterr().out)

    assert added["armed"] == listed["armed"]
    assert listed["spent"] == []


def test_nothing_armed_is_said(plan: FaultPlan, capsys: pytest.CaptureFixture[str]) -> None:
    """Rather than an empty line."""
    main(["fault", "list"])

    assert capsys.readouterr().out == "Nothing is armed.\n"


@pytest.mark.parametrize(
    ("given", "said"),
    [("kill", "is no JSON"), ("3", "a fault is an object"), ('{"kind": "kill"}', "kill needs target")],
)
def test_a_fault_that_makes_no_sense_is_wrong_usage(
    plan: FaultPlan, capsys: pytest.CaptureFixture[str], given: str, said: str
) -> None:
    """Nothing is armed then, not even what came before it."""
    code = main(["fault", "add", '{"kind": "capacity"}', given])

    assert code == 2
    assert said in capsys.readouterr().err
    assert not plan


def test_without_a_cloud_it_says_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Faults are something of a cloud that is up."""
    code = main(["fault", "list", "--state", str(tmp_path)])

    assert code == 1
    assert "No local cloud is up" in capsys.readouterr().err

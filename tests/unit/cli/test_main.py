"""The parser, the help and the exit codes."""

import json
from pathlib import Path

import pytest

from cli.main import COMMANDS, main


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_with_examples(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`--help` of each command shows examples of it, and exits with 0."""
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])

    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert f"  treering {command}" in shown.partition("examples:")[2]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["no-such-command"],
        ["run", "--no-such-option"],
        ["run", "--parameter", "NoEqualsSign"],
        ["run", "--parameter", "NoSuchParameter=1"],
        ["run", "--source", "nowhere.zip"],
        ["run", "--weeks", "0"],
        ["run", "--template", "nowhere.yaml"],
        ["run", "--weeks", "2", "--parameter", "ApprovalRequired=true"],
        ["lineage", "3", "--run", "20261121-044549-683447d6"],
    ],
)
def test_wrong_usage_exits_with_2(arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is wrong with the options, nothing is started and the exit code is 2."""
    monkeypatch.chdir(tmp_path)

    try:
        code: object = main(arguments)
    except SystemExit as ended:
        code = ended.code

    assert code == 2
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "arguments",
    [["status"], ["logs"], ["predict", "-"], ["approve"], ["reject", "3"], ["rollout", "3"], ["rollback"]],
)
def test_without_a_cloud_the_commands_say_what_to_do(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Commands that need a cloud exit with 1 and say so."""
    monkeypatch.setattr("sys.stdin", (tmp_path / "in").open("w+"))

    code = main([*arguments, "--state", str(tmp_path)])

    shown = capsys.readouterr()
    assert code == 1
    assert "No local cloud is up" in shown.out + shown.err


@pytest.mark.parametrize("command", ["history", "models", "lineage"])
def test_where_nothing_has_run_the_commands_that_look_back_say_so(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 1, and what to do first; nothing is started."""
    code = main([command, "--state", str(tmp_path)])

    assert code == 1
    assert "Nothing has run" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_status_without_a_cloud_is_json_for_a_script(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A script reads that nothing is up."""
    code = main(["status", "--json", "--state", str(tmp_path)])

    assert code == 1
    assert json.loads(capsys.readouterr().out) == {"up": False}


def test_down_is_harmless_where_nothing_is_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Ending what is not there is no error."""
    code = main(["down", "--state", str(tmp_path)])

    assert code == 0
    assert "Nothing is up" in capsys.readouterr().out

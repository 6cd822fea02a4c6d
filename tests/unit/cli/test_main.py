"""The parser, the help and the exit codes."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from cli.commands import cost, status
from cli.main import COMMANDS, main
from treering.errors import ConfigurationError

REPOSITORY = Path(__file__).parents[3]


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
        ["run", "--source", ""],
        ["run", "--weeks", "0"],
        ["run", "--weeks", "99999999999999"],
        ["run", "--state", ""],
        ["run", "--stack-name", ""],
        ["run", "--stack-name", "1st"],
        ["run", "--parameter", "UseCase=nope"],
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


def raises(error: BaseException) -> Callable[..., Any]:
    """A command in which this happens."""

    def execute(*_: Any) -> int:
        raise error

    return execute


@pytest.mark.parametrize(
    ("error", "said", "hint"),
    [
        (EndpointConnectionError(endpoint_url="http://127.0.0.1:9"), "does not answer any more", "`treering up`"),
        (
            PermissionError(13, "Permission denied", ".treering/runs"),
            ".treering/runs: Permission denied",
            "--state DIR",
        ),
        (OSError(28, "No space left on device"), "No space left on device", "Make room"),
        (ConfigurationError("There is no use case 'nope'."), "There is no use case 'nope'.", ""),
    ],
)
def test_what_a_command_could_not_foresee_is_one_sentence(
    error: BaseException, said: str, hint: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And JSON for a script, not a traceback."""
    monkeypatch.setattr(status, "execute", raises(error))

    code = main(["status", "--json"])

    shown = capsys.readouterr()
    told = json.loads(shown.out)
    assert code == 1
    assert (told["outcome"], said in told["error"], hint in told["hint"]) == ("failed", True, True)
    assert said in shown.err
    assert "Traceback" not in shown.err


@pytest.mark.parametrize("state", ["README.md", "/proc/nope"])
def test_a_state_folder_that_cannot_be_is_named(
    state: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the way out."""
    monkeypatch.chdir(REPOSITORY)

    code = main(["run", "--state", state])

    shown = capsys.readouterr().err
    assert code == 1
    assert state in shown
    assert "--state DIR" in shown


@pytest.mark.parametrize(
    ("redirection", "code", "said"),
    [(">&-", 0, ""), (">/dev/full", 1, "No space left on device"), ("2>&- | cat", 0, "endpoint")],
)
def test_whatever_stdout_is(redirection: str, code: int, said: str) -> None:
    """Closed or full, a command ends in order."""
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {sys.executable} -m cli cost {redirection}"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == code
    assert said in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_letters_that_the_terminal_has_not_are_written_otherwise() -> None:
    """Rather than ending the run in its midst."""
    program = (
        "import cli.main, sys; from cli.commands import cost; "
        "cost.execute = lambda _: print('\\u2192 done') or 0; sys.exit(cli.main.main(['cost']))"
    )
    shown = subprocess.run(
        [sys.executable, "-c", program],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
        check=True,
    )

    assert shown.stdout == "\\u2192 done\n"


@pytest.mark.parametrize(("before", "code"), [(signal.SIG_DFL, 130), (signal.SIG_IGN, 0)])
def test_a_closed_terminal_interrupts_unless_nohup_asked_for_it(
    before: signal.Handlers, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Ctrl-C does, so that the story of a long run is kept."""

    def hang_up(*_: Any) -> int:
        signal.raise_signal(signal.SIGHUP)
        return 0

    monkeypatch.setattr(cost, "execute", hang_up)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)}
    try:
        signal.signal(signal.SIGHUP, before)
        assert main(["cost"]) == code
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)

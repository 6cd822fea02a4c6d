"""The benchmarks' own command: all of them, into one document. What they measure is not tested here."""

import importlib
import os
import signal
import subprocess
import sys

import pytest

from tests.benchmarks import __main__ as command
from tests.benchmarks.environments import ROOT

GOOD = "import sys; print('| a | b |', *sys.argv[1:])"
SLOW = """
import sys, time
from pathlib import Path
try:
    print("begun", file=sys.stderr, flush=True)
    time.sleep(60)
finally:
    Path("tidied").touch()
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A checkout with three benchmarks, of which one fails and one takes long."""
    package = tmp_path / "tests" / "benchmarks"
    package.mkdir(parents=True)
    for level in (package, package.parent):
        (level / "__init__.py").touch()
    for name, code in {"good": GOOD, "bad": "import sys; sys.exit('no registry here')", "slow": SLOW}.items():
        (package / f"{name}.py").write_text(code)
    monkeypatch.setattr(command, "ROOT", tmp_path)
    monkeypatch.setattr(command, "HERE", package)
    docs = tmp_path / "performance.md"
    docs.write_text("before\n\n## Good\n\nwords\n\n### Measured\n\n| old |\n\n## Bad\n\n### Measured\n")
    monkeypatch.setattr(command, "DOCS", docs)
    monkeypatch.setattr(command, "MODULES", {name: name.title() for name in ("bad", "good", "slow", "absent")})
    return tmp_path


@pytest.mark.parametrize("name", command.MODULES)
def test_every_benchmark_has_the_same_options(name, monkeypatch, capsys):
    """`make bench` gives them to each."""
    monkeypatch.setattr(sys, "argv", [name, "--help"])
    with pytest.raises(SystemExit) as ended:
        importlib.import_module(f"tests.benchmarks.{name}").main()

    said = capsys.readouterr().out
    assert ended.value.code == 0
    assert all(option in said for option in ("--rounds", "--quick", "--json"))


def test_document_holds_what_each_printed(folder):
    """With the command, so that it can be measured again."""
    document = folder / "table.md"

    assert command.main(["good", "--quick", "--rounds", "2", "--output", str(document)]) == 0
    text = document.read_text()
    assert "## Good\n\n    python -m tests.benchmarks.good --quick --rounds 2" in text
    assert "| a | b | --quick --rounds 2" in text
    assert "scikit-learn" in text


def test_benchmark_that_fails_is_said(folder, capfd):
    """The others are run all the same; the command ends with 1."""
    document = folder / "table.md"

    assert command.main(["bad", "good", "--output", str(document)]) == 1
    assert "**Failed**" in document.read_text()
    assert "| a | b |" in document.read_text()
    assert "no registry here" in capfd.readouterr().err


def test_tables_go_into_the_docs_on_request(folder, capsys):
    """At the end of a section, and nothing of one that failed; no place is an error before anything is run."""
    output = ["--output", str(folder / "table.md")]

    assert command.main(["good", "bad", "--docs", *output]) == 1
    text = (folder / "performance.md").read_text()
    assert text.startswith("before\n\n## Good\n\nwords\n\n### Measured\n")
    assert text.endswith("\n\n## Bad\n\n### Measured\n")
    assert "| a | b |" in text
    assert "old" not in text
    with pytest.raises(SystemExit):
        command.main(["slow", "--docs", *output])
    assert 'needs a section "### Measured"' in capsys.readouterr().err


def test_docs_have_a_place_for_the_tables():
    """The real docs, for the tables that are put there."""
    assert command.has_place("serving")
    assert command.has_place("training")


@pytest.mark.parametrize(
    ("name", "said"), [("absent", "not in this checkout: absent"), ("other", "no benchmark other")]
)
def test_benchmark_that_is_not_there_is_an_error(folder, capsys, name, said):
    """Before anything is measured."""
    with pytest.raises(SystemExit):
        command.main(["good", name, "--output", str(folder / "table.md")])

    assert said in capsys.readouterr().err
    assert not (folder / "table.md").exists()


@pytest.mark.parametrize(
    ("stop", "code", "says"),
    [
        (lambda process: os.killpg(process.pid, signal.SIGINT), 130, "Stopped."),  # as the terminal does
        (lambda process: process.terminate(), 143, ""),
    ],
    ids=["Ctrl-C", "SIGTERM"],
)
def test_who_is_stopped_tidies_up(folder, stop, code, says):
    """The benchmark that is running ends what it started; nobody sees a stack trace."""
    program = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "  # a shell's `&` ignores it
        "from pathlib import Path; from tests.benchmarks import __main__ as command; "
        "folder = Path(sys.argv[1]); command.ROOT = folder; command.HERE = folder / 'tests' / 'benchmarks'; "
        "command.MODULES = {'slow': 'Slow'}; command.end_on_sigterm(); "
        "sys.exit(command.main(['--output', str(folder / 'table.md')]))"
    )
    argv = [sys.executable, "-c", program, str(folder)]
    with subprocess.Popen(argv, cwd=ROOT, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        while process.stderr.readline().strip() != "begun":
            assert process.poll() is None
        stop(process)
        said = process.stderr.read()

    assert process.returncode == code
    assert said.strip() == says
    assert (folder / "tidied").exists()

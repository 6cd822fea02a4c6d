"""The command as a user types it: runs, failures, interruptions, and the cloud that stays."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from treering import use_case

ROOT = Path(__file__).resolve().parents[2]
CASE = use_case.load("house_prices")
STATES = [  # that do something, those of the rollout after the state that waits for it
    *("Create Run ID", "Preprocess", "Train Random Forest", "Evaluate", "Register Model", "Roll Out"),
    *("Deploy Staging Endpoint", "Test Staging Endpoint", "Deploy Endpoint", "Test Endpoint", "Notify Success"),
]
PATIENCE = 240
QUICK = ("--parameter", "LoadTestSeconds=0")  # where a test is not about the load that staging is put under

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def start(*arguments: str, state: Path) -> subprocess.Popen[str]:
    """`treering …` as a process."""
    return subprocess.Popen(
        [sys.executable, "-m", "cli", *arguments, "--state", str(state)],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def treering(*arguments: str, state: Path) -> subprocess.CompletedProcess[str]:
    """`treering …` to its end."""
    process = start(*arguments, state=state)
    out, err = process.communicate(timeout=PATIENCE)
    return subprocess.CompletedProcess(arguments, process.returncode, out, err)


def descendants(pid: int) -> set[int]:
    """All processes that a process started, directly or not."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, IndexError):
                continue
            children.setdefault(parent, []).append(int(entry.name))
    found: set[int] = set()
    waiting = [pid]
    while waiting:
        for child in children.get(waiting.pop(), []):
            found.add(child)
            waiting.append(child)
    return found


def left(pids: set[int], state: Path, seconds: float = 10) -> set[int]:
    """Which of the processes, or of any others that work for the state folder, still run after at most that time."""
    deadline = time.monotonic() + seconds
    while True:
        running = {pid for pid in pids if _running(pid)} | _working_in(state)
        if not running or time.monotonic() > deadline:
            return running
        time.sleep(0.1)


def _running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (OSError, IndexError):
        return False


def _working_in(state: Path) -> set[int]:
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if str(state).encode() in (entry / "cmdline").read_bytes():
                    found.add(int(entry.name))
            except OSError:
                continue
    return found


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], str, Path]:
    """One run: its JSON report, what was on stderr, and the state folder."""
    state = tmp_path_factory.mktemp("run")
    done = treering("run", "--json", state=state)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout), done.stderr, state


def test_a_run_reports_data_features_errors_predictions_and_latency(ran: tuple[dict[str, Any], str, Path]) -> None:
    """The report has every part, of this run, and the test error is as good as promised."""
    report, _, _ = ran

    assert report["outcome"] == "succeeded"
    assert [state["name"] for state in report["states"] if state["name"] in STATES] == STATES
    assert all(state["status"] == "succeeded" and state["seconds"] is not None for state in report["states"])
    assert set(report["dataset"]["rows"]) == {"train", "validation", "test"}
    assert len(report["preprocess"]["kept"]) == CASE.features.keep
    assert report["test_endpoint"]["test"]["rmse_log"] <= 0.14
    assert len(report["test_endpoint"]["examples"]) >= 5
    assert report["test_endpoint"]["latency"]["p99_ms"] >= report["test_endpoint"]["latency"]["p50_ms"] > 0
    assert report["new_version"] is True


def test_what_a_run_made_is_still_there_after_it(ran: tuple[dict[str, Any], str, Path]) -> None:
    """Every artefact has an address and a file or folder that outlives the run's cloud."""
    report, _, _ = ran

    assert len(report["artefacts"]) >= 6
    for artefact in report["artefacts"]:
        assert artefact["uri"].startswith("s3://")
        assert Path(artefact["path"]).exists(), artefact


def test_without_a_terminal_each_state_is_one_line(ran: tuple[dict[str, Any], str, Path]) -> None:
    """In a file or a pipe, progress is one line for each state, as it ends."""
    _, progress, _ = ran

    lines = progress.splitlines()

    for state in STATES:
        assert len([line for line in lines if line.lstrip().startswith(f"{state} ")]) == 1


def test_a_run_leaves_no_process(ran: tuple[dict[str, Any], str, Path]) -> None:
    """The cloud of a run, its data source, its endpoint and its jobs end with it."""
    _, _, state = ran

    assert not left(set(), state)


def test_a_failed_ingestion_is_explained(tmp_path: Path) -> None:
    """A competition that the source does not know: exit code 1, the function's own error, its log, what to try."""
    done = treering("run", "--json", "--parameter", "Competition=no-such-competition", state=tmp_path)

    assert done.returncode == 1
    failure = json.loads(done.stdout)["failure"]
    assert failure["state"] == "Ingest"
    assert "no-such-competition" in failure["cause"]
    assert failure["log"]
    assert "What to try" in done.stderr
    assert not left(set(), tmp_path)


@pytest.mark.parametrize("reached", ["Local cloud", "Train Random Forest"])
def test_ctrl_c_leaves_nothing_running(reached: str, tmp_path: Path, thin_source: Path) -> None:
    """Interrupted after any step: exit code 130, one line that says so, and no process is left."""
    process = start("run", "--source", str(thin_source), state=tmp_path)
    assert process.stdout is not None
    seen = []
    for line in process.stdout:
        seen.append(line)
        if line.startswith(reached):
            break
    started = descendants(process.pid)

    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)

    assert process.returncode == 130, "".join(seen) + err
    assert err.startswith("Interrupted.")
    assert len(err.splitlines()) == 1
    assert started
    assert not left(started, tmp_path)


def test_even_a_killed_command_leaves_nothing_running(tmp_path: Path, thin_source: Path) -> None:
    """Killed so that it cannot tidy up, the command takes its cloud with it all the same."""
    process = start("run", "--source", str(thin_source), state=tmp_path)
    assert process.stdout is not None
    seen = []
    for line in process.stdout:
        seen.append(line)
        if line.startswith("Preprocess"):
            break
    started = descendants(process.pid)

    process.kill()
    _, err = process.communicate(timeout=60)

    assert started, "".join(seen) + err
    assert not left(started, tmp_path, seconds=30)


def test_down_ends_everything(tmp_path: Path, thin_source: Path) -> None:
    """`down` ends what `up` started, says so, and status then says that nothing is up."""
    assert treering("up", "--source", str(thin_source), state=tmp_path).returncode == 0
    pids = _working_in(tmp_path)

    done = treering("down", state=tmp_path)

    assert done.returncode == 0
    assert "Ended the local cloud" in done.stdout
    assert pids
    assert not left(pids, tmp_path)
    assert treering("status", state=tmp_path).returncode == 1


def test_weeks_are_the_same_when_repeated_and_approved_as_they_wait(tmp_path: Path, thin_source: Path) -> None:
    """Two weekly runs give two versions, two executions and one endpoint. The last of them is the same once more, where
    its model has to wait: with --approve nobody needs to watch, the version is approved, and the run goes on.
    """
    given = ("--json", "--source", str(thin_source), *QUICK)
    first = treering("run", "--weeks", "2", *given, state=tmp_path)
    second = treering(
        "run", "--weeks", "1", "--approve", "--parameter", "ApprovalRequired=true", *given, state=tmp_path
    )
    models = treering("models", "--json", state=tmp_path)

    assert first.returncode == 0, first.stdout + first.stderr
    assert second.returncode == 0, second.stdout + second.stderr
    one, two = json.loads(first.stdout), json.loads(second.stdout)
    assert len(one["dataset_versions"]) + len(one["unchanged"]) == 2
    assert len(one["executions"]) == 2
    assert one["endpoints"] == [one["endpoint_name"]]
    last, again = one["weeks"][-1], two["weeks"][0]
    assert last["test_rmse_log"] is not None
    for same in ("dataset_version", "test_rmse_log"):
        assert last[same] == again[same]
    assert again["model_outcome"] == "deployed"
    [version] = json.loads(models.stdout)
    assert version["status"] == "Approved"
    assert "--approve" in version["comment"]

"""The command as a user types it: runs, failures, interruptions, and the cloud that stays."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
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


def test_a_failed_state_is_explained(tmp_path: Path) -> None:
    """A state that fails: exit code 1, its name, error and cause, and the report as far as the run came."""
    done = treering("run", "--json", "--parameter", "TrainInstanceType=ml.nonsense", state=tmp_path)

    assert done.returncode == 1
    report = json.loads(done.stdout)
    assert report["outcome"] == "failed"
    assert report["failure"]["state"] == "Train Random Forest"
    assert report["failure"]["error"].startswith("SageMaker.")
    assert "ml.nonsense" in report["failure"]["cause"]
    assert report["preprocess"]["kept"]
    assert report["test_endpoint"] is None
    assert "What to try" in done.stderr
    assert not left(set(), tmp_path)


@pytest.mark.parametrize("reached", ["Local cloud", "Create Run ID", "Train Random Forest"])
def test_ctrl_c_leaves_nothing_running(reached: str, tmp_path: Path) -> None:
    """Interrupted after any step: exit code 130, one line that says so, and no process is left."""
    process = start("run", state=tmp_path)
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


def test_even_a_killed_command_leaves_nothing_running(tmp_path: Path) -> None:
    """Killed so that it cannot tidy up, the command takes its cloud with it all the same."""
    process = start("run", state=tmp_path)
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


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[dict[str, Any], Path]]:
    """A cloud that is up and has finished a run: what `up --json` said, and the state folder."""
    state = tmp_path_factory.mktemp("up")
    try:
        done = treering("up", "--json", *QUICK, state=state)
        assert done.returncode == 0, done.stderr
        ran = treering("run", "--json", state=state)
        assert ran.returncode == 0, ran.stderr
        yield json.loads(done.stdout), state
    finally:
        treering("down", state=state)


def test_strangers_talk_to_the_cloud_with_what_up_printed(up: tuple[dict[str, Any], Path]) -> None:
    """boto3 with nothing but the printed environment reads the history and asks the endpoint."""
    said, _ = up
    environment, outputs = said["environment"], said["stack"]["outputs"]
    session = boto3.Session(
        environment["AWS_ACCESS_KEY_ID"],
        environment["AWS_SECRET_ACCESS_KEY"],
        region_name=environment["AWS_DEFAULT_REGION"],
    )
    machines = session.client("stepfunctions", endpoint_url=environment["AWS_ENDPOINT_URL"])

    [execution] = machines.list_executions(stateMachineArn=outputs["StateMachineArn"])["executions"]
    history = machines.get_execution_history(executionArn=execution["executionArn"], maxResults=1000)["events"]

    assert execution["status"] == "SUCCEEDED"
    assert history[-1]["type"] == "ExecutionSucceeded"


def test_status_shows_endpoint_execution_and_next_wake_up(up: tuple[dict[str, Any], Path]) -> None:
    """The status is for people and, as JSON, for scripts."""
    _, state = up

    status = json.loads(treering("status", "--json", state=state).stdout)

    assert status["up"] is True
    assert status["endpoint"]["status"] == "InService"
    assert [execution["status"] for execution in status["executions"]] == ["SUCCEEDED"]
    assert status["rule"]["next"] > status["clock"]
    assert status["endpoint"]["configuration"] in treering("status", state=state).stdout


def unlabelled(up: tuple[dict[str, Any], Path]) -> list[dict[str, str]]:
    """The first rows of the test split, without target."""
    said, state = up
    [split] = list(state.glob(f"cloud/s3/**/{said['stack']['outputs']['DataBucketName']}/datasets/*/*/test.csv"))
    with split.open() as file:
        rows = list(csv.DictReader(file))[:3]
    return [{name: value for name, value in row.items() if name != CASE.target.column} for row in rows]


def written(rows: list[dict[str, str]], file: Path) -> str:
    """Write the rows as CSV; the file's name."""
    with file.open("w") as out:
        writer = csv.DictWriter(out, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return str(file)


def test_predict_answers_each_row_with_its_key(up: tuple[dict[str, Any], Path], tmp_path: Path) -> None:
    """Rows come back in order with key and prediction."""
    rows = unlabelled(up)

    done = treering("predict", written(rows, tmp_path / "rows.csv"), state=up[1])

    assert done.returncode == 0, done.stderr
    answered = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [row[CASE.columns.key] for row in answered] == [row[CASE.columns.key] for row in rows]
    assert all(float(row[CASE.target.column]) > 0 for row in answered)


def test_predict_refuses_a_bad_value(up: tuple[dict[str, Any], Path], tmp_path: Path) -> None:
    """A value that is no number is refused by the endpoint: exit code 1, with its words."""
    number = CASE.columns.integer[0]
    rows = [row | {number: "many"} for row in unlabelled(up)]

    done = treering("predict", written(rows, tmp_path / "rows.csv"), state=up[1])

    assert done.returncode == 1
    assert "refused the rows" in done.stderr
    assert number in done.stderr
    assert "{" not in done.stderr


def test_logs_are_found_by_state_and_by_function(up: tuple[dict[str, Any], Path]) -> None:
    """A state's job and a function have a log; an unknown name is answered with the known ones."""
    _, state = up

    job = treering("logs", "Train Random Forest", state=state)
    function = treering("logs", "ingest", "--json", state=state)
    unknown = treering("logs", "nobody", state=state)

    assert job.returncode == 0
    assert job.stdout
    assert function.returncode == 0
    assert json.loads(function.stdout.splitlines()[0])["of"] == "ingest"
    assert unknown.returncode == 2
    assert "Preprocess" in unknown.stderr


def test_unchanged_data_need_not_be_trained_on_again(up: tuple[dict[str, Any], Path]) -> None:
    """Where the template says so, a week without new data starts no execution, which is no failure."""
    _, state = up
    before = json.loads(treering("status", "--json", state=state).stdout)["executions"]

    done = treering("run", "--json", "--parameter", "RetrainOnUnchangedData=false", state=state)

    after = json.loads(treering("status", "--json", state=state).stdout)["executions"]
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["outcome"] == "nothing to train on"
    assert after == before


def test_up_twice_keeps_the_cloud(up: tuple[dict[str, Any], Path]) -> None:
    """A second `up` updates the deployment in the cloud that is there."""
    said, state = up

    again = treering("up", "--json", state=state)

    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["endpoint"] == said["endpoint"]
    assert "up already" in again.stderr


def test_down_ends_everything(tmp_path: Path) -> None:
    """`down` ends what `up` started, says so, and status then says that nothing is up."""
    assert treering("up", state=tmp_path).returncode == 0
    pids = _working_in(tmp_path)

    done = treering("down", state=tmp_path)

    assert done.returncode == 0
    assert "Ended the local cloud" in done.stdout
    assert pids
    assert not left(pids, tmp_path)
    assert treering("status", state=tmp_path).returncode == 1


def test_weeks_are_the_same_when_repeated(tmp_path: Path) -> None:
    """Two weekly runs give two versions, two executions and one endpoint, and the same versions the next time."""
    first = treering("run", "--weeks", "2", "--json", *QUICK, state=tmp_path)
    second = treering("run", "--weeks", "2", "--json", *QUICK, state=tmp_path)

    assert first.returncode == 0, first.stdout + first.stderr
    one, two = json.loads(first.stdout), json.loads(second.stdout)
    assert len(one["dataset_versions"]) + len(one["unchanged"]) == 2
    assert len(one["executions"]) == 2
    assert one["endpoints"] == [one["endpoint_name"]]
    assert [week["dataset_version"] for week in one["weeks"]] == [week["dataset_version"] for week in two["weeks"]]
    assert [week["test_rmse_log"] for week in one["weeks"]] == [week["test_rmse_log"] for week in two["weeks"]]

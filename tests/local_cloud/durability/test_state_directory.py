"""What a cloud keeps on disk: whole or as it was before, one cloud and one command to a folder, damage told."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from local_cloud import object_writes
from tests.local_cloud.cloud_process import CloudNotStartedError
from tests.local_cloud.durability.commands import ROOT, start, treering
from tests.local_cloud.durability.story import APPLICATION, PATIENCE, Life, eventually

TRIES = 5
ENDED = '"StackStatus": "CREATE_COMPLETE"'  # in the state of CloudFormation

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state directory of a cloud that was killed; with two objects, each written twice."""
    state = tmp_path_factory.mktemp("kept") / "cloud"
    life = Life.begin(state)
    life.s3.create_bucket(Bucket="kept")
    for key in ("finished.txt", "begun.txt"):
        for body in (b"first", b"the second one"):
            life.s3.put_object(Bucket="kept", Key=key, Body=body, ContentType=f"text/{len(body)}")
    life.kill()
    return state


@pytest.fixture
def state(kept: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may damage."""
    shutil.copytree(kept, tmp_path / "cloud")
    return tmp_path / "cloud"


@pytest.fixture
def lives() -> Iterator[list[Life]]:
    """Clouds that the test starts; they are ended."""
    lives: list[Life] = []
    yield lives
    for life in lives:
        life.running.stop()


def test_an_object_is_never_half_new(state: Path, lives: list[Life]) -> None:
    """Killed between an object's body and its metadata, the write is finished; killed before the body, it is not."""
    folder = state / "s3" / "000000000000" / "kept"
    for key, body in (("finished.txt", b"the third one, longer"), ("begun.txt", b"the second one")):
        known = json.loads((folder / f"{key}.meta.json").read_text())
        known.update(size=21, content_type="text/21", etag='"third"', checksums={})
        note = {"body": str(folder / key), "digest": object_writes._digest(b"the third one, longer"), "known": known}
        (state / "s3_writes" / f"{key}.json").write_text(json.dumps(note))
        (folder / key).write_bytes(body)
    (folder / "begun.txt.tmp").write_bytes(b"the thi")
    life = Life.begin(state)
    lives.append(life)
    finished = life.s3.get_object(Bucket="kept", Key="finished.txt")
    begun = life.s3.get_object(Bucket="kept", Key="begun.txt")
    listed = {item["Key"] for item in life.s3.list_objects_v2(Bucket="kept")["Contents"]}

    assert (finished["Body"].read(), finished["ContentType"]) == (b"the third one, longer", "text/21")
    assert (begun["Body"].read(), begun["ContentType"]) == (b"the second one", "text/14")
    assert listed == {"finished.txt", "begun.txt"}
    assert not list((state / "s3_writes").iterdir())


@pytest.mark.parametrize("place", ["services/iam.json", "step_functions/m.machine.json", "clock.json"])
def test_a_damaged_file_is_named(state: Path, place: str) -> None:
    """The cloud does not start without what the file held: it says which file it is, and what to do."""
    (state / place).parent.mkdir(exist_ok=True)
    (state / place).write_text('{"half": ')
    with pytest.raises(CloudNotStartedError) as refused:
        Life.begin(state)

    assert f"{state / place} is damaged" in str(refused.value)
    assert f"mv {state / place}" in str(refused.value)


def in_small_steps(life: Life, look: Callable[[], bool]) -> bool:
    """Let the cloud run some milliseconds at a time until a look at it, while it stands still, is true.

    However busy the machine is, the cloud gets no further than a step beyond what is looked for.
    """
    assert life.running.process is not None
    pid, deadline = life.running.process.pid, time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        os.kill(pid, signal.SIGSTOP)
        if look():
            return True
        os.kill(pid, signal.SIGCONT)
        time.sleep(0.005)
    return False


def killed_while_deploying(state: Path, look: Callable[[], bool]) -> bool:
    """Deploy the application, and kill the cloud as soon as a look at it is true; whether it was."""
    life = Life.begin(state)
    program = (
        "import sys; from pathlib import Path; from local_cloud.deploy import deploy;"
        "from local_cloud.state_directory import read_cloud; state = Path(sys.argv[1]);"
        "deploy(Path(sys.argv[2]), read_cloud(state), state, stack_name='durable')"
    )
    deploying = subprocess.Popen(
        [sys.executable, "-c", program, str(state), str(APPLICATION / "template.yaml")],
        cwd=ROOT,
        stderr=subprocess.DEVNULL,
    )
    reached = in_small_steps(life, look)
    life.kill()
    deploying.wait()
    return reached


def test_a_stack_operation_that_was_killed_never_happened(tmp_path: Path, lives: list[Life]) -> None:
    """Everything is as it was before it, and the same deployment can be done again, with a working state machine."""
    for number in range(TRIES):  # on a very busy machine, a step may take the operation to its end
        state = tmp_path / f"cloud-{number}"
        reached = killed_while_deploying(state, lambda at=state: any((at / "step_functions").glob("*.machine.json")))
        under_way = (state / "before_stack_operation").exists() and not (state / "after_stack_operation").exists()
        if under_way:
            break
    again = Life.begin(state)
    lives.append(again)
    stacks = again.client("cloudformation").list_stacks()["StackSummaries"]
    machines = again.states.list_state_machines()["stateMachines"]
    outputs = again.deploy().outputs

    assert reached
    assert under_way
    assert [stack["StackStatus"] for stack in stacks if not stack["StackStatus"].startswith("REVIEW")] == []
    assert machines == []
    assert again.ended(again.start(outputs["Machine"], "ended"))["status"] == "SUCCEEDED"


def test_a_stack_operation_that_has_ended_stays(tmp_path: Path, lives: list[Life]) -> None:
    """As soon as the stack counts as complete, so does its state machine, whenever the cloud is killed."""
    state = tmp_path / "cloud"
    stacks = state / "services" / "cloudformation.json"
    reached = killed_while_deploying(state, lambda: stacks.is_file() and ENDED in stacks.read_text())
    again = Life.begin(state)
    lives.append(again)
    [stack] = again.client("cloudformation").describe_stacks()["Stacks"]
    [machine] = again.states.list_state_machines()["stateMachines"]

    assert reached
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    assert again.ended(again.start(machine["stateMachineArn"], "ended"))["status"] == "SUCCEEDED"


def test_commands_tell_a_killed_cloud_from_none(state: Path) -> None:
    """Status says what happened and what to do, down tidies up; afterwards there is nothing to be said."""
    folder = state.parent
    status, plain = treering("status", state=folder), treering("status", "--json", state=folder)
    asked = treering("logs", "ingest", state=folder)
    ended = treering("down", state=folder)

    assert status.returncode == 1
    assert "was killed" in status.stdout
    assert "treering up" in status.stdout
    assert json.loads(plain.stdout) == {"up": False, "killed": True}
    assert "was killed" in asked.stderr
    assert "nothing of it is left" in ended.stdout
    assert "Nothing is up" in treering("down", state=folder).stdout


def test_a_second_command_is_refused(tmp_path: Path) -> None:
    """While one command works on the folder, another that would is told its process, and does nothing."""
    first = start("up", state=tmp_path)
    try:
        eventually(lambda: (tmp_path / "cloud" / "command.lock").exists() and _holder(tmp_path))
        second = treering("up", state=tmp_path)

        assert second.returncode == 1
        assert f"`treering up` (process {first.pid}) is at work" in second.stderr
        assert "--state" in second.stderr
    finally:
        first.send_signal(signal.SIGINT)
        first.communicate(timeout=60)
        treering("down", state=tmp_path)


def _holder(state: Path) -> str:
    return (state / "cloud" / "command.lock").read_text()

"""In one terminal a run; in another what people do with its model: approve, reject, roll out, roll back, look back."""

import json
import shlex
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.local_cloud.test_cli_run import _working_in, left, start, treering
from tests.local_cloud.up_cloud import UpCloud

ROOT = Path(__file__).resolve().parents[2]
QUICK = ["--parameter", "LoadTestSeconds=0", "--parameter", "TrafficWaitSeconds=0"]
ASKED = [*QUICK, "--parameter", "ApprovalRequired=true", "--parameter", "KeepModels=2"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def typed(line: str, *more: str) -> subprocess.CompletedProcess[str]:
    """What a person types, word for word."""
    words = shlex.split(line)
    assert words[0] == "treering"
    command = [sys.executable, "-m", "cli", *words[1:], *more]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)


def waits(run: subprocess.Popen[str]) -> list[str]:
    """Read what the run prints until it waits for a person; the commands that it prints."""
    assert run.stdout is not None
    for line in run.stdout:
        if "waits for your approval" in line:
            return [text[text.index("treering ") :].strip() for text in (line, next(run.stdout))]
    raise AssertionError(f"the run never waited: {run.communicate()}")


@dataclass(frozen=True)
class Up(UpCloud):
    """A cloud that is up, with version 1 in service; what the run printed, and what the command did that it printed."""

    ran: str
    approved: subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory, thin_source: Path) -> Iterator[Up]:
    """Up, a run that waits, and the command that it printed, typed in another terminal with a comment."""
    state = tmp_path_factory.mktemp("models")
    try:
        said = treering("up", "--json", "--source", str(thin_source), *ASKED, state=state)
        assert said.returncode == 0, said.stderr
        run = start("run", state=state)
        approve, _ = waits(run)
        approved = typed(approve, "--comment", "looks well")
        ran, err = run.communicate(timeout=300)
        assert run.returncode == 0, ran + err
        content = json.loads(said.stdout)
        yield Up(state, content["environment"], content["stack"]["outputs"], ran, approved)
    finally:
        treering("down", state=state)


def test_the_command_that_a_waiting_run_prints_lets_it_go_on(up: Up) -> None:
    """It works as it stands; the run goes on to its end, and the registry keeps the comment."""
    [version] = up.json("models")

    assert up.approved.returncode == 0, up.approved.stderr
    assert "Its execution goes on" in up.approved.stdout
    assert "the new model is in service" in up.ran
    assert (version["version"], version["status"], version["comment"]) == (1, "Approved", "looks well")
    assert version["in_service"] is True


def test_what_is_decided_is_not_decided_again(up: Up) -> None:
    """Neither the other way nor the same; nothing else waits."""
    again = treering("approve", "1", state=up.state)
    otherwise = treering("reject", "1", state=up.state)
    nothing = treering("approve", state=up.state)

    assert again.returncode == otherwise.returncode == nothing.returncode == 1
    assert "is Approved already" in again.stderr
    assert "is Approved already" in otherwise.stderr
    assert "No version" in nothing.stderr


def chain(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A step and all below it."""
    yield node
    for child in node["made_of"]:
        yield from chain(child)


def test_lineage_leads_from_the_endpoint_to_the_raw_files_and_their_source(up: Up) -> None:
    """Every step is there, each fits the one before, and the hashes are those of the files."""
    found = up.json("lineage", "--verify")

    steps = list(chain(found["lineage"]))
    kinds = [step["what"] for step in steps]
    assert kinds[:5] == ["endpoint", "configuration", "model", "model package", "artefact"]
    assert set(kinds) >= {"run", "job", "report", "dataset version", "split", "raw file", "source"}
    assert found["problems"] == []
    for step in steps:
        if step["what"] in ("split", "raw file"):
            assert "has its SHA-256" in step["checked"]
    [dataset] = [step for step in steps if step["what"] == "dataset version"]
    assert "it is the hash of its raw files" in dataset["checked"]


def test_lineage_starts_at_a_version_or_a_run_too(up: Up) -> None:
    """All ways lead to the same dataset version."""
    [version] = up.json("models")

    ways = [up.json("lineage", "1"), up.json("lineage", "--run", version["run_id"])]

    for way in ways:
        names = {step["name"] for step in chain(way["lineage"]) if step["what"] == "dataset version"}
        assert names == {version["dataset_version"]}


def test_a_changed_raw_file_is_found_by_its_hash(up: Up) -> None:
    """The same size, other content: only --verify sees it, names the file, and the exit code is 1."""
    s3, bucket = up.client("s3"), up.outputs["DataBucketName"]
    key = next(o["Key"] for o in s3.list_objects_v2(Bucket=bucket, Prefix="raw/")["Contents"] if "train" in o["Key"])
    original = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    s3.put_object(Bucket=bucket, Key=key, Body=original[:-2] + b"?\n")
    try:
        seen = treering("lineage", state=up.state)
        verified = treering("lineage", "--verify", "--json", state=up.state)
    finally:
        s3.put_object(Bucket=bucket, Key=key, Body=original)

    assert seen.returncode == 0
    assert verified.returncode == 1
    [problem] = json.loads(verified.stdout)["problems"]
    assert key in problem
    assert "SHA-256" in problem


def test_a_version_in_service_is_not_rolled_out_again(up: Up) -> None:
    """Nothing is started, which is no failure."""
    done = treering("rollout", "1", state=up.state)

    assert done.returncode == 0
    assert "in service already" in done.stdout
    assert [entry["kind"] for entry in up.json("history")["entries"]] == ["weekly"]


def second_version(up: Up) -> int:
    """Register the first version's model once more, as somebody with boto3 may; the number of the new version."""
    sagemaker = up.client("sagemaker")
    group = up.outputs["ModelPackageGroupName"]
    first = sagemaker.list_model_packages(ModelPackageGroupName=group)["ModelPackageSummaryList"][-1]["ModelPackageArn"]
    described = sagemaker.describe_model_package(ModelPackageName=first)
    spec = described["InferenceSpecification"]
    containers = [{name: one[name] for name in ("Image", "ModelDataUrl")} for one in spec["Containers"]]
    arn = sagemaker.create_model_package(
        ModelPackageGroupName=group,
        ModelApprovalStatus="PendingManualApproval",
        InferenceSpecification={**spec, "Containers": containers},
        CustomerMetadataProperties=described["CustomerMetadataProperties"],
    )["ModelPackageArn"]
    return int(arn.rpartition("/")[2])


def test_a_rollout_by_hand_and_back_again(up: Up) -> None:
    """Refused until it is approved, then in service; a rollback puts the one before back, before which is none."""
    number = second_version(up)
    too_early = treering("rollout", str(number), state=up.state)
    approved = treering("approve", str(number), "--json", state=up.state)

    out = up.json("rollout", str(number))
    back = treering("rollback", state=up.state)
    no_further = treering("rollback", state=up.state)
    story = up.json("history")

    assert too_early.returncode == 1
    assert f"treering approve {number}" in too_early.stderr
    assert json.loads(approved.stdout)["execution_arn"] is None
    assert (out["outcome"], out["before"], out["in_service"]) == ("deployed", 1, number)
    assert out["test_endpoint"]["endpoint_name"] == up.outputs["EndpointName"]
    assert back.returncode == 0, back.stdout + back.stderr
    assert f"version 1, before: version {number}" in back.stdout
    assert no_further.returncode == 1
    assert "There is no version to go back to from version 1" in no_further.stderr
    assert [(entry["kind"], entry["into_service"]) for entry in story["entries"]] == [
        ("weekly", 1),
        ("rollout", number),
        ("rollback", 1),
    ]
    assert story["in_service"] == 1


def test_an_update_that_bakes_is_seen_and_need_not_be_waited_for(up: Up) -> None:
    """For ten minutes by the cloud's clock, though the deadline without them is one; the printed call passes them."""
    changed = ("LoadTestSeconds=0", "ApprovalRequired=true", "TrafficWaitSeconds=600", "DeployTimeoutSeconds=60")
    given = [argument for pair in changed for argument in ("--parameter", pair)]
    up.json("up", *given)
    number = max(one["version"] for one in up.json("models"))
    rollout = start("rollout", str(number), state=up.state)
    try:
        now = baking(up)
        status, models = treering("status", state=up.state).stdout, treering("models", state=up.state).stdout
        refused = [treering(*words, state=up.state) for words in (["rollback"], ["experiment", "start", str(number)])]
        call = next(line for line in status.splitlines() if "curl" in line).split("curl", 1)[1]
        asked = shlex.split(call)  # -d, the body, the address
        request = urllib.request.Request(asked[2], asked[1].encode())
        urllib.request.urlopen(request, timeout=60).close()
        out, err = rollout.communicate(timeout=120)
    finally:
        rollout.kill()

    assert rollout.returncode == 0, out + err
    assert f"version {number}, before: version 1" in out
    assert (now["version"], now["state"]) == (number, "Deploy Endpoint")
    assert 0 < now["seconds_left"] <= 601  # from a whole second, which has begun, to the one after the end
    assert "Baking for 600 seconds" in now["bakes"]
    for text in (status, models):
        assert f"rollout     version {number}, in Deploy Endpoint" in text
        assert "s left by the cloud's clock" in text
    assert "--advance-clock" in out + err
    for one in refused:
        assert one.returncode == 1
        assert "A rollout is under way: rollout-" in one.stderr
    assert up.json("status")["under_way"] == {"rollouts": [], "undecided": [], "experiment": None}


def baking(up: Up) -> dict[str, Any]:
    """The rollout that is under way, once its update bakes: asked of the command when the cloud knows of a wait."""
    waiting = f"{up.environment['AWS_ENDPOINT_URL']}/_local_cloud/waiting"
    deadline, found = time.monotonic() + 120, []
    while time.monotonic() < deadline:
        with urllib.request.urlopen(waiting, timeout=60) as answer:
            waits_now = json.load(answer)["waiting"]
        found = up.json("status")["under_way"]["rollouts"] if waits_now else []
        if found and found[0]["bakes"]:
            return dict(found[0])
        time.sleep(0.2)
    raise AssertionError(f"the update never baked: {found}")


def test_old_models_do_not_pile_up(up: Up) -> None:
    """Of four rollouts those of the two newest stay, of staging and of production, and nothing of the others."""
    sagemaker, machine = up.client("sagemaker"), up.outputs["RolloutStateMachineArn"]
    rollouts = up.client("stepfunctions").list_executions(stateMachineArn=machine)["executions"]
    models = {one["ModelName"] for one in sagemaker.list_models()["Models"]}
    configs = {one["EndpointConfigName"] for one in sagemaker.list_endpoint_configs()["EndpointConfigs"]}
    endpoints = [one["EndpointName"] for one in sagemaker.list_endpoints()["Endpoints"]]

    assert len(rollouts) == 4
    assert models == configs
    for kind in ("deploy-staging", "deploy-endpoint"):
        assert sum(kind in name for name in models) == 2
    assert up.json("status")["endpoint"]["configuration"] in configs
    assert endpoints == [up.outputs["EndpointName"]]


def test_people_are_told_of_a_rollout_by_hand(up: Up) -> None:
    """Its execution ends with the notification of success; that of the weekly training told nobody itself."""
    states = up.client("stepfunctions")
    machine = up.outputs["RolloutStateMachineArn"]
    told = {}
    for execution in states.list_executions(stateMachineArn=machine)["executions"]:
        pages = states.get_paginator("get_execution_history").paginate(executionArn=execution["executionArn"])
        entered = [event.get("stateEnteredEventDetails", {}).get("name") for page in pages for event in page["events"]]
        told[execution["name"].partition("-")[0]] = "Notify Rollout Success" in entered

    assert told.pop("rollout") is True
    assert told.pop("rollback") is True
    assert list(told.values()) == [False]


def test_a_rejected_model_stays_out_and_the_run_tells_why(tmp_path: Path, thin_source: Path) -> None:
    """In the cloud of a run, from another terminal; afterwards the history tells it though the cloud has ended."""
    run = start("run", "--source", str(thin_source), *ASKED, state=tmp_path)
    _, reject = waits(run)

    rejected = typed(reject, "--comment", "too far off")
    out, err = run.communicate(timeout=300)
    told = treering("history", "--json", state=tmp_path)
    models = treering("models", state=tmp_path)

    assert rejected.returncode == 0, rejected.stderr
    assert "not_approved" in rejected.stdout
    assert run.returncode == 0, out + err
    assert "a person rejected the model" in out
    [entry] = json.loads(told.stdout)["entries"]
    assert (entry["outcome"], entry["version"], entry["into_service"]) == ("not_approved", 1, None)
    assert "too far off" in entry["reason"]
    assert models.returncode == 0
    assert '"too far off"' in models.stdout
    assert not left(_working_in(tmp_path), tmp_path)

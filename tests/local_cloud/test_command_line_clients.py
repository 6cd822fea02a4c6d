"""AWS's own command lines against a cloud that `treering up` started: `sam` and `aws`."""

import json
import os
import subprocess
import sys
import venv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import WaiterError

from tests.local_cloud.test_cli_run import ROOT, treering
from tests.local_cloud.test_cli_up import session_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

AWSCLI = "awscli==1.46.2"
IMAGES = "000000000000.dkr.ecr.us-east-1.amazonaws.com/functions"  # sam wants a place even for images that are built
Call = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, Any]]]:
    """State folder of a cloud that is up, and what `treering up` told."""
    state = tmp_path_factory.mktemp("command-lines")
    try:
        started = treering("up", "--json", state=state)
        assert started.returncode == 0, started.stdout + started.stderr
        yield state, json.loads(started.stdout)
    finally:
        treering("down", state=state)


@pytest.fixture(scope="module")
def environment(up: tuple[Path, dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What `eval "$(treering up --exports)"` gives a shell, and no settings of the user's."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "SAM_"))}
    home = str(tmp_path_factory.mktemp("home"))
    quick = {"SAM_CLI_TELEMETRY": "0", "SAM_CLI_POLL_DELAY": "0.2"}
    return {**ours, "HOME": home, "NO_PROXY": "127.0.0.1", **quick, **up[1]["environment"]}


@pytest.fixture(scope="module")
def sam(environment: dict[str, str]) -> Call:
    """Run `sam …` in the checkout, with the settings of its samconfig.toml for the environment staging."""

    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        settings = ("--config-file", str(ROOT / "samconfig.toml"), "--config-env", "staging")
        command = [str(Path(sys.executable).parent / "sam"), *arguments, *settings]
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)

    return call


@pytest.fixture(scope="session")
def aws_command(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `aws` of the environment, or else one of its own."""
    installed = Path(sys.executable).parent / "aws"
    if installed.exists():
        return installed
    folder = tmp_path_factory.mktemp("awscli")
    venv.create(folder, with_pip=False)
    uv = str(Path(sys.executable).parent / "uv")
    command = [uv, "pip", "install", "--quiet", "--python", str(folder / "bin" / "python"), AWSCLI]
    index = {"UV_DEFAULT_INDEX": _pip_index()} if "UV_DEFAULT_INDEX" not in os.environ and _pip_index() else {}
    subprocess.run(command, env={**os.environ, **index}, check=True, capture_output=True, timeout=300)
    return folder / "bin" / "aws"


def _pip_index() -> str:
    """The registry that pip is set up for."""
    asked = subprocess.run(
        [sys.executable, "-m", "pip", "config", "get", "global.index-url"], capture_output=True, text=True, check=False
    )
    return asked.stdout.strip()


@pytest.fixture(scope="module")
def shell(environment: dict[str, str], aws_command: Path) -> Call:
    """Run a line in a shell in which `aws` talks to the cloud."""
    path = f"{aws_command.parent}{os.pathsep}{environment['PATH']}"

    def call(line: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-c", line], env={**environment, "PATH": path}, capture_output=True, text=True, check=False
        )

    return call


@pytest.fixture(scope="module")
def aws(shell: Call) -> Callable[[str], Any]:
    """What `aws …` prints, read as JSON where it is; it must succeed."""

    def call(line: str) -> Any:
        done = shell(f"aws {line}")
        assert done.returncode == 0, done.stdout + done.stderr
        try:
            return json.loads(done.stdout)
        except json.JSONDecodeError:
            return done.stdout

    return call


def test_sam_deploys_updates_and_deletes_the_application(
    up: tuple[Path, dict[str, Any]], sam: Call, aws: Callable[[str], Any], tmp_path: Path
) -> None:
    """As the README says: build, deploy, deploy again without and with a change, delete; the bucket is kept."""
    built = treering("build", "--json", "--into", str(tmp_path), state=up[0])
    template = json.loads(built.stdout)["template"]
    deploy = ("deploy", "--template-file", template, "--image-repository", IMAGES, "--no-confirm-changeset")
    first = sam(*deploy)
    outputs = {
        output["OutputKey"]: output["OutputValue"]
        for output in aws("cloudformation describe-stacks --stack-name treering-staging")["Stacks"][0]["Outputs"]
    }
    same = sam(*deploy)
    changed = sam(*deploy, "--parameter-overrides", "Environment=staging", "IngestMemoryMegabytes=512")
    function = aws(f"lambda get-function-configuration --function-name {outputs['IngestFunctionName']}")
    deleted = sam("delete", "--no-prompts")
    left = aws("cloudformation list-stacks --stack-status-filter CREATE_COMPLETE UPDATE_COMPLETE")["StackSummaries"]

    assert first.returncode == 0, first.stdout + first.stderr
    assert "Successfully created/updated stack - treering-staging" in first.stdout
    assert first.stdout.count("CREATE_COMPLETE") > 25  # the live table
    assert (same.returncode, "Stack treering-staging is up to date" in same.stdout + same.stderr) == (0, True)
    assert changed.returncode == 0, changed.stdout + changed.stderr
    table = changed.stdout.partition("CloudFormation events from stack operations")[2].partition("Outputs")[0]
    assert "IngestFunction" in table
    assert "DataBucket" not in table
    assert "StateMachine" not in table
    assert function["MemorySize"] == 512
    assert deleted.returncode == 0, deleted.stdout + deleted.stderr
    assert "treering-staging" not in [stack["StackName"] for stack in left]
    assert outputs["DataBucketName"] in aws("s3 ls")
    assert not aws("logs describe-log-groups --log-group-name-prefix /aws/lambda/treering-staging")["logGroups"]


def test_sam_without_a_build_says_what_is_missing(sam: Call) -> None:
    """The images are not there yet: sam names the function, and nothing is deployed."""
    refused = sam("deploy", "--template-file", "template.yaml", "--image-repository", IMAGES, "--no-confirm-changeset")

    assert refused.returncode != 0
    assert "ImageUri parameter of IngestFunction" in refused.stdout + refused.stderr


def test_aws_invokes_a_function_and_reads_its_log(aws: Callable[[str], Any], tmp_path: Path) -> None:
    """The answer lands in a file, the log's last lines come with it, and the log group has all of them."""
    event = json.dumps(
        {
            "execution_arn": "arn:aws:states:us-east-1:000000000000:execution:m:e",
            "started_at": "2026-01-05T06:00:00.000Z",
        }
    )
    function = "treering-dev-create-run-id"
    told = aws(f"lambda invoke --function-name {function} --log-type Tail --payload '{event}' {tmp_path}/answer")
    group = f"/aws/lambda/{function}"
    lines = aws(f"logs filter-log-events --log-group-name {group}")["events"]

    assert (told["StatusCode"], "FunctionError" in told) == (200, False)
    assert json.loads((tmp_path / "answer").read_text())["run_id"].startswith("20260105-060000")
    assert told["LogResult"]
    assert lines[0]["message"].startswith(("INIT_START", "START"))
    assert lines[-1]["message"].startswith("REPORT ")


def test_aws_runs_an_execution(up: tuple[Path, dict[str, Any]], aws: Callable[[str], Any], shell: Call) -> None:
    """start-execution, describe-execution, list-executions, get-execution-history, stop-execution."""
    machine = up[1]["stack"]["outputs"]["StateMachineArn"]
    started = aws(f"stepfunctions start-execution --state-machine-arn {machine} --name by-hand --input '{{}}'")
    execution = started["executionArn"]
    shell(f"aws stepfunctions stop-execution --execution-arn {execution} --error Enough --cause 'by hand'")
    described = aws(f"stepfunctions describe-execution --execution-arn {execution}")
    listed = aws(f"stepfunctions list-executions --state-machine-arn {machine}")["executions"]
    history = aws(f"stepfunctions get-execution-history --execution-arn {execution} --reverse-order --max-items 1")
    again = shell(f"aws stepfunctions start-execution --state-machine-arn {machine} --name by-hand --input '{{}}'")

    assert described["status"] in ("ABORTED", "FAILED")  # it may have failed for its empty input before
    assert [one["name"] for one in listed] == ["by-hand"]
    assert history["events"][0]["type"] == f"Execution{described['status'].capitalize()}"
    assert "ExecutionAlreadyExists" in again.stderr


def test_the_command_that_a_refused_deletion_shows_empties_the_bucket(
    up: tuple[Path, dict[str, Any]], shell: Call
) -> None:
    """A stack with a full, versioned bucket is not deleted; the command from its event, run as it stands, helps."""
    session = session_of(up[1])
    cloudformation, s3 = session.client("cloudformation"), session.client("s3")
    bucket = {"Type": "AWS::S3::Bucket", "Properties": {"VersioningConfiguration": {"Status": "Enabled"}}}
    cloudformation.create_stack(StackName="full", TemplateBody=json.dumps({"Resources": {"Bucket": bucket}}))
    cloudformation.get_waiter("stack_create_complete").wait(StackName="full", WaiterConfig={"Delay": 0})
    (made,) = cloudformation.describe_stack_resources(StackName="full")["StackResources"]
    name = made["PhysicalResourceId"]
    for _ in range(2):
        shell(f"echo data | aws s3 cp - s3://{name}/folder/object")
    shell(f"aws s3 rm s3://{name}/folder/object")
    cloudformation.delete_stack(StackName="full")
    with pytest.raises(WaiterError):
        cloudformation.get_waiter("stack_delete_complete").wait(StackName="full", WaiterConfig={"Delay": 0})
    events = cloudformation.describe_stack_events(StackName="full")["StackEvents"]
    reason = next(
        event["ResourceStatusReason"]
        for event in events
        if (event["LogicalResourceId"], event["ResourceStatus"]) == ("Bucket", "DELETE_FAILED")
    )
    versions = s3.list_object_versions(Bucket=name)
    emptied = shell(reason[reason.index("aws s3api delete-objects") :])
    cloudformation.delete_stack(StackName="full")
    cloudformation.get_waiter("stack_delete_complete").wait(StackName="full", WaiterConfig={"Delay": 0})

    assert (len(versions["Versions"]), len(versions["DeleteMarkers"])) == (2, 1)
    assert emptied.returncode == 0, emptied.stdout + emptied.stderr
    assert name not in [found["Name"] for found in s3.list_buckets()["Buckets"]]

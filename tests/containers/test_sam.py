"""`sam build` and `sam local invoke`, as a developer uses them, against a local cloud that keeps what functions do."""

import json
import os
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest

from cli.data_source import make_feed
from local_cloud.kaggle import KaggleServer
from local_cloud.template_file import read_template
from tests.containers.conftest import FUNCTIONS, ROOT, Place, base_of, treering
from tests.containers.measurements import Measurements
from tests.containers.relay import Relay
from treering import names, use_case

EVENTS = sorted(path.stem for path in (ROOT / "events").glob("*.json"))
FIRST_WEEK, SECOND_WEEK = "ingest_scheduled", "ingest_next_week"
SAM = Path(sys.executable).with_name("sam")
_MAKING = threading.Lock()  # a session is not safe to create clients from several threads


def function_of(event: str) -> str:
    """The function that an event is for: the file's name begins with the function's folder."""
    return max((name for name in FUNCTIONS if event.startswith(name)), key=len)


def resource_of(function: str) -> str:
    """`create_run_id` → `CreateRunIdFunction`."""
    return "".join(part.capitalize() for part in function.split("_")) + "Function"


@dataclass(frozen=True)
class Cloud:
    """A local cloud with the application in it, as a container in the engine's own network reaches it."""

    description: Mapping[str, Any]
    address: str

    def client(self, service: str) -> Any:
        """A client with the administrator's credentials."""
        variables = self.description["environment"]
        with _MAKING:
            return boto3.client(
                service,  # type: ignore[call-overload]
                endpoint_url=variables["AWS_ENDPOINT_URL"],
                region_name=variables["AWS_REGION"],
                aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
                aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
            )

    def function(self, resource: str) -> dict[str, Any]:
        """Configuration of a function, by its logical ID."""
        stack = self.description["stack"]["name"]
        found = self.client("cloudformation").describe_stack_resource(StackName=stack, LogicalResourceId=resource)
        name = found["StackResourceDetail"]["PhysicalResourceId"]
        configuration: dict[str, Any] = self.client("lambda").get_function_configuration(FunctionName=name)
        return configuration

    def credentials(self, role_arn: str) -> dict[str, str]:
        """A session of a function's own role, whose trust is widened for it."""
        iam, name = self.client("iam"), role_arn.rpartition("/")[2]
        trust = iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]
        account = self.description["account_id"]
        statement = {
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:aws:iam::{account}:root"},
            "Action": "sts:AssumeRole",
        }
        widened = {**trust, "Statement": [*trust["Statement"], statement]}
        iam.update_assume_role_policy(RoleName=name, PolicyDocument=json.dumps(widened))
        session = self.client("sts").assume_role(RoleArn=role_arn, RoleSessionName="sam-local")["Credentials"]
        return {
            "AWS_ACCESS_KEY_ID": session["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": session["SecretAccessKey"],
            "AWS_SESSION_TOKEN": session["SessionToken"],
        }


@pytest.fixture(scope="module")
def gateway(place: Place, images: object) -> Iterator[str]:
    """This machine's address in the engine's own network, which exists while a container is in it."""
    base = place.bases.find(base_of(ROOT / "sagemaker_jobs" / "Dockerfile"))
    name = f"treering-test-{secrets.token_hex(6)}"
    place.engine.run("run", "--detach", f"--name={name}", "--entrypoint=sleep", base, "infinity")
    try:
        yield place.engine.run(
            "container", "inspect", "--format", "{{range .NetworkSettings.Networks}}{{.Gateway}}{{end}}", name
        ).strip()
    finally:
        place.engine.run("kill", name)  # nobody listens for a SIGTERM in it
        place.engine.run("rm", "--force", name)


@pytest.fixture(scope="module")
def cloud(place: Place, gateway: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """A local cloud that is up, with a data source that a container reaches."""
    state = tmp_path_factory.mktemp("up")
    case = use_case.load("house_prices")
    feed = make_feed(case, "ames", by_date=False, cache=place.state / "cache")
    with ExitStack() as ending:
        server = KaggleServer(case.source.competition, feed, lambda: datetime.now(UTC), host=gateway)
        ending.enter_context(server)
        ending.callback(treering, "down", "--state", str(state))
        done = treering(
            "up", "--json", "--state", str(state), "--parameter", f"DataSourceBaseUrl={server.base_url}",
            "--parameter", "ScheduleState=DISABLED", "--parameter", "RetrainOnUnchangedData=false",
            KAGGLE_USERNAME=server.username, KAGGLE_KEY=server.key,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        description = json.loads(done.stdout)
        relay = Relay(gateway, int(description["endpoint"].rpartition(":")[2]))
        ending.callback(relay.close)
        yield Cloud(description, relay.address)


@pytest.fixture(scope="module")
def docker_host(place: Place) -> Iterator[dict[str, str]]:
    """Variables that lead `sam` to the engine: Podman answers Docker's API on a socket for as long as it is asked."""
    if place.engine.name == "docker":
        yield {}
        return
    socket = Path("/run") / f"treering-test-{secrets.token_hex(6)}.sock"
    service = subprocess.Popen(
        [place.engine.program, "system", "service", "--time=300", f"unix://{socket}"],
        env=os.environ | place.engine.build_environment,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 30
        while not socket.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        yield {"DOCKER_HOST": f"unix://{socket}"}
    finally:
        service.terminate()
        service.wait(30)
        socket.unlink(missing_ok=True)


@pytest.fixture(scope="module")
def built(
    place: Place,
    docker_host: Mapping[str, str],
    images: object,
    measurements: Measurements,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """The folder that `sam build` made.

    The template is a copy that differs in two things: the base image, where AWS's own cannot be pulled, and a variable
    for the cloud's address, since `sam local invoke` passes on only variables that the template declares.
    """
    folder = tmp_path_factory.mktemp("sam")
    template = read_template(ROOT / "template.yaml")
    named = base_of(ROOT / "functions" / "Dockerfile")
    base = place.bases.find(named)
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Metadata"]["DockerContext"] = str(ROOT)
            if base != named:
                resource["Metadata"]["DockerBuildArgs"]["BASE_IMAGE"] = base
            resource["Properties"].setdefault("Environment", {}).setdefault("Variables", {})["AWS_ENDPOINT_URL"] = ""
        if resource["Type"] == "AWS::Serverless::StateMachine":
            resource["Properties"]["DefinitionUri"] = str(ROOT / resource["Properties"]["DefinitionUri"])
    (folder / "template.json").write_text(json.dumps(template))
    with measurements.seconds("sam build", "all_functions_seconds"):
        sam(
            folder,
            docker_host,
            "build",
            "--template-file",
            "template.json",
            "--build-dir",
            "built",
            "--no-cached",
            "--parallel",
        )
    return folder


def sam(folder: Path, variables: Mapping[str, str], *arguments: str) -> str:
    """Run `sam` in a folder and return its standard output."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    home = {"HOME": str(folder), "SAM_CLI_TELEMETRY": "0", "AWS_DEFAULT_REGION": "us-east-1"}
    done = subprocess.run(
        [str(SAM), *arguments], cwd=folder, env=kept | home | variables,
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def invoke(
    cloud: Cloud, built: Path, docker_host: Mapping[str, str], measurements: Measurements
) -> Iterator[Callable[[str], Any]]:
    """What `sam local invoke` answers an event: two functions at a time, and each one's events one after the other."""

    def call(event: str) -> Any:
        resource = resource_of(function_of(event))
        configuration = cloud.function(resource)
        variables = {**configuration["Environment"]["Variables"], "AWS_ENDPOINT_URL": cloud.address}
        (built / f"{event}.json").write_text(json.dumps({resource: variables}))
        credentials = cloud.credentials(configuration["Role"])
        # sam itself asks STS for the account, and waits for seconds where AWS cannot be reached
        endpoint = {"AWS_ENDPOINT_URL": cloud.description["environment"]["AWS_ENDPOINT_URL"]}
        with measurements.seconds("sam local invoke", f"{event}_seconds"):
            said = sam(
                built, {**docker_host, **credentials, **endpoint},
                "local", "invoke", resource, "--template-file", "built/template.yaml", "--skip-pull-image",
                "--event", str(ROOT / "events" / f"{event}.json"), "--env-vars", f"{event}.json",
            )  # fmt: skip
        return json.loads(said.strip().splitlines()[-1])

    def call_all(events: list[str]) -> dict[str, Any]:
        return {event: call(event) for event in events}

    in_order = sorted(EVENTS, key=lambda event: event == SECOND_WEEK)
    with ThreadPoolExecutor(2) as pool:
        answers = {
            function: pool.submit(call_all, [event for event in in_order if function_of(event) == function])
            for function in FUNCTIONS
        }
        yield lambda event: answers[function_of(event)].result()[event]


def test_create_run_id(invoke: Callable[[str], Any]) -> None:
    """The event of an execution is answered by the run ID that this execution always gets."""
    event = json.loads((ROOT / "events" / "create_run_id.json").read_text())
    payload = invoke("create_run_id")

    assert payload == {"run_id": names.run_id(event["execution_arn"], datetime.fromisoformat(event["started_at"]))}


def test_ingest(invoke: Callable[[str], Any], cloud: Cloud) -> None:
    """The weekly event is ingested for good: files in the bucket, one execution. Next week's finds nothing new."""
    first, second = invoke(FIRST_WEEK), invoke(SECOND_WEEK)
    outputs = cloud.description["stack"]["outputs"]
    prefix = first["dataset"]["prefix_uri"].removeprefix(f"s3://{outputs['DataBucketName']}/")
    listed = cloud.client("s3").list_objects_v2(Bucket=outputs["DataBucketName"], Prefix=prefix)["Contents"]
    machines = cloud.client("stepfunctions")
    (execution,) = machines.list_executions(stateMachineArn=outputs["StateMachineArn"])["executions"]

    assert (first["new_version"], first["execution_started"]) == (True, True)
    assert first["execution_arn"] == execution["executionArn"]
    assert {"manifest.json", "train.csv", "validation.csv", "test.csv"} <= {
        item["Key"].removeprefix(prefix) for item in listed
    }
    assert (second["new_version"], second["execution_started"]) == (False, False)
    assert second["dataset"]["version"] == first["dataset"]["version"]


def others() -> list[str]:
    """Events of the template's functions that no test above invokes."""
    resources = read_template(ROOT / "template.yaml")["Resources"]
    special = ("create_run_id", FIRST_WEEK, SECOND_WEEK)
    return [event for event in EVENTS if event not in special and resource_of(function_of(event)) in resources]


# What an event is about and this cloud does not have: the function must say so.
ABSENT = {"wait_for_approval": "model_package_arn"}


@pytest.mark.parametrize("event", others())
def test_every_other_event_is_answered(invoke: Callable[[str], Any], event: str) -> None:
    """A function answers its event, or names what the event is about and does not exist."""
    payload = invoke(event)

    if event in ABSENT:
        about = json.loads((ROOT / "events" / f"{event}.json").read_text())[ABSENT[event]]
        assert about in payload["errorMessage"]
    else:
        assert "errorType" not in payload

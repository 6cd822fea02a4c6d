"""Every statement of every role is needed: without it, the state that needs it fails, and the denial names it.

One local cloud, one good run. Then each statement is taken out of its role, alone, and what needs the role is done
again: the function is deployed and invoked, or the state machine runs from the first state that hands the role to
SageMaker.
Statements whose absence a good run survives say why in the template, below Metadata.Treering.Permissions, or here.
"""

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from botocore.exceptions import ClientError

from local_cloud.template_file import read_template
from tests.local_cloud.clients import client

ROOT = Path(__file__).parents[2]
TEMPLATE = read_template(ROOT / "template.yaml")
RESOURCES = TEMPLATE["Resources"]
REASONS = TEMPLATE["Metadata"]["Treering"]["Permissions"]
# Denied all the same, and recorded; what asked for it goes on, as on AWS.
GOES_ON = {
    "WriteLogs": "the function or the container runs, only its log is lost",
    "FindWhatIsOld": "the endpoint has the new model, old ones are kept, and the job's log says so",
}
# What a service does as the caller of an operation.
AS_CALLER = {"sagemaker:createmodelpackage": "s3:getobject"}
PATIENCE_SECONDS = 60
QUICK = ("--parameter", "TrafficWaitSeconds=0", "--parameter", "LoadTestSeconds=0")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@dataclass(frozen=True)
class Case:
    """One statement of one role; `owner` is the role itself, or the managed policy that it attaches."""

    role: str
    owner: str
    sid: str

    @property
    def reason(self) -> str:
        """Why a good run does not use it; empty if it does."""
        stated = REASONS.get(self.owner, {}).get(self.sid, "")
        return stated if isinstance(stated, str) else ""


def cases() -> Iterator[Case]:
    """All statements of the template, those of a managed policy once for each role that attaches it."""
    for role, resource in RESOURCES.items():
        if resource["Type"] == "AWS::IAM::Role":
            for policy in resource["Properties"].get("Policies", []):
                for statement in policy["PolicyDocument"]["Statement"]:
                    yield Case(role, role, statement["Sid"])
            for managed in resource["Properties"].get("ManagedPolicyArns", []):
                for statement in RESOURCES[managed["Ref"]]["Properties"]["PolicyDocument"]["Statement"]:
                    yield Case(role, managed["Ref"], statement["Sid"])


@dataclass
class Machine:
    """A state machine, and what a good execution of it was given in each state that it entered, in their order."""

    arn: str
    role_arn: str
    definition: dict[str, Any]
    entered: dict[str, Any] = field(default_factory=dict)
    starting: dict[str, str] = field(default_factory=dict)  # first state → ARN of the state machine that starts there

    def state(self, name: str) -> dict[str, Any]:
        """A state's definition."""
        return self.definition["States"][name]


Place = tuple[Machine, str]


@dataclass
class Application:
    """The application in a cloud that is up, after one good run."""

    endpoint: str
    keys: tuple[str, str, str]  # region, access key, secret access key
    state: Path
    physical: dict[str, str]  # logical ID → physical ID
    machines: list[Machine] = field(default_factory=list)
    tries: int = 0

    def client(self, service: str) -> Any:
        """A client with the administrator's credentials."""
        return client(service, self.endpoint, *self.keys, read_seconds=120)

    def read_machines(self) -> None:
        """Read all state machines, and the history of the last execution of each."""
        client = self.client("stepfunctions")
        for one in client.list_state_machines()["stateMachines"]:
            described = client.describe_state_machine(stateMachineArn=one["stateMachineArn"])
            machine = Machine(one["stateMachineArn"], described["roleArn"], json.loads(described["definition"]))
            for execution in client.list_executions(stateMachineArn=machine.arn)["executions"][:1]:
                pages = client.get_paginator("get_execution_history").paginate(executionArn=execution["executionArn"])
                for event in (event for page in pages for event in page["events"]):
                    details = event.get("stateEnteredEventDetails")
                    if details:
                        machine.entered[details["name"]] = json.loads(details["input"])
            self.machines.append(machine)

    def places_with(self, text: str) -> list[Place]:
        """States that the good run entered whose definition holds a text, such as a role's ARN; the last one first."""
        found = [(machine, name) for machine in self.machines for name in machine.entered]
        return [place for place in reversed(found) if text in json.dumps(place[0].state(place[1]))]

    def input_of(self, machine: Machine, state: str) -> str:
        """What a state was given in the good run, with the endpoint's configuration of now."""
        given = machine.entered[state]
        if "deploy_endpoint" in given:
            found = self.client("sagemaker").describe_endpoint(EndpointName=given["deploy_endpoint"]["endpoint_name"])
            given["deploy_endpoint"]["endpoint_config_name"] = found["EndpointConfigName"]
        return json.dumps(given)

    def machine_from(self, machine: Machine, state: str) -> str:
        """ARN of a state machine with the same role that starts at a state and has what can be reached from there.

        Its jobs are named after the execution, since the run and with it their names were there before.
        """
        if state not in machine.starting:
            reached: dict[str, Any] = {}
            waiting = [state]
            while waiting:
                name = waiting.pop()
                if name not in reached:
                    reached[name] = machine.state(name)
                    waiting += _next_of(reached[name])
            variables = re.findall(r'"Assign": \{"(\w+)', json.dumps(machine.definition))  # of states that are left out
            reached["Begin"] = {"Type": "Pass", "Assign": dict.fromkeys(variables, "none"), "Next": state}
            definition = json.dumps({**machine.definition, "StartAt": "Begin", "States": reached})
            named = re.sub(
                r"\$\.[a-z_.]+, \$\$\.State\.RetryCount", "$$.Execution.Name, $$.State.RetryCount", definition
            )
            machine.starting[state] = self.client("stepfunctions").create_state_machine(
                name=f"from-{re.sub('[^A-Za-z]+', '-', state)}", roleArn=machine.role_arn, definition=named
            )["stateMachineArn"]
        return machine.starting[state]

    def permissions(self) -> dict[str, Any]:
        """The cloud's report."""
        with urlopen(f"{self.endpoint}/_local_cloud/permissions") as answer:
            return json.load(answer)

    def denied_since(self, role: str, since: datetime) -> list[str]:
        """Actions that a role was denied since then."""
        return [
            one["action"]
            for one in self.permissions()["denials"]
            if one["logical_id"] == role and datetime.fromisoformat(one["last"]) >= since
        ]


def _next_of(state: dict[str, Any]) -> list[str]:
    following = [state.get("Next"), state.get("Default")]
    following += [one["Next"] for one in (*state.get("Catch", []), *state.get("Choices", []))]
    return [name for name in following if name]


def treering(*arguments: str, state: Path) -> subprocess.CompletedProcess[str]:
    """`treering …` to its end."""
    command = [sys.executable, "-m", "cli", *arguments, "--state", str(state)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory, thin_source: Path) -> Iterator[Application]:
    """The application, after one good run."""
    state = tmp_path_factory.mktemp("statements")
    try:
        # an update need not bake here, nor staging bear load: what alarms see of it is no question of permissions
        up = treering("up", "--json", "--source", str(thin_source), *QUICK, state=state)
        assert up.returncode == 0, up.stderr
        done = treering("run", "--json", state=state)
        assert done.returncode == 0, done.stdout + done.stderr
        said = json.loads(up.stdout)
        told = said["environment"]
        keys = (told["AWS_REGION"], told["AWS_ACCESS_KEY_ID"], told["AWS_SECRET_ACCESS_KEY"])
        made = Application(told["AWS_ENDPOINT_URL"], keys, state, {})
        resources = made.client("cloudformation").describe_stack_resources(StackName=said["stack"]["name"])
        for one in resources["StackResources"]:
            made.physical[one["LogicalResourceId"]] = one["PhysicalResourceId"]
        made.read_machines()
        yield made
    finally:
        treering("down", state=state)


@contextmanager
def without(application: Application, case: Case) -> Iterator[list[str]]:
    """Take one statement out of a role, through IAM's API, and put it back; gives the statement's actions."""
    iam, role = application.client("iam"), application.physical[case.role]
    if case.owner == case.role:
        [name] = [
            name
            for name in iam.list_role_policies(RoleName=role)["PolicyNames"]
            if case.sid in {one["Sid"] for one in _inline(iam, role, name)}
        ]
        statements, attached = _inline(iam, role, name), None
    else:
        name, attached = "instead", application.physical[case.owner]
        version = iam.get_policy(PolicyArn=attached)["Policy"]["DefaultVersionId"]
        document = iam.get_policy_version(PolicyArn=attached, VersionId=version)["PolicyVersion"]["Document"]
        statements = document["Statement"]
    rest = [one for one in statements if one["Sid"] != case.sid]
    [taken] = [one for one in statements if one["Sid"] == case.sid]
    try:
        if rest:
            _put(iam, role, name, rest)
        else:
            iam.delete_role_policy(RoleName=role, PolicyName=name)
        if attached:
            iam.detach_role_policy(RoleName=role, PolicyArn=attached)
        yield [taken["Action"]] if isinstance(taken["Action"], str) else taken["Action"]
    finally:
        if attached:
            iam.attach_role_policy(RoleName=role, PolicyArn=attached)
            if rest:
                iam.delete_role_policy(RoleName=role, PolicyName=name)
        else:
            _put(iam, role, name, statements)


def _inline(iam: Any, role: str, name: str) -> list[dict[str, Any]]:
    document = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
    return document["Statement"]


def _put(iam: Any, role: str, name: str, statements: list[dict[str, Any]]) -> None:
    document = json.dumps({"Version": "2012-10-17", "Statement": statements})
    iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=document)


@dataclass(frozen=True)
class Outcome:
    """Where a try failed, and what it said; `place` is none where it went well."""

    place: str | None
    words: str = ""


def attempt(application: Application, role: str, actions: list[str]) -> Outcome:
    """Do what needs a role, as far as it goes: deploy it, then run what it is handed to, or what calls the actions."""
    arn = application.client("iam").get_role(RoleName=application.physical[role])["Role"]["Arn"]
    functions = application.client("lambda")
    for function in functions.list_functions()["Functions"]:
        if function["Role"] == arn:
            name = function["FunctionName"]
            try:
                functions.update_function_configuration(FunctionName=name, Description="again")
            except ClientError as error:
                return Outcome("deployment", str(error))
            functions.get_waiter("function_updated_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})
            places = application.places_with(function["FunctionArn"])
            return run_from(application, *places[0]) if places else invoke(application, function)
    for machine in application.machines:
        if machine.role_arn == arn:
            try:
                application.client("stepfunctions").update_state_machine(
                    stateMachineArn=machine.arn, definition=json.dumps(machine.definition)
                )
            except ClientError as error:
                return Outcome("deployment", str(error))
            outcomes = (run_from(application, machine, state) for state in calling(machine, actions))
            return next((one for one in outcomes if one.place), Outcome(None))
    places = application.places_with(arn)
    assert places, f"no function, no state machine and no state has the role {role}"
    return run_from(application, *places[0])


def calling(machine: Machine, actions: list[str]) -> list[str]:
    """States that the good run entered which call an action's service: those first that call just this operation."""
    exact, others = [], []
    for name in machine.entered:
        # arn:aws:states:::lambda:invoke needs lambda:InvokeFunction, and what creates a job hands over a role
        call = machine.state(name).get("Resource", "").rpartition(":::")[2].removeprefix("aws-sdk:").partition(".")[0]
        service, _, operation = call.lower().partition(":")
        for action in (one.lower().replace("iam:passrole", "sagemaker:create") for one in actions):
            if operation and action.startswith(f"{service}:"):
                wanted = action.partition(":")[2]
                (exact if wanted.startswith(operation) or operation.startswith(wanted) else others).append(name)
            elif action == AS_CALLER.get(call.lower()):
                others.append(name)
    return list(dict.fromkeys([*exact, *others]))


def invoke(application: Application, function: dict[str, Any]) -> Outcome:
    """Send a function what its rule sends it, of another week each time; and once more, as AWS may."""
    rules = application.client("events")
    [rule] = rules.list_rule_names_by_target(TargetArn=function["FunctionArn"])["RuleNames"]
    application.tries += 1
    if rules.describe_rule(Name=rule).get("ScheduleExpression"):
        at = datetime.now(UTC) + timedelta(weeks=application.tries)
        event = json.dumps({"id": "again", "time": at.strftime("%Y-%m-%dT%H:%M:%SZ")})
    else:
        sources = json.loads(rules.describe_rule(Name=rule)["EventPattern"])["source"]
        samples = (file.read_text("utf-8") for file in sorted((ROOT / "events").glob("*.json")))
        event = next(sample for sample in samples if json.loads(sample).get("source") in sources)
    for _ in range(2):
        answer = application.client("lambda").invoke(FunctionName=function["FunctionName"], Payload=event)
        words = answer["Payload"].read().decode()
        if "FunctionError" in answer:
            return Outcome(function["FunctionName"], words)
    return Outcome(None)


def run_from(application: Application, machine: Machine, state: str) -> Outcome:
    """Run from a state until it has been left; its first failure counts, and ends the execution."""
    client = application.client("stepfunctions")
    application.tries += 1
    arn = client.start_execution(
        stateMachineArn=application.machine_from(machine, state),
        input=application.input_of(machine, state),
        name=f"again-{application.tries}",
    )["executionArn"]
    deadline = time.monotonic() + PATIENCE_SECONDS
    try:
        while time.monotonic() < deadline:
            for event in client.get_execution_history(executionArn=arn, maxResults=1000)["events"]:
                details = next((value for key, value in event.items() if key.endswith("FailedEventDetails")), None)
                if details is not None:
                    return Outcome(state, f"{details.get('error')}: {details.get('cause')}")
                if event.get("stateExitedEventDetails", {}).get("name") == state:
                    return Outcome(None)
            time.sleep(0.2)
    finally:
        if client.describe_execution(executionArn=arn)["status"] == "RUNNING":
            client.stop_execution(executionArn=arn)
    raise AssertionError(f"the run from {state} neither failed nor ended within {PATIENCE_SECONDS} s")


def test_a_good_run_leaves_nothing_unexplained(application: Application) -> None:
    """After one run, `treering iam` finds each permission used or explained, none too wide, none missing."""
    done = treering("iam", "--json", state=application.state)
    said = json.loads(done.stdout)

    assert said["problems"] == []
    assert done.returncode == 0
    assert {role["role"] for role in said["roles"]} == {case.role for case in cases()}


@pytest.mark.parametrize("case", list(cases()), ids=lambda case: f"{case.role}-{case.sid}")
def test_without_a_statement_what_needs_it_fails_and_names_it(application: Application, case: Case) -> None:
    """The right function, state or deployment fails, and the role is denied one of the statement's actions."""
    if case.reason:
        return
    since = datetime.now(UTC)
    with without(application, case) as actions:
        outcome = attempt(application, case.role, actions)
        denied = application.denied_since(case.role, since)
        goes_on = case.sid in GOES_ON
        if goes_on and not denied:  # logs are written when the work is done
            time.sleep(1)
            denied = application.denied_since(case.role, since)

    assert set(denied) & set(actions), f"{outcome}, denied {denied}"
    assert (outcome.place is None) == goes_on, outcome


def test_without_the_functions_own_policy_the_rule_reaches_nothing(application: Application) -> None:
    """The event lies in the dead-letter queue with the reason, and `treering run` tells it, with what to add."""
    functions, name = application.client("lambda"), application.physical["IngestFunction"]
    [granted] = json.loads(functions.get_policy(FunctionName=name)["Policy"])["Statement"]
    functions.remove_permission(FunctionName=name, StatementId=granted["Sid"])
    try:
        done = treering("run", "--json", state=application.state)
    finally:
        functions.add_permission(
            FunctionName=name,
            StatementId=granted["Sid"],
            Action=granted["Action"],
            Principal=granted["Principal"]["Service"],
            SourceArn=granted["Condition"]["ArnLike"]["AWS:SourceArn"],
        )
    failure = json.loads(done.stdout)["failure"]

    assert done.returncode == 1
    assert failure["error"] == "NO_PERMISSIONS"
    assert "lambda:InvokeFunction to events.amazonaws.com" in failure["cause"]
    assert "AWS::Lambda::Permission" in failure["cause"]


def test_a_run_that_lacks_a_permission_prints_the_statement_to_add(application: Application) -> None:
    """Exit code 1, AWS's words, and a statement that names the template's resources; for scripts in the report, too."""
    with without(application, Case("PreprocessJobRole", "PreprocessJobRole", "WriteTheResult")):
        done = treering("run", "--json", state=application.state)
        permissions = treering("iam", state=application.state)
    failure = json.loads(done.stdout)["failure"]
    [missing] = failure["missing_permissions"]

    assert done.returncode == 1
    assert failure["state"] == "Preprocess"
    assert "s3:PutObject" in failure["cause"]
    assert missing["role"] == "PreprocessJobRole"
    assert missing["messages"][0].endswith("because no identity-based policy allows the s3:PutObject action")
    assert missing["statements"] == [
        {"Effect": "Allow", "Action": "s3:PutObject", "Resource": {"Fn::Sub": "${DataBucket.Arn}/runs/*/preprocess/*"}}
    ]
    assert "Resource: !Sub ${DataBucket.Arn}/runs/*/preprocess/*" in done.stderr
    assert permissions.returncode == 1
    assert "Resource: !Sub ${DataBucket.Arn}/runs/*/preprocess/*" in permissions.stdout
    assert treering("iam", state=application.state).returncode == 0  # it has been granted since

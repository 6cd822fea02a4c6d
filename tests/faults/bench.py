"""A local cloud with the whole application in it, an endpoint in service, and somebody who is told what happens."""

import json
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from local_cloud.deploy import deploy
from local_cloud.schedules import next_due
from tests.faults.cloud import Cloud, DifferenceError
from tests.faults.definitions import Change, brief
from tests.faults.people import People
from tests.faults.source import Source
from tests.faults.traffic import Traffic

ROOT = Path(__file__).resolve().parents[2]
STACK = "treering"
DEPLOY_SECONDS = 30  # the least that the template takes
RUN_SECONDS = 120.0  # until an execution has ended, at the latest
_LAST_EXECUTIONS = 20  # more than one scenario leads to


@dataclass(frozen=True)
class Execution:
    """An execution as DescribeExecution tells it."""

    arn: str
    name: str
    status: str
    error: str = ""
    cause: str = ""

    def __str__(self) -> str:
        """Of a job's description, which is the cause where one failed, what it says of the reason."""
        said = self.cause
        try:
            job = json.loads(self.cause)
            said = "; ".join(job[name] for name in ("ExitMessage", "FailureReason", "errorMessage") if name in job)
        except (ValueError, TypeError):
            pass
        return f"{self.status} {self.error} {said or self.cause}".strip()[:700]


class Bench(Cloud):
    """One cloud, used for one scenario after the other."""

    def __init__(self, folder: Path) -> None:
        self.source = Source()
        self.source.server.start()
        super().__init__(folder)
        self.outputs: Mapping[str, str] = {}
        self._resources: dict[str, str] = {}
        self._began: dict[str, datetime] = {}  # by execution
        self._histories: dict[str, list[dict[str, Any]]] = {}  # likewise
        self.traffic = Traffic(self)

    def prepare(self) -> None:
        """Deploy, subscribe to the topic, and let a first week bring the endpoint into service."""
        given = {
            "DataSourceBaseUrl": self.source.server.base_url,
            "DeployTimeoutSeconds": str(DEPLOY_SECONDS),
            "LoadTestSeconds": "0",
            "TrafficWaitSeconds": "0",
        }
        file = self.running.file
        done = deploy(ROOT / "template.yaml", file, self.folder, stack_name=STACK, parameters=given)
        self.outputs = done.outputs
        self.put_secret()
        self.people = People(self)
        self._definition = self._machine()["definition"]
        self._shown = ""
        self.use_machine(whole=True)
        when = self.fire()
        first = self.ended(self.started(when))
        if first.status != "SUCCEEDED":
            raise DifferenceError(f"the first week already ended {first}")
        self.source.deployed()
        self.traffic.start()

    def close(self) -> None:
        """End the cloud and the data source."""
        self.traffic.close()
        self.running.stop()
        self.source.server.close()

    # -- what the stack has ---------------------------------------------------------------------------------

    def put_secret(self) -> None:
        """Store credentials that the data source accepts."""
        value = json.dumps(self.source.secret)
        self.client("secretsmanager").put_secret_value(SecretId=self.outputs["KaggleSecretArn"], SecretString=value)

    def resource(self, logical_id: str) -> str:
        """Physical name of one of the stack's resources."""
        if logical_id not in self._resources:
            pages = self.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=STACK)
            found = [item for page in pages for item in page["StackResourceSummaries"]]
            self._resources = {item["LogicalResourceId"]: item["PhysicalResourceId"] for item in found}
        return self._resources[logical_id]

    # -- weeks and executions ------------------------------------------------------------------------------

    def now(self) -> datetime:
        """The cloud's time."""
        return datetime.fromisoformat(self.call("GET", "clock")["now"])

    def next_week(self) -> datetime:
        """The weekly rule's next instant."""
        name = self.outputs["IngestRuleName"].rpartition("|")[2]
        schedule = self.client("events").describe_rule(Name=name)["ScheduleExpression"]
        now = self.now()
        due = next_due(schedule, created=now, after=now)
        if due is None:
            raise DifferenceError(f"{schedule} has no instant after {now}")
        return due

    def fire(self) -> datetime:
        """Move the clock to the rule's next instant, at which it fires; that instant."""
        due = self.next_week()
        fired = self.call("POST", "clock", {"now": due.isoformat()})["fired"]
        if len(fired) != 1:
            raise DifferenceError(f"at {due} {len(fired)} rules fired")
        return due

    def almost_next_week(self) -> None:
        """Move the clock to shortly before the rule's next instant: what was measured before is long ago."""
        shortly = self.next_week() - timedelta(hours=1)
        if shortly > self.now():
            self.call("POST", "clock", {"now": shortly.isoformat()})

    def send_event(self, event: Mapping[str, Any]) -> None:
        """Invoke the ingest function as the rule does: asynchronously."""
        name = self.outputs["IngestFunctionName"]
        self.client("lambda").invoke(FunctionName=name, InvocationType="Event", Payload=json.dumps(event).encode())

    def executions(self) -> list[Execution]:
        """The last executions, the latest first."""
        told = self.client("stepfunctions").list_executions(
            stateMachineArn=self.outputs["StateMachineArn"], maxResults=_LAST_EXECUTIONS
        )
        return [Execution(e["executionArn"], e["name"], e["status"]) for e in told["executions"]]

    def of_week(self, when: datetime) -> list[Execution]:
        """The executions that an instant of the rule led to."""
        slot = f"-{when.astimezone(UTC):%Y%m%dT%H%M%SZ}"
        return [execution for execution in self.executions() if execution.name.endswith(slot)]

    def started(self, when: datetime, seconds: float = 60) -> str:
        """ARN of the execution of a week, once it was started."""
        found = self.until(lambda: self.of_week(when), seconds, f"execution for {when:%Y-%m-%d}")
        return found[0].arn

    def describe(self, arn: str) -> Execution:
        """An execution with its error and cause."""
        told = self.client("stepfunctions").describe_execution(executionArn=arn)
        return Execution(arn, told["name"], told["status"], told.get("error", ""), told.get("cause", ""))

    def ended(self, arn: str, seconds: float = RUN_SECONDS) -> Execution:
        """An execution once it has ended."""
        return self.until(
            lambda: told if (told := self.describe(arn)).status != "RUNNING" else None,
            seconds,
            f"end of execution {arn[-40:]}",
            at_once=False,
        )

    def start_again(self, arn: str, suffix: str = "again") -> str:
        """Start another execution with an execution's input, as docs/operations.md says; its ARN."""
        states = self.client("stepfunctions")
        told = states.describe_execution(executionArn=arn)
        name = f"{told['name']}-{suffix}"
        machine = self.outputs["StateMachineArn"]
        started = states.start_execution(stateMachineArn=machine, name=name, input=told["input"])
        return str(started["executionArn"])

    def start_rollout_again(self, arn: str) -> str:
        """Start the last rollout of an execution again, as one that tells people itself; its ARN."""
        states = self.client("stepfunctions")
        last = self._rollouts(arn)[-1]
        told = states.describe_execution(executionArn=last)
        rollout = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(4)}"
        content = json.dumps({**json.loads(told["input"]), "rollout_id": rollout, "notify": "true"})
        machine = self.outputs["RolloutStateMachineArn"]
        return str(states.start_execution(stateMachineArn=machine, name=rollout, input=content)["executionArn"])

    def _rollouts(self, arn: str) -> list[str]:
        """The rollouts that were started since an execution was, in their order."""
        states = self.client("stepfunctions")
        if arn not in self._began:
            self._began[arn] = states.describe_execution(executionArn=arn)["startDate"]
        began = self._began[arn]
        listed = states.list_executions(stateMachineArn=self.outputs["RolloutStateMachineArn"])["executions"]
        return [each["executionArn"] for each in reversed(listed) if each["startDate"] >= began]

    def history(self, arn: str) -> list[dict[str, Any]]:
        """All events of an execution, and of the rollouts that were started since."""
        return [event for each in (arn, *self._rollouts(arn)) for event in self._events(each)]

    def _events(self, arn: str) -> list[dict[str, Any]]:
        """All events of an execution; read only where there are more than the last time."""
        states, known = self.client("stepfunctions"), self._histories.get(arn)
        if known:
            newest = states.get_execution_history(executionArn=arn, reverseOrder=True, maxResults=1)["events"]
            if newest[0]["id"] == known[-1]["id"]:
                return known
        pages = states.get_paginator("get_execution_history").paginate(executionArn=arn)
        self._histories[arn] = [event for page in pages for event in page["events"]]
        return self._histories[arn]

    # -- the state machine ---------------------------------------------------------------------------------

    def use_machine(self, *, whole: bool, change: Change | None = None) -> None:
        """Let executions run through the whole state machine, or, to test what comes before it, end at once.

        `change` may alter the definition in place, e.g. shorten a state's time limit.
        """
        definition = json.loads(self._definition) if whole else brief()
        if change is not None:
            change(definition)
        text = json.dumps(definition)
        if text != self._shown:
            machine = self.outputs["StateMachineArn"]
            self.client("stepfunctions").update_state_machine(stateMachineArn=machine, definition=text)
            self._shown = text

    def _machine(self) -> dict[str, Any]:
        arn = self.outputs["StateMachineArn"]
        told: dict[str, Any] = self.client("stepfunctions").describe_state_machine(stateMachineArn=arn)
        return told

    # -- queues and endpoint -------------------------------------------------------------------------------

    def dead_letters(self) -> list[dict[str, Any]]:
        """Events that were given up, as they lie in the queue; they are taken out."""
        return self.receive(self.outputs["IngestDeadLetterQueueUrl"])

    def receive(self, url: str) -> list[dict[str, Any]]:
        """All messages of a queue, taken out of it."""
        sqs = self.client("sqs")
        found: list[dict[str, Any]] = []
        while got := sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"], WaitTimeSeconds=0
        ).get("Messages"):
            for message in got:
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            found += got
        return found

    def waiting(self, url: str) -> int:
        """How many messages a queue holds."""
        asked = ["ApproximateNumberOfMessages"]
        told = self.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=asked)
        return int(told["Attributes"]["ApproximateNumberOfMessages"])

    def endpoint(self) -> dict[str, Any]:
        """The endpoint as DescribeEndpoint tells it; empty where there is none."""
        try:
            told: dict[str, Any] = self.client("sagemaker").describe_endpoint(EndpointName=self.outputs["EndpointName"])
        except ClientError as error:
            if error.response["Error"]["Code"] == "ValidationException":
                return {}
            raise
        return told

    def jobs_under_way(self) -> list[tuple[str, str]]:
        """Name and status of the jobs that have not ended."""
        sagemaker = self.client("sagemaker")
        found = []
        for status in ("InProgress", "Stopping"):
            jobs = sagemaker.list_processing_jobs(StatusEquals=status)["ProcessingJobSummaries"]
            found += [(job["ProcessingJobName"], status) for job in jobs]
            jobs = sagemaker.list_training_jobs(StatusEquals=status)["TrainingJobSummaries"]
            found += [(job["TrainingJobName"], status) for job in jobs]
        return found

    def predict(self, row: Mapping[str, str]) -> float:
        """The endpoint's answer to one row."""
        answer = self.client("sagemaker-runtime").invoke_endpoint(
            EndpointName=self.outputs["EndpointName"],
            Body=json.dumps({"instances": [row]}).encode(),
            ContentType="application/json",
            Accept="application/json",
        )
        return float(json.loads(answer["Body"].read())["predictions"][0])

    # -- faults of the cloud -------------------------------------------------------------------------------

    def arm(self, *faults: Mapping[str, Any]) -> None:
        """Let these happen in the cloud."""
        self.call("POST", "faults", [dict(fault) for fault in faults])

    def disarm(self) -> list[dict[str, Any]]:
        """Let nothing more happen; what was armed, with how often it has struck (`hits`)."""
        told = self.call("GET", "faults")
        self.call("DELETE", "faults")
        return [*told["armed"], *told["spent"]]

    @contextmanager
    def one_try(self) -> Iterator[None]:
        """For as long as this lasts, Lambda gives an event up after the first try."""
        functions, name = self.client("lambda"), self.outputs["IngestFunctionName"]
        functions.put_function_event_invoke_config(FunctionName=name, MaximumRetryAttempts=0)
        try:
            yield
        finally:
            functions.delete_function_event_invoke_config(FunctionName=name)

    @contextmanager
    def function_seconds(self, seconds: int) -> Iterator[None]:
        """For as long as this lasts, the ingest function has another time limit."""
        before = self._function()["Timeout"]
        self._set_function_seconds(seconds)
        try:
            yield
        finally:
            self._set_function_seconds(before)

    def _set_function_seconds(self, seconds: int) -> None:
        self.client("lambda").update_function_configuration(
            FunctionName=self.outputs["IngestFunctionName"], Timeout=seconds
        )
        # "LastUpdateStatus": until it is Successful, invocations have the old configuration
        self.until(lambda: self._function()["LastUpdateStatus"] == "Successful", 30, "update of the function")

    def _function(self) -> dict[str, Any]:
        name = self.outputs["IngestFunctionName"]
        found: dict[str, Any] = self.client("lambda").get_function_configuration(FunctionName=name)
        return found

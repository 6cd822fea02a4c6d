"""A cloud that `treering up` started and in which a week has run: the commands, and clients that know nothing of us."""

import csv
import io
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.local_cloud.test_cli_run import CASE, QUICK, treering
from tests.local_cloud.up_cloud import written

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory, thin_source: Path) -> Iterator[dict[str, Any]]:
    """A cloud in which one weekly run ended, with a queue that hears what people are told."""
    state = tmp_path_factory.mktemp("clients")
    try:
        up = treering("up", "--json", "--source", str(thin_source), *QUICK, state=state)
        assert up.returncode == 0, up.stdout + up.stderr
        started: dict[str, Any] = json.loads(up.stdout)
        session = session_of(started)
        queue = session.client("sqs").create_queue(QueueName="people")["QueueUrl"]
        queue_arn = "arn:aws:sqs:us-east-1:000000000000:people"
        topic = output(session, "OutcomeTopicArn")
        session.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue_arn)
        policy = {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"Service": "sns.amazonaws.com"},
                    "Action": "sqs:SendMessage",
                    "Resource": queue_arn,
                }
            ],
        }
        session.client("sqs").set_queue_attributes(QueueUrl=queue, Attributes={"Policy": json.dumps(policy)})
        run = treering("run", "--json", state=state)
        assert run.returncode == 0, run.stdout + run.stderr
        yield {"up": started, "report": json.loads(run.stdout), "queue": queue, "state": state}
    finally:
        treering("down", state=state)


class Session(boto3.Session):
    """A session whose clients go to the cloud."""

    endpoint = ""

    def client(self, name: str, **keywords: Any) -> Any:  # type: ignore[override]
        """Make a client of the local cloud."""
        return super().client(name, endpoint_url=self.endpoint, **keywords)


def session_of(up: dict[str, Any]) -> Session:
    """The session that `treering up` told of."""
    environment = up["environment"]
    session = Session(
        environment["AWS_ACCESS_KEY_ID"],
        environment["AWS_SECRET_ACCESS_KEY"],
        region_name=environment["AWS_DEFAULT_REGION"],
    )
    session.endpoint = environment["AWS_ENDPOINT_URL"]
    return session


def output(session: Session, name: str) -> str:
    """An output of the stack."""
    (stack,) = session.client("cloudformation").describe_stacks()["Stacks"]
    return next(o["OutputValue"] for o in stack["Outputs"] if o["OutputKey"] == name)


def test_status_shows_endpoint_execution_and_next_wake_up(cloud: dict[str, Any]) -> None:
    """The status is for people and, as JSON, for scripts."""
    state = cloud["state"]

    status = json.loads(treering("status", "--json", state=state).stdout)

    assert status["up"] is True
    assert status["endpoint"]["status"] == "InService"
    assert [execution["status"] for execution in status["executions"]] == ["SUCCEEDED"]
    assert status["rule"]["next"] > status["clock"]
    assert status["endpoint"]["configuration"] in treering("status", state=state).stdout


def unlabelled(cloud: dict[str, Any]) -> list[dict[str, str]]:
    """The first rows of the test split, without target."""
    said, state = cloud["up"], cloud["state"]
    [split] = list(state.glob(f"cloud/s3/**/{said['stack']['outputs']['DataBucketName']}/datasets/*/*/test.csv"))
    with split.open() as file:
        rows = list(csv.DictReader(file))[:3]
    return [{name: value for name, value in row.items() if name != CASE.target.column} for row in rows]


def test_predict_answers_each_row_with_its_key(cloud: dict[str, Any], tmp_path: Path) -> None:
    """Rows come back in order with key and prediction."""
    rows = unlabelled(cloud)

    done = treering("predict", written(rows, tmp_path / "rows.csv"), state=cloud["state"])

    assert done.returncode == 0, done.stderr
    answered = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [row[CASE.columns.key] for row in answered] == [row[CASE.columns.key] for row in rows]
    assert all(float(row[CASE.target.column]) > 0 for row in answered)


def test_predict_refuses_a_bad_value(cloud: dict[str, Any], tmp_path: Path) -> None:
    """A value that is no number is refused by the endpoint: exit code 1, with its words."""
    number = CASE.columns.integer[0]
    rows = [row | {number: "many"} for row in unlabelled(cloud)]

    done = treering("predict", written(rows, tmp_path / "rows.csv"), state=cloud["state"])

    assert done.returncode == 1
    assert "refused the rows" in done.stderr
    assert number in done.stderr
    assert "{" not in done.stderr


def test_logs_are_found_by_state_and_by_function(cloud: dict[str, Any]) -> None:
    """A state's job and a function have a log; an unknown name is answered with the known ones."""
    state = cloud["state"]

    job = treering("logs", "Train Random Forest", state=state)
    function = treering("logs", "ingest", "--json", state=state)
    unknown = treering("logs", "nobody", state=state)

    assert job.returncode == 0
    assert job.stdout
    assert function.returncode == 0
    assert json.loads(function.stdout.splitlines()[0])["of"] == "ingest"
    assert unknown.returncode == 2
    assert "Preprocess" in unknown.stderr


def test_the_history_is_what_get_execution_history_gives(cloud: dict[str, Any]) -> None:
    """A paginator reads events in order, each with its predecessor, from the start to the success."""
    states = session_of(cloud["up"]).client("stepfunctions")
    machine = output(session_of(cloud["up"]), "StateMachineArn")
    (execution,) = states.list_executions(stateMachineArn=machine)["executions"]
    pages = states.get_paginator("get_execution_history").paginate(
        executionArn=execution["executionArn"], PaginationConfig={"PageSize": 10}
    )
    events = [event for page in pages for event in page["events"]]

    assert [event["id"] for event in events] == list(range(1, len(events) + 1))
    assert events[0]["type"] == "ExecutionStarted"
    assert events[-1]["type"] == "ExecutionSucceeded"
    entered = {e["stateEnteredEventDetails"]["name"] for e in events if "stateEnteredEventDetails" in e}
    reported = [state["name"] for state in cloud["report"]["states"]]
    assert entered == {
        *reported[: reported.index("Roll Out")],
        "Roll Out",
        reported[-1],
    }  # between: the other machine's


def told_people(cloud: dict[str, Any]) -> list[dict[str, Any]]:
    """What the subscriber heard since it was last asked."""
    sqs = session_of(cloud["up"]).client("sqs")
    messages = sqs.receive_message(QueueUrl=cloud["queue"], MaxNumberOfMessages=10).get("Messages", [])
    for message in messages:
        sqs.delete_message(QueueUrl=cloud["queue"], ReceiptHandle=message["ReceiptHandle"])
    return [json.loads(json.loads(message["Body"])["Message"]) for message in messages]


def test_people_are_told_once(cloud: dict[str, Any]) -> None:
    """One message arrives at the subscriber, with outcome, run and where the report lies."""
    told = told_people(cloud)

    assert [message["outcome"] for message in told] == ["deployed"]
    bucket, _, key = told[0]["report_uri"].removeprefix("s3://").partition("/")
    report = session_of(cloud["up"]).client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    assert f"<title>Evaluation of {told[0]['run_id']}</title>".encode() in report


def test_the_jobs_waiters_and_metrics_are_there(cloud: dict[str, Any]) -> None:
    """boto3's waiters see the jobs completed, and the training job has the metrics its definitions name."""
    sagemaker = session_of(cloud["up"]).client("sagemaker")
    (summary,) = sagemaker.list_training_jobs()["TrainingJobSummaries"]
    sagemaker.get_waiter("training_job_completed_or_stopped").wait(
        TrainingJobName=summary["TrainingJobName"], WaiterConfig={"Delay": 1, "MaxAttempts": 2}
    )
    job = sagemaker.describe_training_job(TrainingJobName=summary["TrainingJobName"])

    assert {metric["MetricName"] for metric in job["FinalMetricDataList"]} == {
        "validation:mse",
        "validation:rmse",
        "validation:mae",
        "validation:r2",
        "validation:rmse_log",
    }


@pytest.mark.parametrize(
    ("service", "waiter", "request_"),
    [
        ("cloudformation", "stack_exists", {"StackName": "treering"}),
        ("cloudformation", "stack_create_complete", {"StackName": "treering"}),
        ("lambda", "function_exists", {"FunctionName": "treering-dev-ingest"}),
        ("lambda", "function_active_v2", {"FunctionName": "treering-dev-ingest"}),
        ("lambda", "function_updated_v2", {"FunctionName": "treering-dev-ingest"}),
        ("s3", "bucket_exists", {"Bucket": "{DataBucketName}"}),
        ("s3", "bucket_not_exists", {"Bucket": "nobody-has-this"}),
        ("s3", "object_not_exists", {"Bucket": "{DataBucketName}", "Key": "nothing"}),
        ("sagemaker", "endpoint_in_service", {"EndpointName": "{EndpointName}"}),
        ("sagemaker", "endpoint_deleted", {"EndpointName": "nobody-has-this"}),
    ],
)
def test_botos_waiters_see_what_is_there(
    cloud: dict[str, Any], service: str, waiter: str, request_: dict[str, str]
) -> None:
    """At once, and without an error, for what the application is made of."""
    session = session_of(cloud["up"])
    outputs = cloud["up"]["stack"]["outputs"]
    filled = {name: value.format(**outputs) for name, value in request_.items()}
    waiting = session.client(service).get_waiter(waiter)

    assert waiting.wait(**filled, WaiterConfig={"Delay": 1, "MaxAttempts": 3}) is None


def test_the_typed_sagemaker_client_describes_and_invokes_the_endpoint(
    cloud: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """AWS's own typed client finds the endpoint in service, and gets predictions for raw rows."""
    for name, value in cloud["up"]["environment"].items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HOME", str(tmp_path))  # it writes its settings there
    from sagemaker.core.resources import Endpoint

    endpoint = Endpoint.get(output(session_of(cloud["up"]), "EndpointName"), region="us-east-1")
    row = dict.fromkeys(CASE.columns.category, "NA") | dict.fromkeys((*CASE.columns.integer, *CASE.columns.number), 1)
    answer = endpoint.invoke(body=json.dumps([row]), content_type="application/json", accept="application/json")

    assert endpoint.endpoint_status == "InService"
    assert len(json.loads(answer.body.read())["predictions"]) == 1


def test_a_bad_request_reaches_the_caller_with_its_reason(cloud: dict[str, Any]) -> None:
    """InvokeEndpoint gives AWS's ModelError, with the container's status and what was wrong where."""
    runtime = session_of(cloud["up"]).client("sagemaker-runtime")
    name = output(session_of(cloud["up"]), "EndpointName")
    with pytest.raises(ClientError) as refused:
        runtime.invoke_endpoint(EndpointName=name, ContentType="application/json", Body=b'[{"nothing": 1}]')

    assert refused.value.response["Error"]["Code"] == "ModelError"
    assert refused.value.response["OriginalStatusCode"] == 400
    assert "error" in refused.value.response["OriginalMessage"]


@pytest.fixture(scope="module")
def failed(cloud: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    """A week whose training SageMaker refuses."""
    return treering("run", "--json", "--parameter", "TrainInstanceType=ml.nonsense", state=cloud["state"])


def test_a_failed_state_is_explained(failed: subprocess.CompletedProcess[str]) -> None:
    """A state that fails: exit code 1, its name, error and cause, and the report as far as the run came."""
    report = json.loads(failed.stdout)

    assert failed.returncode == 1
    assert report["outcome"] == "failed"
    assert report["failure"]["state"] == "Train Random Forest"
    assert report["failure"]["error"].startswith("SageMaker.")
    assert "ml.nonsense" in report["failure"]["cause"]
    assert report["preprocess"]["kept"]
    assert report["test_endpoint"] is None
    assert "What to try" in failed.stderr


def test_people_are_told_of_a_failure_with_state_error_and_cause(
    cloud: dict[str, Any], failed: subprocess.CompletedProcess[str]
) -> None:
    """A state that fails after its retries is named, once, and the execution ends with the same error and cause."""
    states = session_of(cloud["up"]).client("stepfunctions")
    machine = output(session_of(cloud["up"]), "StateMachineArn")
    latest = states.list_executions(stateMachineArn=machine)["executions"][0]
    execution = states.describe_execution(executionArn=latest["executionArn"])
    heard = told_people(cloud)
    assert len(heard) == 1, heard
    told = heard[0]

    assert failed.returncode == 1
    assert (told["outcome"], told["state"]) == ("failed", "Train Random Forest")
    assert told["error"] == execution["error"] == "SageMaker.AmazonSageMakerException"
    assert told["cause"] == execution["cause"]
    assert "ml.nonsense" in told["cause"]
    assert told["execution"] == execution["executionArn"]


def test_unchanged_data_need_not_be_trained_on_again(cloud: dict[str, Any]) -> None:
    """Where the template says so, a week without new data starts no execution, which is no failure."""
    state = cloud["state"]
    before = json.loads(treering("status", "--json", state=state).stdout)["executions"]

    done = treering("run", "--json", "--parameter", "RetrainOnUnchangedData=false", state=state)

    after = json.loads(treering("status", "--json", state=state).stdout)["executions"]
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["outcome"] == "nothing to train on"
    assert after == before


def test_up_twice_keeps_the_cloud(cloud: dict[str, Any]) -> None:
    """A second `up` updates the deployment in the cloud that is there."""
    said, state = cloud["up"], cloud["state"]

    again = treering("up", "--json", state=state)

    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["endpoint"] == said["endpoint"]
    assert "up already" in again.stderr

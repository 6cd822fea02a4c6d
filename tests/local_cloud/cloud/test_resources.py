"""The resources of a template do what they do on AWS."""

import json
import urllib.error
import urllib.request

import pytest
from botocore.exceptions import ClientError


def test_the_bucket_has_every_setting_of_the_template(cloud) -> None:
    """Versions, encryption, public access, lifecycle and policy can be read back."""
    s3, bucket = cloud.client("s3"), cloud.output("BucketName")
    encryption = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"][0]
    rule = s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"][0]
    policy = json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])

    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    assert encryption["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    assert all(s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"].values())
    assert (rule["ID"], rule["Status"], rule["Expiration"]["Days"]) == ("old", "Enabled", 90)
    assert policy["Statement"][0]["Effect"] == "Deny"


def test_a_policy_that_asks_for_tls_lets_callers_of_this_machine_in(cloud) -> None:
    """The loopback interface counts as TLS, and the object comes back encrypted as configured."""
    s3, bucket = cloud.client("s3"), cloud.output("BucketName")
    put = s3.put_object(Bucket=bucket, Key="tls.txt", Body=b"hello")

    assert put["ServerSideEncryption"] == "AES256"
    assert s3.get_object(Bucket=bucket, Key="tls.txt")["Body"].read() == b"hello"


def test_objects_lie_in_files_that_a_person_finds(cloud) -> None:
    """Below s3, by account, bucket and key."""
    cloud.client("s3").put_object(Bucket=cloud.output("BucketName"), Key="a folder/a file.txt", Body=b"content")

    assert (cloud.state / "s3/000000000000/sample-data/a folder/a file.txt").read_bytes() == b"content"


def test_ref_of_a_secret_is_its_arn(cloud) -> None:
    """And the value was generated as the template says."""
    arn = cloud.output("SecretArn")
    value = json.loads(cloud.client("secretsmanager").get_secret_value(SecretId=arn)["SecretString"])

    assert arn.startswith("arn:aws:secretsmanager:us-east-1:000000000000:secret:sample-token-")
    assert value["user"] == "somebody"
    assert len(value["password"]) == 32


def test_an_email_subscription_waits_for_its_reader(cloud) -> None:
    """Nobody is written to, so it stays pending."""
    sns = cloud.client("sns")
    subscriptions = sns.list_subscriptions_by_topic(TopicArn=cloud.output("TopicArn"))["Subscriptions"]
    email = next(one for one in subscriptions if one["Protocol"] == "email")
    attributes = sns.get_subscription_attributes(SubscriptionArn=email["SubscriptionArn"])["Attributes"]

    assert (email["Endpoint"], attributes["PendingConfirmation"]) == ("somebody@example.com", "true")


def test_a_function_keeps_its_limits(cloud) -> None:
    """Reserved concurrency, size of /tmp, image and command."""
    functions = cloud.client("lambda")
    function = functions.get_function(FunctionName="sample-keep")

    assert function["Concurrency"]["ReservedConcurrentExecutions"] == 1
    assert function["Configuration"]["EphemeralStorage"] == {"Size": 1024}
    assert function["Configuration"]["ImageConfigResponse"]["ImageConfig"]["Command"] == ["handlers.keep"]
    assert "@sha256:" in function["Code"]["ImageUri"]


def test_a_failing_function_is_tried_three_times_then_its_event_is_put_aside(cloud) -> None:
    """The dead letter holds the event as it was, and why it failed; the queue's alarm tells the topic."""
    cloud.client("lambda").invoke(FunctionName="sample-fail", InvocationType="Event", Payload=b'{"number": 7}')
    logs = cloud.client("logs")

    def alarm_told() -> list[dict]:
        bodies = [json.loads(message["Body"]) for message in cloud.messages(cloud.output("ListenerUrl"))]
        told = [json.loads(body["Message"]) for body in bodies if isinstance(body, dict)]
        return [one for one in told if one["AlarmName"] == "sample-dead" and one["NewStateValue"] == "ALARM"]

    told = cloud.eventually(alarm_told)
    letters = cloud.messages(cloud.output("DeadLettersUrl"))
    events = logs.filter_log_events(logGroupName="/aws/lambda/sample-fail")["events"]
    calls = [event for event in events if event["message"].startswith("called with")]

    assert told
    assert [json.loads(letter["Body"]) for letter in letters] == [{"number": 7}]
    assert letters[0]["MessageAttributes"]["ErrorMessage"]["StringValue"] == "as always"
    assert len(calls) == 3


def test_the_state_machine_has_its_substitutions_and_tells_the_bus_when_it_ends(cloud) -> None:
    """A rule on execution status changes passes them on, cut down to what its InputPath names."""
    machine = cloud.output("MachineArn")
    states = cloud.client("stepfunctions")
    execution = states.start_execution(stateMachineArn=machine, input="{}")["executionArn"]

    def statuses() -> list[str]:
        return [message["Body"] for message in cloud.messages(cloud.output("ListenerUrl")) if "SUCC" in message["Body"]]

    assert cloud.eventually(statuses) == ['"SUCCEEDED"']
    assert json.loads(states.describe_execution(executionArn=execution)["output"]) == {"bucket": "sample-data"}
    assert states.describe_state_machine(stateMachineArn=machine)["loggingConfiguration"]["level"] == "ALL"


def test_values_that_a_service_refuses_are_refused_at_the_port(cloud) -> None:
    """With AWS's codes; `test_refused_values.py` has all of them."""
    events, metrics, s3, sns, sqs = (cloud.client(name) for name in ("events", "cloudwatch", "s3", "sns", "sqs"))
    alarm = {"AlarmName": "odd", "MetricName": "m", "Namespace": "n", "Statistic": "Sum", "EvaluationPeriods": 1}
    rules = {"Rules": [{"Status": "Enabled", "Filter": {"Prefix": "a"}}]}
    calls = {
        "Parameter ScheduleExpression is": lambda: events.put_rule(Name="a", ScheduleExpression="rate(2 day)"),
        "Period must be 10, 20, 30": lambda: metrics.put_metric_alarm(**alarm, Period=90),
        "The value NaN for parameter": lambda: metrics.put_metric_data(
            Namespace="n", MetricData=[{"MetricName": "m", "Value": float("nan")}]
        ),
        "At least one action needs": lambda: s3.put_bucket_lifecycle_configuration(
            Bucket=cloud.output("BucketName"), LifecycleConfiguration=rules
        ),
        "Invalid parameter: Subject": lambda: sns.publish(
            TopicArn=cloud.output("TopicArn"), Message="m", Subject="x" * 101
        ),
        "Can only include alphanumeric": lambda: sqs.create_queue(QueueName="a queue"),
    }
    codes = []
    for problem, call in calls.items():
        with pytest.raises(ClientError, match=problem) as refused:
            call()
        codes.append(refused.value.response["Error"]["Code"])

    assert codes == [
        "ValidationException",
        "ValidationError",
        "InvalidParameterValue",
        "InvalidRequest",
        "InvalidParameter",
        "InvalidParameterValue",
    ]


def test_a_service_that_is_left_out_says_so(cloud) -> None:
    """With its name and those that are there."""
    with pytest.raises(ClientError, match="does not have the service dynamodb"):
        cloud.client("dynamodb").list_tables()


def test_a_web_page_gets_no_answer(cloud) -> None:
    """A browser says where a request comes from; no page may act as administrator here."""
    request = urllib.request.Request(f"{cloud.endpoint}/_local_cloud/health", headers={"Origin": "https://example.com"})
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request)

    assert refused.value.code == 403


def test_an_unknown_path_of_the_cloud_lists_the_known_ones(cloud) -> None:
    """So that a person who mistyped one finds it."""
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{cloud.endpoint}/_local_cloud/clok")

    assert "GET /_local_cloud/clock" in json.load(refused.value)["error"]

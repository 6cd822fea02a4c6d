"""What is left of an environment, and what it costs."""

import boto3
import pytest
from botocore.stub import Stubber
from moto import mock_aws

from cli import leftovers
from cli.commands import teardown
from cli.costs import Prices

REGION = "us-east-1"
IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/treering/jobs:1"


@pytest.fixture
def clients(monkeypatch):
    """An account."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")

    def client(service):
        made = boto3.client(service, region_name=REGION)
        if service == "cloudformation":  # moto's needs more packages; there is no stack any more
            stubber = Stubber(made)
            stubber.add_client_error("describe_stacks", "ValidationError", "Stack does not exist")
            stubber.activate()
        return made

    with mock_aws():
        yield client


def find(clients):
    """Look."""
    return leftovers.find(clients, "treering-dev", "treering-dev", Prices.read())


def test_an_empty_account_costs_nothing(clients):
    """And everything could be asked."""
    found = find(clients)

    assert found.costly == []
    assert found.not_asked == []
    assert "Nothing is left that costs money" in teardown.checked(found)
    assert teardown.commands(found) == "Nothing is left."


def test_what_is_there_is_listed_with_price_and_command(clients):
    """The endpoint first, as it costs most; what belongs to others is left out."""
    sagemaker, s3 = clients("sagemaker"), clients("s3")
    for project in ("treering-dev", "other"):
        role = "arn:aws:iam::123456789012:role/r"
        sagemaker.create_model(ModelName=project, ExecutionRoleArn=role, PrimaryContainer={"Image": IMAGE})
        variant = {
            "VariantName": "main",
            "ModelName": project,
            "InitialInstanceCount": 2,
            "InstanceType": "ml.m5.large",
        }
        sagemaker.create_endpoint_config(EndpointConfigName=project, ProductionVariants=[variant])
        sagemaker.create_endpoint(EndpointName=project, EndpointConfigName=project)
        s3.create_bucket(Bucket=f"{project}-databucket-1")
    s3.put_object(Bucket="treering-dev-databucket-1", Key="k", Body=b"x" * 1000)
    clients("cloudwatch").put_metric_alarm(
        AlarmName="treering-dev-alarm",
        MetricName="m",
        Namespace="n",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
        Statistic="Sum",
    )
    clients("ecr").create_repository(repositoryName="treering/jobs")
    found = find(clients)
    text, commands = teardown.checked(found), teardown.commands(found)

    assert [item.kind for item in found.costly][:2] == ["endpoint", "alarm"]
    assert found.costly[0].month == pytest.approx(2 * 0.115 * 730)
    assert {item.kind for item in found.costly} == {"endpoint", "alarm", "bucket", "image repository"}
    assert "other" not in text
    assert commands.splitlines()[0].startswith("aws sagemaker delete-endpoint --endpoint-name treering-dev")
    assert "Free of charge: models 1, endpoint configurations 1" in text


def test_what_cannot_be_asked_is_said(clients):
    """A missing permission must not look like an empty account."""
    from botocore.exceptions import ClientError

    def denied(service):
        if service == "ecr":
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "DescribeRepositories")
        return clients(service)

    found = find(denied)

    assert len(found.not_asked) == 1
    assert "Could not be asked: image repositories" in teardown.checked(found)

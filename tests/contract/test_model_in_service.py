"""From an endpoint to the artefact of the model that it serves."""

import io

import boto3
import pytest
from botocore.response import StreamingBody
from botocore.stub import Stubber

from treering.aws.champion import ModelInService
from treering.errors import ConfigurationError
from treering.steps.evaluation import Champion

URL = "s3://bucket/runs/a/train/x/output/model.tar.gz"
PACKAGE = "arn:aws:sagemaker:us-east-1:123456789012:model-package/treering-dev/3"
KEYS = {"aws_access_key_id": "x", "aws_secret_access_key": "x", "region_name": "us-east-1"}


@pytest.fixture
def sagemaker():
    """A client whose answers are given one after the other, checked against the service's model."""
    client = boto3.client("sagemaker", **KEYS)
    with Stubber(client) as stubber:
        yield client, stubber
        stubber.assert_no_pending_responses()


def endpoint(status: str) -> dict:
    """What DescribeEndpoint answers."""
    return {
        "EndpointName": "treering-dev",
        "EndpointArn": "arn:aws:sagemaker:us-east-1:123456789012:endpoint/treering-dev",
        "EndpointConfigName": "config",
        "EndpointStatus": status,
        "CreationTime": 0,
        "LastModifiedTime": 0,
    }


def describe_model(stubber: Stubber, container: dict, status: str = "InService") -> None:
    """The way from the endpoint to its model."""
    stubber.add_response("describe_endpoint", endpoint(status), {"EndpointName": "treering-dev"})
    variants = [
        {"VariantName": "main", "ModelName": "model"},
        {"VariantName": "challenger", "ModelName": "other"},
    ]
    stubber.add_response(
        "describe_endpoint_config",
        {
            "EndpointConfigName": "config",
            "EndpointConfigArn": "a" * 30,
            "ProductionVariants": variants,
            "CreationTime": 0,
        },
        {"EndpointConfigName": "config"},
    )
    stubber.add_response(
        "describe_model",
        {"ModelName": "model", "PrimaryContainer": container, "CreationTime": 0, "ModelArn": "a" * 30},
        {"ModelName": "model"},
    )


def test_a_model_made_from_a_package_leads_to_the_package_s_artefact(sagemaker):
    """The first variant's; the challenger of a test is not the champion."""
    client, stubber = sagemaker
    describe_model(stubber, {"ModelPackageName": PACKAGE})
    package = {
        "ModelPackageName": "treering-dev",
        "ModelPackageArn": PACKAGE,
        "CreationTime": 0,
        "ModelPackageStatus": "Completed",
        "ModelPackageStatusDetails": {"ValidationStatuses": []},
        "InferenceSpecification": {"Containers": [{"Image": "image", "ModelDataUrl": URL}]},
    }
    stubber.add_response("describe_model_package", package, {"ModelPackageName": PACKAGE})

    assert ModelInService(client).find("treering-dev") == Champion("config", "model", URL)


def test_a_model_made_from_an_image_has_its_artefact_itself(sagemaker):
    """Also while an update is under way: the endpoint serves."""
    client, stubber = sagemaker
    describe_model(stubber, {"Image": "image", "ModelDataUrl": URL}, status="Updating")

    assert ModelInService(client).find("treering-dev") == Champion("config", "model", URL)


@pytest.mark.parametrize("status", ["Creating", "Failed", "Deleting"])
def test_an_endpoint_that_does_not_serve_has_no_champion(sagemaker, status):
    """It never served, or no more."""
    client, stubber = sagemaker
    stubber.add_response("describe_endpoint", endpoint(status))

    assert ModelInService(client).find("treering-dev") is None


def test_no_endpoint_no_champion(sagemaker):
    """SageMaker says ValidationException."""
    client, stubber = sagemaker
    stubber.add_client_error("describe_endpoint", "ValidationException", 'Could not find endpoint "…".', 400)

    assert ModelInService(client).find("treering-dev") is None


def test_a_missing_permission_is_an_error(sagemaker):
    """Else every model would be the first one."""
    client, stubber = sagemaker
    stubber.add_client_error("describe_endpoint", "AccessDeniedException", "no", 400)

    with pytest.raises(ConfigurationError, match="DescribeEndpoint"):
        ModelInService(client).find("treering-dev")


def test_the_artefact_is_fetched_as_a_stream(tmp_path):
    """To a file; a model can be larger than the memory."""
    s3 = boto3.client("s3", **KEYS)
    with Stubber(s3) as stubber:
        body = StreamingBody(io.BytesIO(b"model"), 5)
        stubber.add_response(
            "get_object", {"Body": body}, {"Bucket": "bucket", "Key": "runs/a/train/x/output/model.tar.gz"}
        )
        ModelInService(boto3.client("sagemaker", **KEYS), s3).fetch(Champion("c", "m", URL), tmp_path / "model.tar.gz")

    assert (tmp_path / "model.tar.gz").read_bytes() == b"model"

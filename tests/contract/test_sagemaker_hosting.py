"""What the deployment relies on of SageMaker hosting: the same of the adapter and of the fake that its tests use.

The adapter talks to moto's SageMaker, which knows everything here but UpdateEndpoint.
"""

from dataclasses import replace

import boto3
import pytest
from botocore.stub import Stubber
from moto import mock_aws

from tests.fakes.sagemaker_hosting import FakeHosting
from treering.aws.sagemaker import SageMakerHosting, SageMakerRuntime, deployment_config, variants_and_capture
from treering.errors import ConfigurationError, EndpointError, TransientError
from treering.steps.deployment import ConfigSpec, Guardrails, ModelSpec, Trial

PACKAGE = "arn:aws:sagemaker:us-east-1:123456789012:model-package/treering-dev/1"
MODEL = ModelSpec("model-1", PACKAGE, "arn:aws:iam::123456789012:role/r")
GUARDRAILS = Guardrails("CANARY", 50, 300, ("errors", "latency"), instances=2, start_seconds=1200)
CONFIG = ConfigSpec("config-1", "model-1", "ml.t2.medium", 2)
TAGS = {"treering:run": "20240101-060000-0a1b2c3d"}


@pytest.fixture
def client(monkeypatch):
    """A client of boto3 that reaches no network."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    with mock_aws():
        yield boto3.client("sagemaker", region_name="us-east-1")


@pytest.fixture(params=["adapter", "fake"])
def hosting(request, client):
    """SageMaker hosting, one after the other."""
    return SageMakerHosting(client) if request.param == "adapter" else FakeHosting()


def test_what_is_not_there_is_none(hosting):
    """Absence is an answer, no error."""
    assert hosting.find_model("model-1") is None
    assert hosting.find_config("config-1") is None
    assert hosting.find_endpoint("endpoint-1") is None


def test_what_was_created_is_found_as_it_was_asked_for(hosting):
    """A retried deployment recognises its own model and configuration."""
    hosting.create_model(MODEL, TAGS)
    hosting.create_config(CONFIG, TAGS)

    assert hosting.find_model("model-1") == MODEL
    assert hosting.find_config("config-1") == CONFIG


def test_a_configuration_with_a_second_variant_is_found_as_it_was_asked_for(hosting):
    """The champion is the configuration's model, and both are kept from being removed."""
    config = replace(CONFIG, trial=Trial("challenger", "model-2", 1, 0.1, "s3://bucket/captures/x"))
    hosting.create_model(MODEL, TAGS)
    hosting.create_model(replace(MODEL, name="model-2"), TAGS)
    hosting.create_config(config, TAGS)

    assert hosting.find_config("config-1") == config
    assert hosting.models_of("config-1") == ["model-1", "model-2"]


def test_weights_add_up_and_requests_and_answers_are_captured():
    """The champion gets what the challenger leaves; everything is captured, readable as it was sent."""
    trial = Trial("challenger", "model-2", 1, 0.25, "s3://bucket/captures/x")
    asked = variants_and_capture(replace(CONFIG, trial=trial))

    weights = {variant["VariantName"]: variant["InitialVariantWeight"] for variant in asked["ProductionVariants"]}
    capture = asked["DataCaptureConfig"]
    assert weights == {"main": 0.75, "challenger": 0.25}
    assert (capture["EnableCapture"], capture["InitialSamplingPercentage"]) == (True, 100)
    assert capture["DestinationS3Uri"] == "s3://bucket/captures/x"
    assert {option["CaptureMode"] for option in capture["CaptureOptions"]} == {"Input", "Output"}
    assert capture["CaptureContentTypeHeader"]["JsonContentTypes"] == ["application/json"]


def test_a_shadow_is_beside_one_production_variant_and_gets_a_copy_of_each_request():
    """The weights are equal, and it is no production variant; it is found as it was asked for."""
    trial = Trial("shadow", "model-2", 2, 1.0, "s3://bucket/captures/x")
    asked = variants_and_capture(replace(CONFIG, trial=trial))

    client = boto3.client("sagemaker", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    described = {**asked, "EndpointConfigName": "config-1", "EndpointConfigArn": "arn:" + "x" * 20, "CreationTime": 0}
    with Stubber(client) as stubber:
        for _ in range(2):
            stubber.add_response("describe_endpoint_config", described, {"EndpointConfigName": "config-1"})
        hosting = SageMakerHosting(client)
        found, models = hosting.find_config("config-1"), hosting.models_of("config-1")

    [main], [shadow] = asked["ProductionVariants"], asked["ShadowProductionVariants"]
    assert found == replace(CONFIG, trial=trial)
    assert models == ["model-1", "model-2"]
    assert main["InitialVariantWeight"] == shadow["InitialVariantWeight"]
    assert (main["VariantName"], shadow["VariantName"]) == ("main", "shadow")


def test_an_update_that_changes_the_variants_has_no_guardrails():
    """SageMaker wants the same names of variants with them."""
    client = boto3.client("sagemaker", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    with Stubber(client) as stubber:
        stubber.add_response(
            "update_endpoint", {"EndpointArn": "arn:" + "x" * 20}, {"EndpointName": "e", "EndpointConfigName": "c"}
        )
        SageMakerHosting(client).update_endpoint("e", "c", None)

        stubber.assert_no_pending_responses()


def test_endpoint_has_the_configuration_it_was_created_with(hosting):
    """An endpoint's state names the configuration."""
    hosting.create_model(MODEL, TAGS)
    hosting.create_config(CONFIG, TAGS)
    hosting.create_endpoint("endpoint-1", "config-1", TAGS)
    state = hosting.find_endpoint("endpoint-1")

    assert state.config_name == "config-1"
    assert state.status in ("Creating", "InService")


def test_deleted_is_gone(hosting):
    """What was deleted is not found any more."""
    hosting.create_model(MODEL, TAGS)
    hosting.create_config(CONFIG, TAGS)
    hosting.delete_config("config-1")
    hosting.delete_model("model-1")

    assert hosting.find_model("model-1") is None
    assert hosting.find_config("config-1") is None


def test_configuration_of_an_unknown_model_is_refused(hosting):
    """A wrong name is an error that trying again does not help."""
    with pytest.raises(ConfigurationError):
        hosting.create_config(CONFIG, TAGS)


def stubbed(service, operation, code, status=400, **more):
    """A client whose next call ends in an error."""
    client = boto3.client(service, region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    stubber = Stubber(client)
    stubber.add_client_error(operation, code, "said so", status, **more)
    stubber.activate()
    return client


def test_update_names_endpoint_and_configuration():
    """The one call that moto lacks, checked against botocore's model of the API."""
    client = boto3.client("sagemaker", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    with Stubber(client) as stubber:
        stubber.add_response(
            "update_endpoint",
            {"EndpointArn": "arn:aws:sagemaker:us-east-1:123456789012:endpoint/endpoint-1"},
            {
                "EndpointName": "endpoint-1",
                "EndpointConfigName": "config-2",
                "DeploymentConfig": {
                    "BlueGreenUpdatePolicy": {
                        "TrafficRoutingConfiguration": {
                            "Type": "CANARY",
                            "WaitIntervalInSeconds": 300,
                            "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 50},
                        },
                        "TerminationWaitInSeconds": 300,
                        "MaximumExecutionTimeoutInSeconds": 1800,
                    },
                    "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "errors"}, {"AlarmName": "latency"}]},
                },
            },
        )
        SageMakerHosting(client).update_endpoint("endpoint-1", "config-2", GUARDRAILS)

        stubber.assert_no_pending_responses()


@pytest.mark.parametrize(
    ("shifting", "alarms", "routing"),
    [
        ("ALL_AT_ONCE", (), {}),
        ("LINEAR", ("errors",), {"LinearStepSize": {"Type": "CAPACITY_PERCENT", "Value": 20}}),
    ],
)
def test_traffic_moves_as_asked(shifting, alarms, routing):
    """All at once, or in steps; without alarms nothing is said of roll-back."""
    config = deployment_config(Guardrails(shifting, 20, 60, alarms, instances=5, start_seconds=900))

    assert config["BlueGreenUpdatePolicy"]["TrafficRoutingConfiguration"] == {
        "Type": shifting,
        "WaitIntervalInSeconds": 60,
        **routing,
    }
    assert ("AutoRollbackConfiguration" in config) == bool(alarms)


def test_names_are_listed_newest_first(hosting):
    """By their beginning, for what is old to be removed."""
    for number in (1, 2):
        hosting.create_model(ModelSpec(f"model-{number}", PACKAGE, MODEL.role_arn), TAGS)
        hosting.create_config(ConfigSpec(f"config-{number}", f"model-{number}", "ml.t2.medium", 1), TAGS)

    assert set(hosting.model_names("model-")) == {"model-1", "model-2"}
    assert set(hosting.config_names("config-")) == {"config-1", "config-2"}
    assert hosting.model_names("other-") == []
    assert hosting.models_of("config-2") == ["model-2"]
    assert hosting.models_of("config-9") == []


@pytest.mark.parametrize(
    ("code", "status", "error"),
    [
        ("ThrottlingException", 400, TransientError),
        ("InternalFailure", 500, TransientError),
        ("AccessDeniedException", 400, ConfigurationError),
        ("ResourceLimitExceeded", 400, ConfigurationError),
    ],
)
def test_errors_are_translated_by_code(code, status, error):
    """A refusal or a busy service is never taken for absence."""
    with pytest.raises(error, match="describe the endpoint endpoint-1"):
        SageMakerHosting(stubbed("sagemaker", "describe_endpoint", code, status)).find_endpoint("endpoint-1")


def test_container_errors_are_told():
    """What the container answered is in the error, not only that it did."""
    client = stubbed(
        "sagemaker-runtime",
        "invoke_endpoint",
        "ModelError",
        424,
        modeled_fields={"OriginalStatusCode": 400, "OriginalMessage": '{"error": "row 3"}'},
    )

    with pytest.raises(EndpointError, match=r"answered 400: .*row 3"):
        SageMakerRuntime(client).invoke("endpoint-1", b"1,2", "text/csv", "text/csv")


def test_busy_runtime_is_transient():
    """A busy endpoint may be asked again."""
    client = stubbed("sagemaker-runtime", "invoke_endpoint", "ServiceUnavailable", 503)

    with pytest.raises(TransientError):
        SageMakerRuntime(client).invoke("endpoint-1", b"1,2", "text/csv", "text/csv")

"""What goes in and out of an endpoint is captured in S3, as AWS lays it out."""

import base64
import json
import re

import pytest
from botocore.exceptions import ClientError

from tests.local_cloud.sagemaker.test_endpoints import (
    invoke,
    model,
    serving,  # noqa: F401  a fixture
    settled,
)
from tests.local_cloud.sagemaker.test_variants import shadowed, variant

TYPES = {"CsvContentTypes": ["text/csv"], "JsonContentTypes": ["text/plain"]}


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    """Captured data is written at once."""
    monkeypatch.setattr("local_cloud.sagemaker.data_capture._FLUSH_SECONDS", 0.1)


def capture(modes=("Input", "Output"), share=100, **more):
    """A DataCaptureConfig."""
    return {
        "InitialSamplingPercentage": share,
        "DestinationS3Uri": "s3://forest/captured/",
        "CaptureOptions": [{"CaptureMode": mode} for mode in modes],
        **more,
    }


def begin(cloud, **given):
    """An endpoint whose data are captured."""
    model(cloud, "oak")
    cloud.sagemaker.create_endpoint_config(
        EndpointConfigName="oak-config", ProductionVariants=[variant("main", "oak")], DataCaptureConfig=capture(**given)
    )
    cloud.sagemaker.create_endpoint(EndpointName="grove", EndpointConfigName="oak-config")
    return settled(cloud)


def records(cloud, number, name="main"):
    """The records of a variant, once there are so many."""

    def look():
        keys = cloud.keys(f"captured/grove/{name}/")
        found = [cloud.get(f"captured/grove/{name}/{key}").decode() for key in keys]
        return [json.loads(line) for text in found for line in text.splitlines()]

    return cloud.until(look, lambda found: len(found) >= number)


def test_requests_and_answers_are_captured(serving):  # noqa: F811
    """One line each, below endpoint, variant and hour, with content types, ID and time."""
    endpoint = begin(serving, CaptureContentTypeHeader=TYPES)
    invoke(serving, "1,2", InferenceId="row-7")
    invoke(serving, "3,4")
    found = records(serving, 2)
    key = serving.keys("captured/")[0]
    metadata = found[0]["eventMetadata"]

    assert re.fullmatch(r"grove/main/\d{4}/\d\d/\d\d/\d\d/\d\d-\d\d-\d{3}-[0-9a-f-]{36}\.jsonl", key)
    assert found[0]["captureData"] == {
        "endpointInput": {"observedContentType": "text/csv", "mode": "INPUT", "data": "1,2", "encoding": "CSV"},
        "endpointOutput": {
            "observedContentType": "text/plain",
            "mode": "OUTPUT",
            "data": "oak 1,2 text/csv green",
            "encoding": "JSON",
        },
    }
    assert found[0]["eventVersion"] == "0"
    assert metadata["inferenceId"] == "row-7"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", metadata["inferenceTime"])
    assert "inferenceId" not in found[1]["eventMetadata"]
    assert metadata["eventId"] != found[1]["eventMetadata"]["eventId"]
    assert endpoint["DataCaptureConfig"] == {
        "EnableCapture": True,
        "CaptureStatus": "Started",
        "CurrentSamplingPercentage": 100,
        "DestinationS3Uri": "s3://forest/captured/",
        "KmsKeyId": "",
    }


def test_what_has_no_known_content_type_is_base64(serving):  # noqa: F811
    """And only the sides that were asked for are there."""
    begin(serving, modes=["Input"])
    invoke(serving, b"1,2", ContentType="application/octet-stream")
    (record,) = records(serving, 1)

    assert record["captureData"] == {
        "endpointInput": {
            "observedContentType": "application/octet-stream",
            "mode": "INPUT",
            "data": base64.b64encode(b"1,2").decode(),
            "encoding": "BASE64",
        }
    }


def test_a_share_is_captured(serving):  # noqa: F811
    """About so many requests of a hundred; none of those that failed; nothing when it is switched off."""
    begin(serving, share=30)
    for number in range(100):
        invoke(serving, str(number))
    for _ in range(20):
        with pytest.raises(ClientError):
            invoke(serving, "bad")
    serving.sagemaker.delete_endpoint(EndpointName="grove")  # brings what is left
    serving.until(lambda: serving.sagemaker.list_endpoints()["Endpoints"], lambda left: not left)
    found = records(serving, 1)

    assert 10 <= len(found) <= 55
    assert all(base64.b64decode(one["captureData"]["endpointInput"]["data"]) != b"bad" for one in found)


def test_capture_can_be_switched_off(serving):  # noqa: F811
    """DescribeEndpoint says that it has stopped."""
    endpoint = begin(serving, EnableCapture=False)
    invoke(serving)
    serving.sagemaker.delete_endpoint(EndpointName="grove")
    serving.until(lambda: serving.sagemaker.list_endpoints()["Endpoints"], lambda left: not left)

    assert (endpoint["DataCaptureConfig"]["EnableCapture"], endpoint["DataCaptureConfig"]["CaptureStatus"]) == (
        False,
        "Stopped",
    )
    assert serving.keys("captured/") == []


def test_a_shadow_s_answers_are_captured_beside_production_s(serving):  # noqa: F811
    """Both got the same request, with the same inference ID."""
    shadowed(serving, capture=capture(CaptureContentTypeHeader=TYPES))
    invoke(serving, "5", InferenceId="row-5")
    (production,), (shadow,) = records(serving, 1), records(serving, 1, "shadow")

    assert production["captureData"]["endpointOutput"]["data"].startswith("oak 5")
    assert shadow["captureData"]["endpointOutput"]["data"].startswith("elm 5")
    assert production["captureData"]["endpointInput"] == shadow["captureData"]["endpointInput"]
    assert (production["eventMetadata"]["inferenceId"], shadow["eventMetadata"]["inferenceId"]) == ("row-5", "row-5")


def test_a_place_that_cannot_be_written_harms_nobody(serving, caplog):  # noqa: F811
    """Requests are answered; what is lost is said in the log."""
    begin(serving, DestinationS3Uri="s3://no-such-forest/x")
    answer = invoke(serving)["Body"].read()
    serving.until(lambda: caplog.text, lambda said: "captured requests of main of endpoint grove are lost" in said)

    assert answer.startswith(b"oak")


def test_a_place_outside_s3_is_refused(serving):  # noqa: F811
    """The service model would let https through."""
    with pytest.raises(ClientError, match="DestinationS3Uri must be a location in S3"):
        begin(serving, DestinationS3Uri="https://forest/x")

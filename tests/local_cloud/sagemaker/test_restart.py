"""What SageMaker makes of jobs and endpoints when the local cloud comes back after it was killed."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import boto3
import pytest

from local_cloud.sagemaker import SageMakerService
from tests.local_cloud.sagemaker.conftest import BUCKET, IMAGE, REGION, ROLE, Cloud, connect

SERVER = """\
    #!/opt/program/bin/python
    import os
    from http.server import BaseHTTPRequestHandler, HTTPServer

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()

        def do_POST(self):
            body = os.environ["NAME"].encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    HTTPServer(("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"])), Handler).serve_forever()
"""


@pytest.fixture
def restart(cloud: Cloud) -> Iterator[Callable[[], Cloud]]:
    """Function: ends the service with all its processes at once, as `kill -9` does, and gives the next one."""
    services: list[SageMakerService] = []

    def again() -> Cloud:
        cloud.service.close()
        service = SageMakerService(replace(cloud.service._cloud, hooks=[]))
        services.append(service)
        changes: list[tuple[str, str]] = []
        service.on_state_change(lambda kind, item: changes.append((kind, item.get(f"{kind}Status", "made"))))
        service.recover()
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": REGION}
        return replace(
            cloud,
            service=service,
            sagemaker=connect(boto3.client("sagemaker", **keys), service),
            runtime=connect(boto3.client("sagemaker-runtime", **keys), service),
            changes=changes,
        )

    yield again
    for service in services:
        service.close()


def _status(cloud: Cloud, name: str) -> Callable[[], Any]:
    return lambda: cloud.sagemaker.describe_endpoint(EndpointName=name)


def _in_service(cloud: Cloud, name: str) -> dict[str, Any]:
    described: dict[str, Any] = cloud.until(_status(cloud, name), lambda found: found["EndpointStatus"] == "InService")
    return described


def _configure(cloud: Cloud, name: str, **container: Any) -> None:
    definition = {"Image": IMAGE, "Environment": {"NAME": name}, **container}
    cloud.sagemaker.create_model(ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer=definition)
    variant = {"VariantName": "all", "ModelName": name, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    cloud.sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])


def test_jobs_that_had_ended_are_described_as_before(cloud: Cloud, restart: Callable[[], Cloud]) -> None:
    """With every member, their tags, and their place in the list; their names stay taken."""
    cloud.image.program("quick", "echo done")
    cloud.processing("first", "quick", Tags=[{"Key": "run", "Value": "1"}])
    before = cloud.processed("first")
    again = restart()
    after = again.sagemaker.describe_processing_job(ProcessingJobName="first")
    listed = again.sagemaker.list_processing_jobs()["ProcessingJobSummaries"]
    tags = again.sagemaker.list_tags(ResourceArn=after["ProcessingJobArn"])["Tags"]

    assert {**after, "ResponseMetadata": 0} == {**before, "ResponseMetadata": 0}
    assert [job["ProcessingJobName"] for job in listed] == ["first"]
    assert tags == [{"Key": "run", "Value": "1"}]
    with pytest.raises(again.sagemaker.exceptions.ResourceInUse):
        again.processing("first", "quick")


def test_jobs_that_ran_have_failed(cloud: Cloud, restart: Callable[[], Cloud]) -> None:
    """SageMaker's own error, for their instance is gone; one that was being stopped has stopped; all are told."""
    cloud.image.program("slow", "sleep 100")
    cloud.image.program("train", "sleep 100")
    cloud.image.program("stubborn", "trap '' TERM\ntouch /opt/ml/deaf\nwhile true; do sleep 1; done")
    cloud.processing("runs", "slow")
    cloud.training("trains")
    cloud.processing("stops", "stubborn")
    look = lambda: cloud.sagemaker.describe_training_job(TrainingJobName="trains")  # noqa: E731
    cloud.until(look, lambda job: job["SecondaryStatus"] == "Training")
    cloud.until((cloud.state_dir / "sagemaker/processing-jobs/stops/ml/deaf").exists, bool)
    cloud.sagemaker.stop_processing_job(ProcessingJobName="stops")
    again = restart()
    runs = again.sagemaker.describe_processing_job(ProcessingJobName="runs")
    stops = again.sagemaker.describe_processing_job(ProcessingJobName="stops")
    trains = again.sagemaker.describe_training_job(TrainingJobName="trains")
    secondary = [one["Status"] for one in trains["SecondaryStatusTransitions"]]

    assert (runs["ProcessingJobStatus"], stops["ProcessingJobStatus"]) == ("Failed", "Stopped")
    assert runs["FailureReason"].startswith("InternalServerError: We encountered an internal error.")
    assert runs["ProcessingEndTime"] >= runs["CreationTime"]
    assert "FailureReason" not in stops
    assert (trains["TrainingJobStatus"], trains["SecondaryStatus"]) == ("Failed", "Failed")
    assert trains["FailureReason"].startswith("InternalServerError")
    assert secondary == ["Starting", "Downloading", "Training", "Failed"]
    assert sorted(again.changes) == [
        ("ProcessingJob", "Failed"),
        ("ProcessingJob", "Stopped"),
        ("TrainingJob", "Failed"),
    ]


def test_an_endpoint_serves_the_same_model_again(cloud: Cloud, restart: Callable[[], Cloud]) -> None:
    """It never leaves InService; a request that comes while its server starts waits for it."""
    cloud.image.program("serve", SERVER)
    _configure(cloud, "model-a")
    cloud.sagemaker.create_endpoint(EndpointName="e", EndpointConfigName="model-a", Tags=[{"Key": "k", "Value": "v"}])
    before = _in_service(cloud, "e")
    again = restart()
    at_once = again.sagemaker.describe_endpoint(EndpointName="e")
    answer = again.runtime.invoke_endpoint(EndpointName="e", Body=b"x")["Body"].read()

    assert answer == b"model-a"
    assert (at_once["EndpointStatus"], at_once["EndpointConfigName"]) == ("InService", "model-a")
    assert at_once["CreationTime"] == before["CreationTime"]
    assert "FailureReason" not in at_once
    assert again.sagemaker.list_tags(ResourceArn=before["EndpointArn"])["Tags"] == [{"Key": "k", "Value": "v"}]


def test_an_update_that_was_under_way_is_rolled_back(cloud: Cloud, restart: Callable[[], Cloud]) -> None:
    """The old model serves; the endpoint says what happened, and takes the same update again."""
    cloud.image.program("serve", SERVER)
    _configure(cloud, "model-a")
    cloud.sagemaker.create_endpoint(EndpointName="e", EndpointConfigName="model-a")
    _in_service(cloud, "e")
    cloud.image.program("serve", "sleep 100")
    _configure(cloud, "model-b")
    cloud.sagemaker.update_endpoint(EndpointName="e", EndpointConfigName="model-b")
    cloud.image.program("serve", SERVER)
    again = restart()
    answer = again.runtime.invoke_endpoint(EndpointName="e", Body=b"x")["Body"].read()
    described = _in_service(again, "e")
    again.sagemaker.update_endpoint(EndpointName="e", EndpointConfigName="model-b")
    updated = _in_service(again, "e")

    assert answer == b"model-a"
    assert described["EndpointConfigName"] == "model-a"
    assert "rolled back" in described["FailureReason"]
    assert updated["EndpointConfigName"] == "model-b"
    assert again.runtime.invoke_endpoint(EndpointName="e", Body=b"x")["Body"].read() == b"model-b"


def test_a_creation_that_was_under_way_starts_over(cloud: Cloud, restart: Callable[[], Cloud]) -> None:
    """Nothing was in service yet, so it goes on until the endpoint is, or has failed."""
    cloud.image.program("serve", "sleep 100")
    _configure(cloud, "model-a")
    cloud.sagemaker.create_endpoint(EndpointName="e", EndpointConfigName="model-a")
    cloud.image.program("serve", SERVER)
    again = restart()
    _in_service(again, "e")

    assert again.runtime.invoke_endpoint(EndpointName="e", Body=b"x")["Body"].read() == b"model-a"


def test_an_endpoint_whose_model_is_gone_fails_and_says_so(cloud: Cloud, restart: Callable[[], Cloud]) -> None:
    """The artefact was removed from the bucket: the endpoint cannot serve it again."""
    cloud.image.program("serve", SERVER)
    cloud.image.program("pack", "cd /opt/ml/processing && echo x > m && tar czf out/model.tar.gz m")
    output = {"S3Uri": f"s3://{BUCKET}/m", "LocalPath": "/opt/ml/processing/out", "S3UploadMode": "EndOfJob"}
    outputs = {"Outputs": [{"OutputName": "m", "S3Output": output}]}
    cloud.processing("packs", "pack", ProcessingOutputConfig=outputs)
    assert cloud.processed("packs")["ProcessingJobStatus"] == "Completed"
    _configure(cloud, "model-a", ModelDataUrl=f"s3://{BUCKET}/m/model.tar.gz")
    cloud.sagemaker.create_endpoint(EndpointName="e", EndpointConfigName="model-a")
    _in_service(cloud, "e")
    cloud.s3.delete_object(Bucket=BUCKET, Key="m/model.tar.gz")
    again = restart()
    described = again.until(_status(again, "e"), lambda found: found["EndpointStatus"] == "Failed")

    assert "model.tar.gz" in described["FailureReason"]


def test_what_was_deleted_stays_deleted(cloud: Cloud, restart: Callable[[], Cloud]) -> None:
    """Models, configurations and endpoints that are gone do not come back; the others do, with their tags."""
    cloud.image.program("serve", SERVER)
    _configure(cloud, "model-a")
    _configure(cloud, "model-b")
    arn = cloud.sagemaker.describe_model(ModelName="model-b")["ModelArn"]
    cloud.sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
    cloud.sagemaker.delete_tags(ResourceArn=arn, TagKeys=["a"])
    cloud.sagemaker.create_endpoint(EndpointName="e", EndpointConfigName="model-a")
    _in_service(cloud, "e")
    cloud.sagemaker.delete_endpoint(EndpointName="e")
    cloud.until(lambda: cloud.sagemaker.list_endpoints()["Endpoints"], lambda found: not found)
    cloud.sagemaker.delete_endpoint_config(EndpointConfigName="model-a")
    cloud.sagemaker.delete_model(ModelName="model-a")
    again = restart()

    assert again.sagemaker.list_endpoints()["Endpoints"] == []
    assert [one["ModelName"] for one in again.sagemaker.list_models()["Models"]] == ["model-b"]
    assert [one["EndpointConfigName"] for one in again.sagemaker.list_endpoint_configs()["EndpointConfigs"]] == [
        "model-b"
    ]
    assert again.sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "b", "Value": "2"}]

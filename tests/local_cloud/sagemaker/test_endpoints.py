import contextlib
import io
import os
import signal
import tarfile
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

BUCKET, ROLE = "forest", "arn:aws:iam::000000000000:role/model"
IMAGE = "000000000000.dkr.ecr.us-east-1.amazonaws.com/jobs:1"
SERVE = """
    #!/usr/bin/env python
    import json, os, sys
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
    word = open("/opt/ml/model/word").read()
    if word == "crash":
        sys.exit("cannot load")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        def answer(self, status, text, **headers):
            self.send_response(status)
            self.send_header("Content-Type", "text/plain")
            self.send_header("Content-Length", str(len(text)))
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(text.encode())
        def do_GET(self):
            self.answer(503 if word == "sick" else 200, "")
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            if body == "bad":
                return self.answer(400, "no number in row 1")
            attributes = self.headers.get("X-Amzn-SageMaker-Custom-Attributes", "")
            text = f"{word} {body} {self.headers['Content-Type']} {os.environ['COLOUR']}"
            self.answer(200, text, X_Amzn_SageMaker_Custom_Attributes=attributes)

    ThreadingHTTPServer(("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"])), Handler).serve_forever()
"""


@pytest.fixture
def serving(cloud):
    """The cloud with an image that serves."""
    cloud.image.program("serve", SERVE)
    return cloud


def model(cloud, word, name=None):
    """Makes a model that answers with a word."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as tar:
        member = tarfile.TarInfo("word")
        member.size = len(word)
        tar.addfile(member, io.BytesIO(word.encode()))
    url = cloud.put(f"models/{word}.tar.gz", content.getvalue())
    container = {"Image": IMAGE, "ModelDataUrl": url, "Environment": {"COLOUR": "green"}}
    cloud.sagemaker.create_model(ModelName=name or word, ExecutionRoleArn=ROLE, PrimaryContainer=container)


def config(cloud, name, *words, **more):
    """Makes models and an endpoint configuration with a variant of each."""
    for word in words:
        model(cloud, word)
    variants = [
        {"VariantName": f"v{word}", "ModelName": word, "InitialInstanceCount": 1, "InstanceType": "ml.t2.medium"} | more
        for word in words
    ]
    cloud.sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=variants)


def settled(cloud, name="grove"):
    """The endpoint when nothing is going on."""
    return cloud.until(
        lambda: cloud.sagemaker.describe_endpoint(EndpointName=name),
        lambda endpoint: endpoint["EndpointStatus"] in ("InService", "Failed"),
    )


def invoke(cloud, body="hello", **more):
    """Invokes the endpoint."""
    return cloud.runtime.invoke_endpoint(EndpointName="grove", Body=body, **{"ContentType": "text/csv"} | more)


def create(cloud, word="oak"):
    """Makes the endpoint."""
    config(cloud, f"{word}-config", word)
    cloud.sagemaker.create_endpoint(EndpointName="grove", EndpointConfigName=f"{word}-config")
    return settled(cloud)


def test_serves_a_model(serving):
    """An endpoint in service answers with its model; content type and custom attributes go both ways."""
    endpoint = create(serving)
    answer = invoke(serving, CustomAttributes="trace=7")

    assert endpoint["EndpointStatus"] == "InService", endpoint
    assert endpoint["ProductionVariants"][0]["DeployedImages"][0]["SpecifiedImage"] == IMAGE
    assert answer["Body"].read() == b"oak hello text/csv green"
    assert answer["ContentType"] == "text/plain"
    assert answer["InvokedProductionVariant"] == "voak"
    assert answer["CustomAttributes"] == "trace=7"
    assert serving.told("Endpoint", "Creating", "InService")


def test_update_switches_to_the_new_model(serving):
    """After an update the new configuration answers and the old process is gone."""
    create(serving)
    config(serving, "elm-config", "elm")
    serving.sagemaker.update_endpoint(EndpointName="grove", EndpointConfigName="elm-config")
    updating = serving.sagemaker.describe_endpoint(EndpointName="grove")
    endpoint = settled(serving)

    assert (updating["EndpointStatus"], updating["EndpointConfigName"]) == ("Updating", "oak-config")
    assert updating["PendingDeploymentSummary"]["EndpointConfigName"] == "elm-config"
    assert (endpoint["EndpointStatus"], endpoint["EndpointConfigName"]) == ("InService", "elm-config")
    assert invoke(serving)["Body"].read().startswith(b"elm ")


@pytest.mark.parametrize("word", ["crash", "sick"])
def test_a_failed_update_is_rolled_back(serving, word):
    """An update whose container does not become healthy ends InService with the old configuration and a reason."""
    create(serving)
    model(serving, word)
    variant = {"VariantName": "v", "ModelName": word, "InitialInstanceCount": 1, "InstanceType": "ml.t2.medium"}
    serving.sagemaker.create_endpoint_config(EndpointConfigName="new", ProductionVariants=[variant])
    if word == "sick":  # 60 seconds is the least that the API takes; the check itself is the same
        record = serving.service._store.configs["new"]["ProductionVariants"][0]
        record["ContainerStartupHealthCheckTimeoutInSeconds"] = 1
    serving.sagemaker.update_endpoint(EndpointName="grove", EndpointConfigName="new")
    endpoint = settled(serving)

    assert (endpoint["EndpointStatus"], endpoint["EndpointConfigName"]) == ("InService", "oak-config")
    assert "did not pass the ping health check" in endpoint["FailureReason"]
    assert invoke(serving)["Body"].read().startswith(b"oak ")


def test_a_failed_creation(serving):
    """An endpoint whose container crashes ends Failed; it can be deleted, not updated, and its log is there."""
    endpoint = create(serving, "crash")
    with pytest.raises(ClientError, match="Cannot update failed endpoint"):
        serving.sagemaker.update_endpoint(EndpointName="grove", EndpointConfigName="crash-config")
    serving.sagemaker.delete_endpoint(EndpointName="grove")

    assert endpoint["EndpointStatus"] == "Failed"
    assert "exit code 1" in endpoint["FailureReason"]
    assert "cannot load" in serving.log("/aws/sagemaker/Endpoints/grove")


def test_an_error_of_the_model_reaches_the_caller(serving):
    """A response of the container with an error status becomes a ModelError that carries it."""
    create(serving)
    with pytest.raises(serving.runtime.exceptions.ModelError) as caught:
        invoke(serving, "bad")

    response = caught.value.response
    assert response["OriginalStatusCode"] == 400
    assert response["OriginalMessage"] == "no number in row 1"
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert 'Received client error (400) from primary with message "no number in row 1"' in str(caught.value)


def test_an_unknown_endpoint_and_too_large_a_body(serving):
    """Invoking what does not exist is a ValidationError; more than 6 MB is refused with status 413."""
    with pytest.raises(ClientError) as unknown:
        invoke(serving)
    with pytest.raises(ClientError) as large:
        invoke(serving, b"x" * (6 * 1024 * 1024 + 1))

    error = unknown.value.response["Error"]
    assert error == {"Code": "ValidationError", "Message": "Endpoint grove of account 000000000000 not found."}
    assert large.value.response["ResponseMetadata"]["HTTPStatusCode"] == 413


def test_a_server_that_crashes_is_started_again(serving):
    """SageMaker restarts a container that ended; so requests succeed again after a while."""
    create(serving)
    old = serving_process()
    os.kill(old, signal.SIGKILL)
    serving.until(serving_process, lambda new: new not in (None, old))

    def answer():
        try:
            return invoke(serving)["Body"].read()
        except ClientError:
            return None

    assert serving.until(answer, bool).startswith(b"oak ")


def serving_process():
    """The process ID, on the host, of the program `serve`; None when there is none."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if "/opt/program/bin/serve" in (entry / "cmdline").read_text():
                    return int(entry.name)
    return None


def test_a_variant_can_be_chosen(serving):
    """TargetVariant picks the variant; an unknown one is refused."""
    config(serving, "both", "oak", "elm")
    serving.sagemaker.create_endpoint(EndpointName="grove", EndpointConfigName="both")
    settled(serving)

    assert invoke(serving, TargetVariant="velm")["Body"].read().startswith(b"elm ")
    assert invoke(serving, TargetVariant="voak")["InvokedProductionVariant"] == "voak"
    with pytest.raises(ClientError, match="Variant none not found"):
        invoke(serving, TargetVariant="none")


def test_delete_ends_the_process_and_frees_the_name(serving):
    """A deleted endpoint answers nothing and is gone; its name can be used again."""
    create(serving)
    serving.sagemaker.delete_endpoint(EndpointName="grove")

    def gone():
        return serving.sagemaker.list_endpoints()["Endpoints"] == []

    serving.until(gone, bool)
    with pytest.raises(ClientError) as caught:
        serving.sagemaker.describe_endpoint(EndpointName="grove")
    assert caught.value.response["Error"]["Message"] == (
        'Could not find endpoint "arn:aws:sagemaker:us-east-1:000000000000:endpoint/grove".'
    )
    serving.sagemaker.create_endpoint(EndpointName="grove", EndpointConfigName="oak-config")
    assert settled(serving)["EndpointStatus"] == "InService"


def test_an_endpoint_in_progress_is_left_alone(serving):
    """While it is created, an endpoint can be neither updated nor deleted nor created again."""
    config(serving, "oak-config", "oak")
    serving.sagemaker.create_endpoint(EndpointName="grove", EndpointConfigName="oak-config")
    for call in (
        lambda: serving.sagemaker.update_endpoint(EndpointName="grove", EndpointConfigName="oak-config"),
        lambda: serving.sagemaker.delete_endpoint(EndpointName="grove"),
    ):
        with pytest.raises(ClientError, match="Cannot update in-progress endpoint"):
            call()
    with pytest.raises(ClientError, match="Cannot create already existing endpoint"):
        serving.sagemaker.create_endpoint(EndpointName="grove", EndpointConfigName="oak-config")

    assert settled(serving)["EndpointStatus"] == "InService"


def test_what_an_endpoint_needs_must_exist(serving):
    """Configurations, models, model data and images that do not exist are named."""
    api, uri = serving.sagemaker, f"s3://{BUCKET}/none"
    nobody = "arn:aws:iam::000000000000:role/nobody"
    variant = {"VariantName": "v", "ModelName": "none", "InitialInstanceCount": 1, "InstanceType": "ml.t2.medium"}

    def new_model(role=ROLE, **container):
        api.create_model(ModelName="m", ExecutionRoleArn=role, PrimaryContainer={"Image": IMAGE} | container)

    with pytest.raises(ClientError, match='Could not find endpoint configuration "arn'):
        api.create_endpoint(EndpointName="grove", EndpointConfigName="none")
    with pytest.raises(ClientError, match='Could not find model "arn'):
        api.create_endpoint_config(EndpointConfigName="c", ProductionVariants=[variant])
    with pytest.raises(ClientError, match=f"Could not find model data at {uri}"):
        new_model(ModelDataUrl=uri)
    with pytest.raises(ClientError, match="Requested image nothing not found"):
        new_model(Image="nothing")
    with pytest.raises(ClientError, match=f"Could not assume role {nobody}"):
        new_model(role=nobody)

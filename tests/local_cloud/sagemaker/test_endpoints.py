import contextlib
import io
import os
import signal
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from botocore.exceptions import ClientError, WaiterError

from local_cloud.faults import Ping
from local_cloud.sagemaker import SageMakerEnvironment, container_client
from local_cloud.sagemaker import serving as model_serving

BUCKET, ROLE = "forest", "arn:aws:iam::000000000000:role/model"
IMAGE = "000000000000.dkr.ecr.us-east-1.amazonaws.com/jobs:1"
SERVE = """
    #!/usr/bin/env python
    import json, os, sys, time
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
    word = open("/opt/ml/model/word").read()
    if word == "crash":
        sys.exit("cannot load")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # an answer is one packet: the second would wait until the first is acknowledged
        def answer(self, status, text, **headers):
            self.send_response(status)
            self.send_header("Content-Type", "text/plain")
            self.send_header("Content-Length", str(len(text)))
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(text.encode())
        def do_GET(self):
            if word == "slow" or os.path.exists("/tmp/hung"):
                time.sleep(3)
            self.answer(503 if word == "sick" else 200, "")
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            if body == "bad":
                return self.answer(400, "no number in row 1")
            if body == "hang":
                open("/tmp/hung", "w").close()
            if body == "wait":
                time.sleep(30)
            if body == "until":
                open("/tmp/asked", "w").close()
                while not os.path.exists("/tmp/answer"):
                    time.sleep(0.01)
            if body == "drip":
                self.send_response(200)
                self.send_header("Content-Length", "100")
                self.end_headers()
                for _ in range(100):
                    self.wfile.write(b"x")
                    self.wfile.flush()
                    time.sleep(0.1)
                return
            if body == "large":
                return self.answer(200, "x" * (6 * 1024 * 1024 + 1))
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
        lambda endpoint: endpoint["EndpointStatus"] in ("InService", "Failed", "UpdateRollbackFailed"),
    )


SOON = {"Delay": 0.05, "MaxAttempts": 400}


def update(cloud, word):
    """Starts an update to a model; a container that is sick or slow has one second to become healthy."""
    config(cloud, f"{word}-config", word)
    if word in ("sick", "slow"):
        # 60 seconds is the least that the API takes; the check itself is the same
        record = cloud.service._store.configs[f"{word}-config"]["ProductionVariants"][0]
        record["ContainerStartupHealthCheckTimeoutInSeconds"] = 1
    cloud.sagemaker.update_endpoint(EndpointName="grove", EndpointConfigName=f"{word}-config")


def invoke(cloud, body="hello", **more):
    """Invokes the endpoint."""
    return cloud.runtime.invoke_endpoint(EndpointName="grove", Body=body, **{"ContentType": "text/csv"} | more)


def create(cloud, word="oak"):
    """Makes the endpoint."""
    config(cloud, f"{word}-config", word)
    cloud.sagemaker.create_endpoint(EndpointName="grove", EndpointConfigName=f"{word}-config")
    return settled(cloud)


@contextlib.contextmanager
def unhealthy(cloud):
    """Meanwhile no container that is started becomes healthy: its endpoint stays Creating or Updating."""
    cloud.faults.arm([Ping(times=None)])
    try:
        yield
    finally:
        cloud.faults.clear()


def temporary_directory(cloud):
    """The folder, on the host, that is /tmp of the endpoint's only container."""
    return next((cloud.state_dir / "sagemaker/endpoints/grove").glob("*/*/tmp"))


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
    with unhealthy(serving):
        serving.sagemaker.update_endpoint(EndpointName="grove", EndpointConfigName="elm-config")
        updating = serving.sagemaker.describe_endpoint(EndpointName="grove")
    endpoint = settled(serving)

    assert (updating["EndpointStatus"], updating["EndpointConfigName"]) == ("Updating", "oak-config")
    assert updating["PendingDeploymentSummary"]["EndpointConfigName"] == "elm-config"
    assert (endpoint["EndpointStatus"], endpoint["EndpointConfigName"]) == ("InService", "elm-config")
    assert invoke(serving)["Body"].read().startswith(b"elm ")


@pytest.mark.parametrize("word", ["crash", "sick", "slow"])
def test_a_failed_update_is_rolled_back(serving, word):
    """An update whose container does not answer /ping with 200 in 2 s goes back: RollingBack, then InService.

    The old configuration serves all the time, and the reason is told.
    """
    cloud = serving
    create(cloud)
    update(cloud, word)
    endpoint = settled(cloud)

    assert (endpoint["EndpointStatus"], endpoint["EndpointConfigName"]) == ("InService", "oak-config")
    assert "did not pass the ping health check" in endpoint["FailureReason"]
    assert "PendingDeploymentSummary" not in endpoint
    assert invoke(cloud)["Body"].read().startswith(b"oak ")
    assert cloud.told("Endpoint", "Creating", "InService", "Updating", "RollingBack", "InService")


def test_a_request_under_way_is_answered_by_the_old_container(serving):
    """The old fleet ends when it has answered what it was asked; a caller never notices an update."""
    create(serving)
    tmp = temporary_directory(serving)
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(lambda: invoke(serving, "until")["Body"].read())
        serving.until((tmp / "asked").exists, bool)
        update(serving, "elm")
        settled(serving)
        after = invoke(serving)["Body"].read()

        assert after.startswith(b"elm ")
        assert not slow.done()
        (tmp / "answer").touch()
        assert slow.result().startswith(b"oak ")


def test_while_it_rolls_back_an_endpoint_serves_and_is_left_alone(serving, monkeypatch):
    """During RollingBack the old configuration answers; updates and deletions are refused."""
    cloud, seen = serving, []
    create(cloud)

    def look(kind, description):
        if kind != "Endpoint" or description["EndpointStatus"] != "RollingBack":
            return
        seen.append(invoke(cloud)["Body"].read())
        for call in (
            lambda: cloud.sagemaker.update_endpoint(EndpointName="grove", EndpointConfigName="oak-config"),
            lambda: cloud.sagemaker.delete_endpoint(EndpointName="grove"),
        ):
            with pytest.raises(ClientError, match="Cannot update in-progress endpoint"):
                call()
            seen.append("refused")

    cloud.service.on_state_change(look)
    update(cloud, "crash")
    settled(cloud)

    assert seen == [b"oak hello text/csv green", "refused", "refused"]


def test_an_update_whose_way_back_is_lost(serving):
    """When the old container is gone for good, too, the endpoint is UpdateRollbackFailed, and can be updated again."""
    cloud = serving
    create(cloud)
    (cloud.image.folder / "serve").rename(cloud.image.folder / "away")
    os.kill(serving_process(cloud), signal.SIGKILL)
    cloud.until(lambda: serving_process(cloud), lambda found: found is None)
    update(cloud, "crash")
    failed = settled(cloud)
    with pytest.raises(cloud.runtime.exceptions.ModelError):
        invoke(cloud)
    (cloud.image.folder / "away").rename(cloud.image.folder / "serve")
    update(cloud, "elm")
    after = settled(cloud)

    assert (failed["EndpointStatus"], failed["EndpointConfigName"]) == ("UpdateRollbackFailed", "oak-config")
    assert (after["EndpointStatus"], after["EndpointConfigName"]) == ("InService", "elm-config")
    assert invoke(cloud)["Body"].read().startswith(b"elm ")


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
    old = serving_process(serving)
    os.kill(old, signal.SIGKILL)
    serving.until(lambda: serving_process(serving), lambda new: new not in (None, old))

    def answer():
        try:
            return invoke(serving)["Body"].read()
        except ClientError:
            return None

    assert serving.until(answer, bool).startswith(b"oak ")


def serving_process(cloud):
    """The process ID, on the host, of this cloud's program `serve`; None when there is none."""
    model = str(cloud.state_dir.relative_to(cloud.state_dir.anchor))  # of which /opt/ml/model is mounted
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                ours = model in (entry / "mountinfo").read_text()
                if ours and "/opt/program/bin/serve" in (entry / "cmdline").read_text():
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
    with unhealthy(serving):
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
    with pytest.raises(
        ClientError, match=f'The execution role ARN "{nobody}" is invalid. Please ensure that the role exists'
    ):
        new_model(role=nobody)
    with pytest.raises(ClientError, match="Specify one of either Image and Model Data URL or ModelPackageName in"):
        new_model(ModelPackageName="arn:aws:sagemaker:us-east-1:000000000000:model-package/grove/1")


def test_an_answer_has_sixty_seconds(serving, monkeypatch):
    """A container that does not answer in time, or drips its answer, is a ModelError with status 0, in AWS's words."""
    monkeypatch.setattr(container_client, "INVOCATION_TIMEOUT_SECONDS", 0.5)
    create(serving)
    for body in ("wait", "drip"):
        with pytest.raises(serving.runtime.exceptions.ModelError) as caught:
            invoke(serving, body)

        assert caught.value.response["OriginalStatusCode"] == 0
        assert "Received server error (0) from primary with message" in str(caught.value)
        assert "Your invocation timed out while waiting for a response from container primary" in str(caught.value)

    monkeypatch.undo()
    assert invoke(serving)["Body"].read().startswith(b"oak ")


def test_limits_are_those_of_the_documentation():
    """2 s for /ping, 60 s for an answer, 8 minutes to become healthy, 30 s between SIGTERM and SIGKILL."""
    assert (container_client.PING_TIMEOUT_SECONDS, container_client.INVOCATION_TIMEOUT_SECONDS) == (2, 60)
    assert model_serving.STARTUP_TIMEOUT_SECONDS == 480
    assert SageMakerEnvironment.serving_grace_seconds == 30


def test_a_large_answer_is_an_error(serving):
    """A response of more than 6 MB does not reach the caller."""
    create(serving)
    with pytest.raises(serving.runtime.exceptions.ModelError, match="larger than 6291456 bytes"):
        invoke(serving, "large")

    assert len(invoke(serving, b"x" * (6 * 1024 * 1024 - 100))["Body"].read()) > 6 * 1024 * 1024 - 100


def test_a_container_that_is_down_is_a_model_error(serving, monkeypatch):
    """Until a container that died is up again, callers get ModelError 424 with the place of the log."""
    monkeypatch.setattr(model_serving, "_RESTART_PAUSE_SECONDS", 60)
    create(serving)
    os.kill(serving_process(serving), signal.SIGKILL)
    serving.until(lambda: serving_process(serving), lambda found: found is None)
    with pytest.raises(serving.runtime.exceptions.ModelError) as caught:
        invoke(serving)

    response = caught.value.response
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert response["OriginalMessage"].startswith("Amazon SageMaker could not get a response from the grove endpoint.")
    assert response["LogStreamArn"] == "arn:aws:logs:us-east-1:000000000000:log-group:/aws/sagemaker/Endpoints/grove"


def test_a_container_that_hangs_is_replaced(serving, monkeypatch):
    """A container that was healthy and answers no health check any more is started again; the status stays."""
    monkeypatch.setattr(model_serving, "PING_EVERY_SECONDS", 0.1)
    monkeypatch.setattr(container_client, "PING_TIMEOUT_SECONDS", 0.5)
    create(serving)
    old = serving_process(serving)
    invoke(serving, "hang")
    tmp = temporary_directory(serving)
    serving.until(lambda: serving_process(serving), lambda new: new != old)
    (tmp / "hung").unlink(missing_ok=True)

    def answer():
        try:
            return invoke(serving)["Body"].read()
        except ClientError:
            return None

    assert serving.until(answer, bool).startswith(b"oak ")
    assert serving.sagemaker.describe_endpoint(EndpointName="grove")["EndpointStatus"] == "InService"


def test_an_endpoint_keeps_what_it_was_made_from(serving):
    """Configuration, model and model data can be deleted under it: it serves on, also after its container crashed."""
    cloud = serving
    create(cloud)
    cloud.sagemaker.delete_endpoint_config(EndpointConfigName="oak-config")
    cloud.sagemaker.delete_model(ModelName="oak")
    cloud.s3.delete_object(Bucket=BUCKET, Key="models/oak.tar.gz")
    old = serving_process(serving)
    os.kill(old, signal.SIGKILL)
    cloud.until(lambda: serving_process(cloud), lambda new: new not in (None, old))

    def answer():
        try:
            return invoke(cloud)["Body"].read()
        except ClientError:
            return None

    assert cloud.until(answer, bool).startswith(b"oak ")


def test_without_its_configuration_an_endpoint_cannot_be_updated(serving):
    """UpdateEndpoint looks for the configuration in service, too; deleting the endpoint is what is left."""
    cloud = serving
    create(cloud)
    cloud.sagemaker.delete_endpoint_config(EndpointConfigName="oak-config")
    config(cloud, "elm-config", "elm")
    with pytest.raises(ClientError, match=r"Could not find endpoint configuration .*oak-config"):
        cloud.sagemaker.update_endpoint(EndpointName="grove", EndpointConfigName="elm-config")
    cloud.sagemaker.delete_endpoint(EndpointName="grove")
    cloud.sagemaker.get_waiter("endpoint_deleted").wait(EndpointName="grove", WaiterConfig=SOON)

    assert cloud.sagemaker.list_endpoints()["Endpoints"] == []


def test_waiters_of_the_sdk(serving):
    """boto3's waiters see an endpoint come into service, fail and go."""
    cloud, deleting = serving, []
    api = cloud.sagemaker

    def look(kind, description):  # is called before anything is stopped
        if kind == "Endpoint" and description["EndpointStatus"] == "Deleting":
            deleting.append(api.describe_endpoint(EndpointName="grove")["EndpointStatus"])

    cloud.service.on_state_change(look)
    config(cloud, "oak-config", "oak")
    config(cloud, "crash-config", "crash")
    with unhealthy(cloud):
        api.create_endpoint(EndpointName="grove", EndpointConfigName="oak-config")
        creating = api.describe_endpoint(EndpointName="grove")
        with pytest.raises(ClientError, match="Endpoint grove of account 000000000000 not found"):
            invoke(cloud)
    api.get_waiter("endpoint_in_service").wait(EndpointName="grove", WaiterConfig=SOON)
    api.create_endpoint(EndpointName="moor", EndpointConfigName="crash-config")
    with pytest.raises(WaiterError, match="Failed"):
        api.get_waiter("endpoint_in_service").wait(EndpointName="moor", WaiterConfig=SOON)
    api.delete_endpoint(EndpointName="grove")
    api.get_waiter("endpoint_deleted").wait(EndpointName="grove", WaiterConfig=SOON)

    pending = creating["PendingDeploymentSummary"]
    assert (creating["EndpointStatus"], deleting) == ("Creating", ["Deleting"])
    assert pending["ProductionVariants"][0]["DeployedImages"][0]["SpecifiedImage"] == IMAGE
    assert pending["ProductionVariants"][0]["DesiredInstanceCount"] == 1


@pytest.mark.parametrize(
    ("container", "words"),
    [
        ({"Environment": {"LONG": "x" * 1025}}, "at 'primaryContainer.environment'.*less than or equal to 1024"),
        ({"Environment": {f"V{i}": "" for i in range(101)}}, "at 'primaryContainer.environment'.*or equal to 100"),
        ({"Environment": {"1ST": "x"}}, r"Map keys must satisfy"),
    ],
)
def test_a_models_environment_is_limited(serving, container, words):
    """Names, sizes and number of a model container's variables are checked."""
    with pytest.raises(ClientError, match=words):
        serving.sagemaker.create_model(
            ModelName="m", ExecutionRoleArn=ROLE, PrimaryContainer={"Image": IMAGE} | container
        )

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from botocore.model import ListShape, MapShape, StructureShape

from local_cloud.sagemaker import supported, validation
from local_cloud.sagemaker.api_model import operation, service_model
from local_cloud.sagemaker.errors import ServiceError
from local_cloud.sagemaker.listing import list_resources
from local_cloud.sagemaker.names import MODEL


def call(cloud, name, request):
    """Sends a request that no SDK would send."""
    headers = {"X-Amz-Target": f"SageMaker.{name}"}
    body = request if isinstance(request, bytes) else json.dumps(request).encode()
    status, _, content = asyncio.run(cloud.service.handle("POST", "/", headers, body, {}))
    return status, json.loads(content)


def shapes(shape, path="", seen=()):
    """All shapes below a shape with their paths."""
    yield path, shape
    if shape.name in seen:
        return
    seen = (*seen, shape.name)
    if isinstance(shape, StructureShape):
        for name, member in shape.members.items():
            yield from shapes(member, f"{path}.{name}" if path else name, seen)
    elif isinstance(shape, ListShape):
        yield from shapes(shape.member, path, seen)
    elif isinstance(shape, MapShape):
        yield from shapes(shape.key, f"{path}.key", seen)
        yield from shapes(shape.value, f"{path}.value", seen)


def test_a_name_outside_the_pattern_is_refused_in_aws_words(cloud):
    """A job name with an underscore fails the service model's pattern, with AWS's message."""
    with pytest.raises(ClientError) as caught:
        cloud.processing("no_underscores", "x")

    assert caught.value.response["Error"] == {
        "Code": "ValidationException",
        "Message": "1 validation error detected: Value 'no_underscores' at 'processingJobName' failed to satisfy "
        "constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}",
    }


def test_all_violations_are_reported_together(cloud):
    """Missing members, wrong enumeration values, ranges and lengths are reported in one message with their paths."""
    status, answer = call(cloud, "CreateEndpointConfig", {
        "EndpointConfigName": "x" * 64,
        "ProductionVariants": [{"ModelName": "m", "InstanceType": "ml.tree", "InitialInstanceCount": 0}],
    })  # fmt: skip

    assert (status, answer["__type"]) == (400, "ValidationException")
    assert answer["message"].startswith("5 validation errors detected: ")
    for words in (
        "at 'endpointConfigName' failed to satisfy constraint: Member must have length less than or equal to 63",
        "Value null at 'productionVariants.1.member.variantName' failed to satisfy constraint: Member must not be null",
        "Value 'ml.tree' at 'productionVariants.1.member.instanceType' failed to satisfy constraint: "
        "Member must satisfy enum value set: [",
        "Value '0' at 'productionVariants.1.member.initialInstanceCount' failed to satisfy constraint: "
        "Member must have value greater than or equal to 1",
    ):
        assert words in answer["message"]


def test_long_environment_values_are_refused(cloud):
    """Values of a processing job's environment have at most 256 characters; the whole map is named."""
    with pytest.raises(ClientError, match="at 'environment' failed to satisfy constraint: Map value must satisfy"):
        cloud.processing("env", "x", Environment={"LONG": "x" * 300})


@pytest.mark.parametrize("kind", ["CreateProcessingJob", "CreateTrainingJob"])
def test_a_jobs_environment_is_limited_in_number(cloud, kind):
    """A job has at most 100 variables."""
    _, answer = call(cloud, kind, {"Environment": {f"V{number}": "x" for number in range(101)}})

    assert (
        "'environment' failed to satisfy constraint: Member must have length less than or equal to 100"
        in (answer["message"])
    )


@pytest.mark.parametrize(
    ("value", "token"), [(7, "NUMBER_VALUE"), (0.5, "NUMBER_VALUE"), (True, "TRUE_VALUE"), ([], "START_ARRAY")]
)
def test_hyperparameters_are_strings(cloud, value, token):
    """A hyperparameter that is no string is refused, as by AWS, and not turned into one."""
    status, answer = call(cloud, "CreateTrainingJob", {"TrainingJobName": "t", "HyperParameters": {"trees": value}})

    assert (status, answer["__type"]) == (400, "SerializationException")
    assert answer["message"].startswith(f"{token} can not be converted to a String")
    assert "trees" in answer["message"]


def test_hyperparameters_are_limited(cloud):
    """At most 100, with names of 256 and values of 2500 characters."""
    _, many = call(cloud, "CreateTrainingJob", {"HyperParameters": {f"h{number}": "" for number in range(101)}})
    _, long = call(cloud, "CreateTrainingJob", {"HyperParameters": {"h" * 257: "", "h": "x" * 2501}})

    assert (
        "at 'hyperParameters' failed to satisfy constraint: Member must have length less than or equal to 100"
        in (many["message"])
    )
    assert "Map keys must satisfy constraint: [Member must have length less than or equal to 256" in long["message"]
    assert "Map value must satisfy constraint: [Member must have length less than or equal to 2500" in long["message"]


INSTANCES = {  # of what kind an instance type exists; https://docs.aws.amazon.com/sagemaker/latest/dg/notebooks-available-instance-types.html
    "CreateProcessingJob": ("processingResources.clusterConfig.instanceType", "ml.t3.medium", "ml.t2.medium"),
    "CreateTrainingJob": ("resourceConfig.instanceType", "ml.m5.large", "ml.t2.medium"),
    "CreateEndpointConfig": ("productionVariants.1.member.instanceType", "ml.t2.medium", "ml.t3.medium"),
}


@pytest.mark.parametrize("kind", INSTANCES)
def test_instance_types_exist_for_the_kind_of_work(cloud, kind):
    """What is an instance type for processing need not be one for hosting; one without `ml.` is none at all."""
    path, exists, other = INSTANCES[kind]

    def refused(instance_type):
        request = {
            "ProcessingResources": {"ClusterConfig": {"InstanceType": instance_type}},
            "ResourceConfig": {"InstanceType": instance_type},
            "ProductionVariants": [{"InstanceType": instance_type}],
        }
        known = operation(kind).input_shape.members
        _, answer = call(cloud, kind, {name: value for name, value in request.items() if name in known})
        return (
            f"Value '{instance_type}' at '{path}' failed to satisfy constraint: Member must satisfy enum value set"
            in (answer["message"])
        )

    assert not refused(exists)
    assert refused(other)
    assert refused(exists.removeprefix("ml."))


@pytest.mark.parametrize(
    ("kind", "member"),
    [
        ("CreateProcessingJob", "processingJobName"),
        ("CreateTrainingJob", "trainingJobName"),
        ("CreateModel", "modelName"),
        ("CreateEndpointConfig", "endpointConfigName"),
        ("CreateEndpoint", "endpointName"),
    ],
)
@pytest.mark.parametrize("name", ["with_underscore", "-begins", "ends-", "dot.dot", "x" * 64, "", "über"])
def test_names_have_a_pattern(cloud, kind, member, name):
    """Letters, digits and hyphens between them, 63 at most."""
    _, answer = call(cloud, kind, {member[0].upper() + member[1:]: name})

    assert f"at '{member}' failed to satisfy constraint" in answer["message"]


@pytest.mark.parametrize(
    ("request_body", "code"),
    [
        ({"ProcessingJobName": 7}, "SerializationException"),
        (b"{", "SerializationException"),
        ([], "SerializationException"),
        ({"ProcessingJobName": "a", "Processor": "b"}, "ValidationException"),
    ],
)
def test_malformed_requests(cloud, request_body, code):
    """Wrong types, broken JSON and unknown members are refused."""
    status, answer = call(cloud, "DescribeProcessingJob", request_body)

    assert (status, answer["__type"]) == (400, code)


def test_what_would_not_be_honoured_is_refused_by_name(cloud):
    """Members without effect here, and values that are not supported, stop the request and are named."""
    with pytest.raises(ClientError) as caught:
        cloud.processing(
            "net",
            "x",
            NetworkConfig={
                "EnableNetworkIsolation": True,
                "VpcConfig": {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]},
            },
        )

    message = caught.value.response["Error"]["Message"]
    assert "NetworkConfig.EnableNetworkIsolation=True (only False)" in message
    assert "NetworkConfig.VpcConfig.SecurityGroupIds" in message


def test_an_operation_that_is_not_supported_is_named(cloud):
    """An operation this service does not have is refused with its name."""
    with pytest.raises(ClientError, match="does not support SageMaker's CreateNotebookInstance") as caught:
        cloud.sagemaker.create_notebook_instance(
            NotebookInstanceName="n", InstanceType="ml.t2.medium", RoleArn="arn:aws:iam::000000000000:role/x"
        )

    assert caught.value.response["Error"]["Code"] == "UnknownOperationException"


def test_tags(cloud):
    """Tags come with a resource, can be added and removed, and belong to existing resources only."""
    cloud.image.program("quick", "true")
    arn = cloud.processing("tagged", "quick", Tags=[{"Key": "run", "Value": "1"}])["ProcessingJobArn"]
    cloud.sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "stage", "Value": "preprocess"}])
    cloud.sagemaker.delete_tags(ResourceArn=arn, TagKeys=["run"])
    with pytest.raises(cloud.sagemaker.exceptions.ResourceNotFound):
        cloud.sagemaker.list_tags(ResourceArn=arn.replace("tagged", "ghost"))

    assert cloud.sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "stage", "Value": "preprocess"}]


def test_the_lists_of_members_match_the_service_model():
    """Every member in the lists of what is supported exists in SageMaker's service model, and in one list only."""
    for name, honoured in supported.HONOURED.items():
        known = {path for path, _ in shapes(operation(name).input_shape)}
        inert, only = set(supported.INERT.get(name, {})), set(supported.ONLY.get(name, {}))

        assert honoured | inert | only <= known
        assert len(honoured) + len(inert) + len(only) == len(honoured | inert | only)


def test_every_pattern_of_a_supported_member_is_checked(cloud):
    """No pattern of a member that is accepted has to be skipped because Python cannot express it."""
    for name in cloud.service.operations:
        accepted = supported.HONOURED.get(name, frozenset()) | supported.ONLY.get(name, {}).keys()
        for path, shape in shapes(operation(name).input_shape):
            if "pattern" in shape.metadata and (
                path.removesuffix(".key").removesuffix(".value") in accepted or not accepted
            ):
                pattern = shape.metadata["pattern"]

                assert validation.compiled(pattern).pattern != r"[\s\S]*" or pattern == r"[\s\S]*", (name, path)


def test_every_filter_of_a_list_has_its_effect(cloud):
    """What a List… operation may be asked for is known here; a filter that is not would be refused by its name."""
    plan = "arn:aws:sagemaker:us-east-1:000000000000:training-plan/forest"
    examples = {"TrainingPlanArnEquals": plan, "NameContains": "oak"}
    for name in sorted(one for one in cloud.service.operations - {"ListTags"} if one.startswith("List")):
        for member, shape in operation(name).input_shape.members.items():
            if member not in ("ModelPackageGroupName", "NextToken"):
                value = examples.get(member) or (getattr(shape, "enum", None) or [1])[0]
                assert call(cloud, name, {member: value})[0] == 200, (name, member)
    with pytest.raises(ServiceError, match="does not support Colour in ListModels"):
        list_resources("ListModels", MODEL, {"Colour": "green"}, [])


def test_every_operation_exists_in_the_service_model(cloud):
    """The service has no operation that SageMaker does not have."""
    assert cloud.service.operations <= set(service_model().operation_names)


def test_close_leaves_no_process(cloud):
    """Closing the service kills running jobs with all their processes."""
    cloud.image.program("tree", "trap '' TERM; sleep 1234.5 & sleep 1234.5")
    cloud.processing("tree", "tree")
    cloud.until(lambda: processes("1234.5"), lambda found: len(found) == 2)
    cloud.service.close()

    assert processes("1234.5") == []


def processes(argument):
    """Processes with a first argument."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if (entry / "cmdline").read_bytes().split(b"\0")[1:2] == [argument.encode()]:
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_outlives_the_local_cloud(tmp_path, number):
    """When the process of the local cloud is killed, even with SIGKILL, programs in sandboxes die with it."""
    code = (
        "import subprocess, time\n"
        "from local_cloud.sandbox import spawn\n"
        "spawn(['sh', '-c', 'setsid sleep 4321.5 & sleep 4321.5'], env={'PATH': '/usr/bin:/bin'}, cwd='/',\n"
        "      mounts=(), log=subprocess.DEVNULL, stop_grace_seconds=60)\n"
        "print('up', flush=True); time.sleep(60)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code], cwd=Path(__file__).parents[3], stdout=subprocess.PIPE, env=dict(os.environ)
    )
    assert parent.stdout is not None
    parent.stdout.readline()
    deadline = time.monotonic() + 10
    while len(processes("4321.5")) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    alive = len(processes("4321.5"))
    parent.send_signal(number)
    parent.wait()
    parent.stdout.close()
    while processes("4321.5") and time.monotonic() < deadline:
        time.sleep(0.02)

    assert alive == 2
    assert processes("4321.5") == []

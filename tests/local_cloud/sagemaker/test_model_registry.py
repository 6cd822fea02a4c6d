"""The model registry: groups, versions, approval, and models made from a version."""

import io
import tarfile

import pytest
from botocore.exceptions import ClientError

from local_cloud.sagemaker.service import SageMakerService

BUCKET, ROLE = "forest", "arn:aws:iam::000000000000:role/model"
IMAGE = "000000000000.dkr.ecr.us-east-1.amazonaws.com/jobs:1"
GROUP = "treering"
ARN = f"arn:aws:sagemaker:us-east-1:000000000000:model-package/{GROUP}"
SERVE = """
    #!/usr/bin/env python
    import os
    from http.server import BaseHTTPRequestHandler, HTTPServer
    word = open("/opt/ml/model/word").read()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(word.encode())

    HTTPServer(("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"])), Handler).serve_forever()
"""


@pytest.fixture
def registry(cloud):
    """The cloud with an empty group."""
    cloud.sagemaker.create_model_package_group(
        ModelPackageGroupName=GROUP, ModelPackageGroupDescription="Models", Tags=[{"Key": "team", "Value": "forest"}]
    )
    return cloud


def artefact(cloud, word="oak"):
    """URI of a model archive."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as tar:
        member = tarfile.TarInfo("word")
        member.size = len(word)
        tar.addfile(member, io.BytesIO(word.encode()))
    return cloud.put(f"models/{word}.tar.gz", content.getvalue())


def register(cloud, word="oak", **more):
    """Registers a version; gives its ARN."""
    container = {"Image": IMAGE, "ModelDataUrl": artefact(cloud, word)}
    answer = cloud.sagemaker.create_model_package(
        ModelPackageGroupName=GROUP,
        **{
            "InferenceSpecification": {"Containers": [container], "SupportedContentTypes": ["text/csv"]},
            "CustomerMetadataProperties": {"run_id": "1"},
            **more,
        },
    )
    return answer["ModelPackageArn"]


def refusal(call, **arguments):
    """Code and message of a refused call."""
    with pytest.raises(ClientError) as error:
        call(**arguments)
    return error.value.response["Error"]["Code"], error.value.response["Error"]["Message"]


def test_versions_count_up_and_wait_for_approval(registry):
    """A version is the group's next number; nobody has approved it."""
    first, second = register(registry), register(registry, "elm")
    described = registry.sagemaker.describe_model_package(ModelPackageName=second)
    listed = registry.sagemaker.list_model_packages(ModelPackageGroupName=GROUP, SortOrder="Ascending")

    assert (first, second) == (f"{ARN}/1", f"{ARN}/2")
    assert described["ModelPackageVersion"] == 2
    assert described["ModelApprovalStatus"] == "PendingManualApproval"
    assert described["ModelPackageStatus"] == "Completed"
    assert described["CustomerMetadataProperties"] == {"run_id": "1"}
    assert described["InferenceSpecification"]["Containers"][0]["ModelDataUrl"].endswith("elm.tar.gz")
    assert [package["ModelPackageVersion"] for package in listed["ModelPackageSummaryList"]] == [1, 2]


@pytest.mark.parametrize(
    ("filters", "listed"),
    [
        ({}, []),
        ({"ModelPackageType": "Unversioned"}, []),
        ({"ModelPackageType": "Versioned"}, [1]),
        ({"ModelPackageType": "Both"}, [1]),
        ({"ModelPackageGroupName": GROUP}, [1]),
        ({"ModelPackageType": "Versioned", "ModelApprovalStatus": "Approved"}, []),
    ],
)
def test_versions_are_listed_in_their_group_or_on_demand(registry, filters, listed):
    """Unversioned is the default of ModelPackageType, and versions have no name of their own."""
    register(registry)
    found = registry.sagemaker.list_model_packages(**filters)["ModelPackageSummaryList"]

    assert [package["ModelPackageVersion"] for package in found] == listed
    assert not any("ModelPackageName" in package for package in found)


def test_a_version_takes_no_tags(registry):
    """They belong to the group; the number of what was refused is not used up."""
    with pytest.raises(ClientError) as refused:
        register(registry, Tags=[{"Key": "run", "Value": "1"}])

    assert refused.value.response["Error"] == {
        "Code": "ValidationException",
        "Message": "Tags are not supported in Model Package versions. Please add them to the Model Package Group.",
    }
    assert register(registry) == f"{ARN}/1"


@pytest.mark.parametrize("url", [f"s3://{BUCKET}/models/none.tar.gz", "s3://no-such-forest/models/oak.tar.gz"])
def test_an_artefact_must_exist_when_it_is_registered(registry, url):
    """CreateModelPackage looks for it, and not only CreateModel, weeks later; no number is used up."""
    with pytest.raises(ClientError) as refused:
        register(registry, InferenceSpecification={"Containers": [{"Image": IMAGE, "ModelDataUrl": url}]})
    bucket, _, key = url.removeprefix("s3://").partition("/")

    assert refused.value.response["Error"] == {
        "Code": "ValidationException",
        "Message": f"Cannot find S3 object: {key} in bucket {bucket}. Please check if your S3 object exists and has "
        "proper permissions for SageMaker.",
    }
    assert register(registry) == f"{ARN}/1"


def test_the_same_token_gives_the_same_version(registry):
    """A call that is tried again makes nothing twice."""
    first = register(registry, ClientToken="20240101-060000-0a1b2c3d")
    again = register(registry, ClientToken="20240101-060000-0a1b2c3d")
    other = register(registry, ClientToken="20240108-060000-0a1b2c3d")

    assert first == again
    assert other == f"{ARN}/2"


def test_approval_is_changed_and_told(registry):
    """Who listens on the bus hears of it, once for each change."""
    arn = register(registry)
    before = len(registry.changes)
    for _ in range(2):
        registry.sagemaker.update_model_package(
            ModelPackageArn=arn, ModelApprovalStatus="Approved", ApprovalDescription="good"
        )
    described = registry.sagemaker.describe_model_package(ModelPackageName=arn)
    approved = registry.sagemaker.list_model_packages(ModelPackageGroupName=GROUP, ModelApprovalStatus="Approved")

    assert described["ModelApprovalStatus"] == "Approved"
    assert described["ApprovalDescription"] == "good"
    assert [kind for kind, _ in registry.changes[before:]] == ["ModelPackage"]
    assert len(approved["ModelPackageSummaryList"]) == 1


def test_metadata_can_be_changed(registry):
    """Properties are added, replaced and removed by name."""
    arn = register(registry, CustomerMetadataProperties={"a": "1", "b": "2"})
    registry.sagemaker.update_model_package(
        ModelPackageArn=arn, CustomerMetadataProperties={"b": "3"}, CustomerMetadataPropertiesToRemove=["a"]
    )

    assert registry.sagemaker.describe_model_package(ModelPackageName=arn)["CustomerMetadataProperties"] == {"b": "3"}


def test_a_model_is_made_from_an_approved_version_only(registry):
    """And serves its artefact; the model names the version, which is how an endpoint leads back to it."""
    registry.image.program("serve", SERVE)
    arn = register(registry)
    create = {"ModelName": "m", "ExecutionRoleArn": ROLE, "PrimaryContainer": {"ModelPackageName": arn}}
    code, message = refusal(registry.sagemaker.create_model, **create)
    registry.sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved")
    registry.sagemaker.create_model(**create)
    variant = {"VariantName": "main", "ModelName": "m", "InitialInstanceCount": 1, "InstanceType": "ml.t2.medium"}
    registry.sagemaker.create_endpoint_config(EndpointConfigName="c", ProductionVariants=[variant])
    registry.sagemaker.create_endpoint(EndpointName="grove", EndpointConfigName="c")
    registry.sagemaker.get_waiter("endpoint_in_service").wait(EndpointName="grove", WaiterConfig={"Delay": 1})
    answer = registry.runtime.invoke_endpoint(EndpointName="grove", Body=b"1", ContentType="text/csv")

    assert code == "ValidationException"
    assert "PendingManualApproval" in message
    assert registry.sagemaker.describe_model(ModelName="m")["PrimaryContainer"] == {"ModelPackageName": arn}
    assert answer["Body"].read() == b"oak"


def test_what_is_missing_is_named(registry):
    """Group, version, image."""
    container = {"Image": IMAGE.replace("jobs", "other"), "ModelDataUrl": artefact(registry)}
    specification = {"Containers": [container], "SupportedContentTypes": ["text/csv"]}

    assert "does not exist" in refusal(registry.sagemaker.describe_model_package, ModelPackageName=f"{ARN}/9")[1]
    assert "does not exist" in refusal(registry.sagemaker.list_model_packages, ModelPackageGroupName="nothing")[1]
    assert (
        "not found"
        in refusal(
            registry.sagemaker.create_model_package,
            ModelPackageGroupName=GROUP,
            InferenceSpecification=specification,
        )[1]
    )


def test_a_group_with_versions_is_not_deleted(registry):
    """An empty one is; the number of a deleted version is not given again."""
    arn = register(registry)
    code, message = refusal(registry.sagemaker.delete_model_package_group, ModelPackageGroupName=GROUP)
    registry.sagemaker.delete_model_package(ModelPackageName=arn)
    second = register(registry)
    registry.sagemaker.delete_model_package(ModelPackageName=second)
    registry.sagemaker.delete_model_package_group(ModelPackageGroupName=GROUP)

    assert code == "ConflictException"
    assert "still contains" in message
    assert second == f"{ARN}/2"
    assert registry.sagemaker.list_model_package_groups()["ModelPackageGroupSummaryList"] == []


def test_a_name_is_taken_once(registry):
    """As AWS has it."""
    assert (
        refusal(registry.sagemaker.create_model_package_group, ModelPackageGroupName=GROUP)[0] == "ValidationException"
    )


def test_tags_of_a_group(registry):
    """Those of the creation, and changes."""
    arn = registry.sagemaker.describe_model_package_group(ModelPackageGroupName=GROUP)["ModelPackageGroupArn"]
    registry.sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "cost", "Value": "1"}])
    registry.sagemaker.delete_tags(ResourceArn=arn, TagKeys=["team"])

    assert registry.sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "cost", "Value": "1"}]


def test_no_other_account_shares_its_groups(registry):
    """Groups are those of this account."""

    def listed(whose):
        found = registry.sagemaker.list_model_package_groups(CrossAccountFilterOption=whose)
        return [group["ModelPackageGroupName"] for group in found["ModelPackageGroupSummaryList"]]

    assert (listed("SameAccount"), listed("CrossAccount")) == ([GROUP], [])


def test_the_registry_outlives_the_process(registry):
    """What was registered and approved is there after a restart, also the numbers that were given."""
    arn = register(registry, ClientToken="token-1")
    registry.sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved")
    again = SageMakerService(registry.service._cloud)
    try:
        described = again._perform("DescribeModelPackage", f'{{"ModelPackageName": "{arn}"}}'.encode())
        group = again._perform("DescribeModelPackageGroup", f'{{"ModelPackageGroupName": "{GROUP}"}}'.encode())
    finally:
        again.close()

    assert described["ModelApprovalStatus"] == "Approved"
    assert group["ModelPackageGroupDescription"] == "Models"

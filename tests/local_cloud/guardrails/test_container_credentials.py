"""A job finds its role's credentials where SDKs look on SageMaker."""

import json
import urllib.error

import pytest

from tests.local_cloud.guardrails.conftest import Hosting


def test_no_variable_of_a_job_holds_a_key(hosting: Hosting) -> None:
    """An address has them, with all that SDKs read; a guessed address has none."""
    sagemaker = hosting.client("sagemaker")
    sagemaker.create_processing_job(
        ProcessingJobName="look",
        RoleArn=hosting.outputs["ModelRole"],
        AppSpecification={"ImageUri": hosting.outputs["JobImage"], "ContainerEntrypoint": ["look"]},
        ProcessingResources={
            "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.t3.medium", "VolumeSizeInGB": 1}
        },
    )
    describe = lambda: sagemaker.describe_processing_job(ProcessingJobName="look")  # noqa: E731
    assert hosting.eventually(lambda: describe()["ProcessingJobStatus"] not in ("InProgress", "Stopping"))
    said = json.loads(describe()["ExitMessage"])
    with pytest.raises(urllib.error.HTTPError) as refused:
        hosting.call("credentials/guessed")

    assert said["variables"] == ["AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_ENDPOINT_URL", "AWS_REGION"]
    assert said["key"] == "ASIA"
    assert said["members"] == ["AccessKeyId", "Expiration", "SecretAccessKey", "Token"]
    assert refused.value.code == 400

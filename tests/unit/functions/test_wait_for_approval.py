"""The function keeps the token of the execution that waits."""

import json
from pathlib import Path
from types import SimpleNamespace

import boto3
import pytest
from moto import mock_aws

from functions.wait_for_approval import app, settings
from treering.contracts import ApprovalResult, ApprovalToken
from treering.errors import ConfigurationError, InvalidEventError

EVENT = json.loads((Path(__file__).parents[3] / "events" / "wait_for_approval.json").read_text())
CONTEXT = SimpleNamespace(
    function_name="f", memory_limit_in_mb=256, invoked_function_arn="arn:aws:lambda:x:1:function:f", aws_request_id="1"
)


@pytest.fixture(autouse=True)
def aws(monkeypatch):
    """An account with the data bucket and a pending model package."""
    for name, value in {"ACCESS_KEY_ID": "x", "SECRET_ACCESS_KEY": "x", "REGION": "us-east-1"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("DATA_BUCKET", "data")
    settings.adapters.cache_clear()
    with mock_aws():
        boto3.client("s3", region_name="us-east-1").create_bucket(Bucket="data")
        yield
    settings.adapters.cache_clear()


def registered(status: str = "PendingManualApproval") -> str:
    """A version in the registry."""
    client = boto3.client("sagemaker", region_name="us-east-1")
    client.create_model_package_group(ModelPackageGroupName="treering-dev")
    return client.create_model_package(ModelPackageGroupName="treering-dev", ModelApprovalStatus=status)[
        "ModelPackageArn"
    ]


def test_it_keeps_the_token_under_the_version_s_name():
    """Where the function that hears of the decision finds it."""
    arn = registered()
    result = ApprovalResult.model_validate(app.handler({**EVENT, "model_package_arn": arn}, CONTEXT))
    kept = boto3.client("s3", region_name="us-east-1").get_object(Bucket="data", Key="approvals/treering-dev/1.json")

    assert not result.resumed
    assert ApprovalToken.model_validate_json(kept["Body"].read()).task_token == EVENT["task_token"]


def test_another_event_is_refused():
    """By name of what is wrong."""
    with pytest.raises(InvalidEventError, match="task_token"):
        app.handler({**EVENT, "task_token": ""}, CONTEXT)


def test_a_missing_setting_is_named(monkeypatch):
    """The environment variable."""
    monkeypatch.delenv("DATA_BUCKET")
    with pytest.raises(ConfigurationError, match="DATA_BUCKET"):
        app.handler(EVENT, CONTEXT)

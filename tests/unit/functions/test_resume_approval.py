"""The function tells the waiting execution what was decided."""

import json
from pathlib import Path
from types import SimpleNamespace

import boto3
import pytest
from moto import mock_aws

from functions.resume_approval import app, settings
from treering.contracts import ApprovalResult
from treering.errors import InvalidEventError

EVENT = json.loads((Path(__file__).parents[3] / "events" / "resume_approval.json").read_text())
CONTEXT = SimpleNamespace(
    function_name="f", memory_limit_in_mb=256, invoked_function_arn="arn:aws:lambda:x:1:function:f", aws_request_id="1"
)
TOKEN = {
    "task_token": "a token that nobody knows",
    "model_package_arn": EVENT["detail"]["ModelPackageArn"],
    "run_id": "20261123-060107-0a1b2c3d",
    "execution_arn": "arn:aws:states:eu-central-1:123456789012:execution:m:x",
}


@pytest.fixture(autouse=True)
def s3(monkeypatch):
    """An account with the data bucket."""
    for name, value in {"ACCESS_KEY_ID": "x", "SECRET_ACCESS_KEY": "x", "REGION": "us-east-1"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("DATA_BUCKET", "data")
    settings.adapters.cache_clear()
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket="data")
        yield client
    settings.adapters.cache_clear()


def test_nobody_waits_for_this_version():
    """The event is not for any execution, and that is no error: approved by rule, or registered by hand."""
    result = ApprovalResult.model_validate(app.handler(EVENT, CONTEXT))

    assert not result.resumed
    assert "no execution waits" in result.message


def test_an_execution_that_is_over_is_no_error(s3, monkeypatch):
    """The deadline came first: Step Functions no longer knows the token."""
    s3.put_object(Bucket="data", Key="approvals/treering-dev/7.json", Body=json.dumps(TOKEN).encode())
    asked = []
    monkeypatch.setattr(
        "treering.aws.step_functions.WaitingTasks.succeed", lambda _self, *arguments: asked.append(arguments) or False
    )
    result = ApprovalResult.model_validate(app.handler(EVENT, CONTEXT))

    assert not result.resumed
    assert "no longer waits" in result.message
    assert asked[0][0] == TOKEN["task_token"]
    assert json.loads(asked[0][1])["decision"] == "Approved"


def test_another_event_is_refused():
    """With what is missing."""
    with pytest.raises(InvalidEventError, match="detail"):
        app.handler({"id": "1"}, CONTEXT)

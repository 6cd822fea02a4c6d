"""An execution waits for a person's decision and hears of it once, whoever is quicker."""

import json

import pytest

from treering import keys
from treering.contracts import ApprovalRequest, ModelPackageDetail
from treering.steps import approval

PACKAGE = "arn:aws:sagemaker:us-east-1:123456789012:model-package/treering-dev/7"
REQUEST = ApprovalRequest(
    task_token="token", model_package_arn=PACKAGE, run_id="20240101-060000-0a1b2c3d", execution_arn="arn:execution"
)


class Bucket(dict):
    """Objects by key."""

    def find(self, key: str, *, denied_is_missing: bool = True) -> bytes | None:
        """An object's content."""
        assert not denied_is_missing
        return self.get(key)

    def replace(self, key: str, body: bytes) -> None:
        """Write an object."""
        self[key] = body


class Registry:
    """A model package and its approval."""

    def __init__(self, status: str = "PendingManualApproval") -> None:
        self.status = status

    def approval(self, model_package_arn: str) -> tuple[str, str]:
        """Its status and comment."""
        assert model_package_arn == PACKAGE
        return self.status, "looks right"


class Tasks:
    """Tasks that wait; each token can be answered once."""

    def __init__(self, *tokens: str) -> None:
        self.waiting, self.answers = set(tokens), []

    def succeed(self, task_token: str, output: str) -> bool:
        """Answer a task."""
        if task_token not in self.waiting:
            return False
        self.waiting.remove(task_token)
        self.answers.append(json.loads(output))
        return True


def change(status: str) -> ModelPackageDetail:
    """The registry's event."""
    return ModelPackageDetail.model_validate(
        {"ModelPackageArn": PACKAGE, "ModelApprovalStatus": status, "ApprovalDescription": "looks right"}
    )


def test_the_execution_waits_until_the_decision():
    """The token is kept; the event finds it and answers the task with decision and comment."""
    bucket, tasks = Bucket(), Tasks("token")
    waits = approval.wait(REQUEST, bucket, Registry(), tasks)
    before = list(tasks.answers)
    resumed = approval.resume(change("Approved"), bucket, tasks)

    assert not waits.resumed
    assert before == []
    assert resumed.resumed
    assert tasks.answers == [{"decision": "Approved", "comment": "looks right", "model_package_arn": PACKAGE}]


@pytest.mark.parametrize("status", ["Approved", "Rejected"])
def test_a_decision_that_came_first_is_not_lost(status):
    """Somebody decided before the token was kept: the execution goes on at once, and the late event changes nothing."""
    bucket, tasks = Bucket(), Tasks("token")
    early = approval.resume(change(status), bucket, tasks)
    waits = approval.wait(REQUEST, bucket, Registry(status), tasks)
    late = approval.resume(change(status), bucket, tasks)

    assert (early.resumed, waits.resumed, late.resumed) == (False, True, False)
    assert [answer["decision"] for answer in tasks.answers] == [status]


def test_the_same_event_twice_answers_once():
    """Events are delivered at least once."""
    bucket, tasks = Bucket(), Tasks("token")
    approval.wait(REQUEST, bucket, Registry(), tasks)
    results = [approval.resume(change("Approved"), bucket, tasks).resumed for _ in range(2)]

    assert results == [True, False]
    assert len(tasks.answers) == 1


def test_a_change_that_decides_nothing_resumes_nothing():
    """For example back to pending."""
    bucket, tasks = Bucket(), Tasks("token")
    approval.wait(REQUEST, bucket, Registry(), tasks)

    assert not approval.resume(change("PendingManualApproval"), bucket, tasks).resumed
    assert tasks.answers == []


def test_nobody_waits():
    """A version that was approved by rule, or registered by hand."""
    result = approval.resume(change("Approved"), Bucket(), Tasks())

    assert not result.resumed
    assert "no execution waits" in result.message


def test_a_retried_wait_keeps_the_newest_token():
    """The task's second try has a token of its own."""
    bucket, tasks = Bucket(), Tasks("second")
    approval.wait(REQUEST, bucket, Registry(), tasks)
    approval.wait(REQUEST.model_copy(update={"task_token": "second"}), bucket, Registry(), tasks)

    assert approval.resume(change("Rejected"), bucket, tasks).resumed
    assert list(bucket) == [keys.approval_key(PACKAGE)] == ["approvals/treering-dev/7.json"]

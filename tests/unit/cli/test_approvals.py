"""Deciding on a version in the model registry."""

from pathlib import Path

import pytest
from botocore.exceptions import EndpointConnectionError

from cli import approvals, registry
from cli.application import Application
from cli.errors import CloudGoneError, CommandError, UsageError
from tests.fakes.application import GROUP, WEEKLY, FakeCloud, application

RUN = "20261123-060000-0123abcd"


@pytest.fixture
def found(tmp_path: Path) -> Application:
    """An empty cloud."""
    return application(tmp_path / "cloud")


def cloud_of(found: Application) -> FakeCloud:
    """The fake behind it."""
    assert isinstance(found.cloud, FakeCloud)
    return found.cloud


def waiting(found: Application, status: str = "PendingManualApproval") -> str:
    """An execution that waits for the approval of a new version; its ARN."""
    cloud = cloud_of(found)
    arn = cloud.states.add(WEEKLY, f"week-{len(cloud.states.executions)}", "RUNNING", {})
    package = cloud.sagemaker.add(status, run_id=RUN, execution=arn)
    payload = f'{{"FunctionName": "f", "Payload": {{"model_package_arn": "{package}"}}}}'
    cloud.states.happen(arn, "TaskStateEntered", stateEntered={"name": "Wait For Approval"})
    cloud.states.happen(
        arn, "TaskScheduled", taskScheduled={"resource": "invoke.waitForTaskToken", "parameters": payload}
    )
    return arn


def resumes(found: Application, arn: str) -> None:
    """The registry's event lets the execution go on as soon as the decision is made."""
    cloud = cloud_of(found)

    def go_on(request: dict[str, str]) -> None:
        if request["ModelApprovalStatus"] != "PendingManualApproval":
            cloud.states.happen(arn, "TaskSucceeded", taskSucceeded={"output": "{}"})
            cloud.states.happen(arn, "TaskStateExited", stateExited={"name": "Wait For Approval", "output": "{}"})

    cloud.sagemaker.on_update = go_on


def test_the_version_that_waits_is_approved_through_the_registry_alone(found: Application) -> None:
    """Without a number the one that waits is meant; one UpdateModelPackage with the comment, and it goes on."""
    resumes(found, waiting(found))

    where, version = approvals.choose([found], None)
    done = approvals.decide(where, version, "Approved", "looks well")

    assert cloud_of(found).sagemaker.updates == [
        {"ModelPackageArn": f"{GROUP}/1", "ModelApprovalStatus": "Approved", "ApprovalDescription": "looks well"}
    ]
    assert done.resumed
    assert "goes on" in done.then


def test_a_rejection_says_that_the_endpoint_stays_as_it_was(found: Application) -> None:
    """The person who rejects is told with which outcome the execution ends."""
    resumes(found, waiting(found))

    done = approvals.decide(*approvals.choose([found], "1"), "Rejected", "")

    assert cloud_of(found).sagemaker.packages[0]["ModelApprovalStatus"] == "Rejected"
    assert "not_approved" in done.then


def test_a_cloud_that_ends_with_its_run_means_that_it_went_on(
    found: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cloud of a `treering run` ends in order soon after a rejection; one that was killed is no answer."""
    waiting(found)

    def end(*_: object) -> None:
        raise EndpointConnectionError(endpoint_url="http://127.0.0.1:1/")

    cloud = cloud_of(found)
    cloud.sagemaker.on_update = lambda _request: monkeypatch.setattr(cloud.states, "get_paginator", end)
    _, version = approvals.choose([found], "1")
    done = approvals.decide(found, version, "Rejected", "")
    monkeypatch.setattr("cli.cloud.killed", lambda _folder: "was killed")
    with pytest.raises(CloudGoneError):
        approvals._goes_on(found.cloud, version)

    assert done.resumed


def test_an_execution_that_does_not_go_on_is_told_of(found: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    """The decision stands in the registry, but its event came to nothing: the person learns where to look."""
    monkeypatch.setattr(approvals, "PATIENCE_SECONDS", 0.1)
    waiting(found)

    done = approvals.decide(*approvals.choose([found], "1"), "Approved", "")

    assert not done.resumed
    assert "resume_approval" in done.then


def test_what_is_decided_is_decided_again_only_while_an_execution_still_waits(found: Application) -> None:
    """An event that was lost is made once more, by way of PendingManualApproval, since no change is no event."""
    resumes(found, waiting(found, "Approved"))

    done = approvals.decide(*approvals.choose([found], "1"), "Approved", "")

    statuses = [update["ModelApprovalStatus"] for update in cloud_of(found).sagemaker.updates]
    assert statuses == ["PendingManualApproval", "Approved"]
    assert done.resumed


@pytest.mark.parametrize("decision", ["Approved", "Rejected"])
@pytest.mark.parametrize("status", ["Approved", "Rejected"])
def test_what_is_decided_stays_so(status: str, decision: approvals.Decision, found: Application) -> None:
    """Nothing is called, and what can be done instead is named."""
    cloud_of(found).sagemaker.add(status, run_id=RUN)

    with pytest.raises(CommandError) as refused:
        approvals.decide(*approvals.choose([found], "1"), decision, "")

    assert f"is {status} already" in str(refused.value)
    assert "treering rollout 1" in str(refused.value)
    assert not cloud_of(found).sagemaker.updates


def test_approving_after_the_deadline_names_the_rollout(found: Application) -> None:
    """The execution is over, so nothing goes on by itself."""
    arn = waiting(found)
    cloud_of(found).states.happen(arn, "ExecutionSucceeded", executionSucceeded={"output": "{}"})

    done = approvals.decide(*approvals.choose([found], "1"), "Approved", "")

    assert done.execution is None
    assert "`treering rollout 1`" in done.then


def test_without_a_number_exactly_one_must_wait(found: Application) -> None:
    """None and two are refused; two are named."""
    with pytest.raises(CommandError, match="No version"):
        approvals.choose([found], None)

    waiting(found)
    waiting(found)
    with pytest.raises(UsageError, match=r"2 versions .* 2 \(run .*1 \(run"):
        approvals.choose([found], None)


def test_among_several_clouds_the_one_is_meant_where_the_version_waits(tmp_path: Path) -> None:
    """The cloud of `treering up` has a version 1 that is decided, that of a run one that waits."""
    up, run = application(tmp_path / "cloud"), application(tmp_path / "runs" / "1")
    cloud_of(up).sagemaker.add("Approved", run_id=RUN)
    waiting(run)

    assert approvals.choose([up, run], "1")[0] is run
    assert approvals.choose([up, run], None)[0] is run


@pytest.mark.parametrize("wanted", ["2", "v2", RUN, f"{GROUP}/2"])
def test_a_version_is_named_by_number_run_or_arn(wanted: str, found: Application) -> None:
    """All of these are version 2."""
    cloud_of(found).sagemaker.add("Approved", run_id="20261116-060000-0123abcd")
    cloud_of(found).sagemaker.add("Approved", run_id=RUN)

    assert registry.find(registry.versions(found), wanted).version == 2


@pytest.mark.parametrize("wanted", ["7", "20261123-060000-00000000", f"{GROUP}/7", "nonsense"])
def test_an_unknown_version_is_refused_with_those_that_there_are(wanted: str, found: Application) -> None:
    """A number, run or ARN that the registry does not have, and what is none of these."""
    cloud_of(found).sagemaker.add("Approved", run_id=RUN)

    with pytest.raises(UsageError) as refused:
        registry.find(registry.versions(found), wanted)

    assert wanted in str(refused.value)
    assert wanted == "nonsense" or f"1 (run {RUN})" in str(refused.value)


def test_what_to_type_names_the_state_folder_unless_it_is_the_usual_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command that is printed works as it stands, from the same working directory."""
    monkeypatch.chdir(tmp_path)

    usual = approvals.how_to(tmp_path / ".treering" / "cloud", f"{GROUP}/3")
    other = approvals.how_to(tmp_path / "elsewhere" / "runs" / "20261121T044546Z", f"{GROUP}/3")

    assert "treering approve 3\n" in usual
    assert "treering approve 3 --state elsewhere\n" in other
    assert other.endswith("treering reject 3 --state elsewhere")

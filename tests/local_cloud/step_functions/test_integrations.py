"""What Task states call, with whose credentials, and how failures are named."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import pytest

from local_cloud.step_functions import StepFunctionsService
from tests.local_cloud.step_functions.cloud import Cloud, output
from tests.local_cloud.step_functions.front_door import ROLE, FrontDoor

PROCESSING = "arn:aws:states:::sagemaker:createProcessingJob.sync"


def processing(**fields: Any) -> dict[str, Any]:
    """Make a Task that awaits a processing job."""
    return {
        "Type": "Task",
        "Resource": PROCESSING,
        "Parameters": {
            "ProcessingJobName.$": "States.Format('job-{}-{}', $.run, $$.State.RetryCount)",
            "ProcessingResources": {
                "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 10}
            },
            "AppSpecification": {"ImageUri": "image", "ContainerEntrypoint": ["preprocess"]},
            "Environment": {"RUN.$": "$.run"},
            "RoleArn": ROLE,
        },
        "End": True,
        **fields,
    }


def one(state: dict[str, Any], **others: Any) -> dict[str, Any]:
    """Make a machine of one state and its companions."""
    return {"StartAt": "S", "States": {"S": state, **others}}


def test_a_job_is_awaited_and_its_description_is_the_result(cloud: Cloud, door: FrontDoor) -> None:
    """A .sync task answers with the Describe answer: the API's keys, instants in milliseconds; it acts as the role."""
    door.job_result = lambda _: {"Status": "Completed", "ExitMessage": "kept 20 features"}
    described = cloud.run(one(processing()), {"run": "r1"})

    result = output(described)
    assert result["ProcessingJobStatus"] == "Completed"
    assert result["ExitMessage"] == "kept 20 features"
    assert result["CreationTime"] == 1700000000125
    assert {key for _, _, key in door.calls} == {"machine"}
    events = {event["type"]: event for event in cloud.history(described["executionArn"])}
    assert events["TaskSubmitted"]["taskSubmittedEventDetails"]["resource"] == "createProcessingJob.sync"
    assert "ProcessingJobArn" in json.loads(events["TaskSubmitted"]["taskSubmittedEventDetails"]["output"])
    assert list(events)[-5:] == [
        "TaskStarted",
        "TaskSubmitted",
        "TaskSucceeded",
        "TaskStateExited",
        "ExecutionSucceeded",
    ]


def test_a_job_gets_the_services_own_tag(cloud: Cloud, door: FrontDoor) -> None:
    """Step Functions adds its tag to those of the request, so the role needs sagemaker:AddTags."""
    state = processing()
    state["Parameters"]["Tags"] = [{"Key": "mine", "Value": "1"}]
    cloud.run(one(state), {"run": "r1"})

    assert door.requests("sagemaker:CreateProcessingJob")[0]["Tags"] == [
        {"Key": "mine", "Value": "1"},
        {"Key": "MANAGED_BY_AWS", "Value": "STARTED_BY_STEP_FUNCTIONS"},
    ]


@pytest.mark.parametrize("status", ["Failed", "Stopped"])
def test_a_failed_job_is_task_failed_with_its_description_as_cause(cloud: Cloud, door: FrontDoor, status: str) -> None:
    """A job that does not complete is States.TaskFailed; a retry makes a job of another name by RetryCount."""
    door.job_result = lambda _: {"Status": status, "FailureReason": "no rows"}
    retry = [{"ErrorEquals": ["States.TaskFailed"], "MaxAttempts": 1, "IntervalSeconds": 1}]
    described = cloud.run(one(processing(Retry=retry)), {"run": "r1"})

    assert (described["status"], described["error"]) == ("FAILED", "States.TaskFailed")
    assert json.loads(described["cause"])["FailureReason"] == "no rows"
    assert list(door.jobs) == ["job-r1-0", "job-r1-1"]


def test_training_and_transform_jobs_are_awaited_too(cloud: Cloud, door: FrontDoor) -> None:
    """createTrainingJob.sync and createTransformJob.sync work as createProcessingJob.sync does."""
    training = {
        "Type": "Task",
        "Resource": "arn:aws:states:::sagemaker:createTrainingJob.sync",
        "Parameters": {
            "TrainingJobName": "t",
            "HyperParameters": {"n_estimators": "10"},
            "AlgorithmSpecification": {"TrainingImage": "image", "TrainingInputMode": "File"},
            "OutputDataConfig": {"S3OutputPath": "s3://b/runs/"},
            "ResourceConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1},
            "StoppingCondition": {"MaxRuntimeInSeconds": 60},
            "RoleArn": ROLE,
        },
        "ResultPath": "$.training",
        "Next": "T",
    }
    transform = {
        "Type": "Task",
        "Resource": "arn:aws:states:::sagemaker:createTransformJob.sync",
        "Parameters": {
            "TransformJobName": "x",
            "ModelName": "m",
            "TransformInput": {"DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://b/in"}}},
            "TransformOutput": {"S3OutputPath": "s3://b/out"},
            "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
        },
        "ResultPath": "$.transform",
        "End": True,
    }
    result = output(cloud.run(one(training, T=transform)))

    assert result["training"]["TrainingJobStatus"] == "Completed"
    assert result["transform"]["TransformJobStatus"] == "Completed"


def test_request_response_returns_at_once_and_adds_no_tag(cloud: Cloud, door: FrontDoor) -> None:
    """Without .sync the answer of the call is the result."""
    door.job_result = None
    state = processing(Resource="arn:aws:states:::sagemaker:createProcessingJob")
    result = output(cloud.run(one(state), {"run": "r"}))

    assert list(result) == ["ProcessingJobArn"]
    assert "Tags" not in door.requests("sagemaker:CreateProcessingJob")[0]


def test_a_timed_out_job_is_stopped(cloud: Cloud, door: FrontDoor) -> None:
    """A task's timeout is States.Timeout, and the job that it waited for is stopped."""
    door.job_result = None
    described = cloud.run(one(processing(TimeoutSeconds=1)), {"run": "r"})

    assert (described["status"], described["error"]) == ("FAILED", "States.Timeout")
    _until(lambda: door.requests("sagemaker:StopProcessingJob") == [{"ProcessingJobName": "job-r-0"}])


def test_stop_execution_aborts_and_stops_the_job(cloud: Cloud, door: FrontDoor) -> None:
    """StopExecution ends the execution as ABORTED with its error and cause, and stops the job."""
    door.job_result = None
    execution = cloud.start(cloud.create(one(processing())), {"run": "r"})
    cloud.wait_for(execution, "TaskSubmitted")
    stopped = cloud.call("StopExecution", executionArn=execution, error="Enough", cause="by hand")
    described = cloud.call("DescribeExecution", executionArn=execution)

    assert described["status"] == "ABORTED"
    assert (described["error"], described["cause"]) == ("Enough", "by hand")
    assert stopped["stopDate"] == described["stopDate"]
    assert cloud.history(execution)[-1]["type"] == "ExecutionAborted"
    _until(lambda: len(door.requests("sagemaker:StopProcessingJob")) == 1)


@pytest.mark.parametrize(
    ("message", "lines"),
    [("The request was rejected because the training job is in status Completed.", 0), ("Rate exceeded", 1)],
)
def test_a_job_that_has_ended_meanwhile_needs_no_stop(cloud: Cloud, door: FrontDoor, message: str, lines: int) -> None:
    """It is no failure of the machine that SageMaker refuses to stop it; any other refusal is told."""
    door.job_result = None
    door.errors["sagemaker:StopProcessingJob"] = ("ValidationException", message)
    execution = cloud.start(cloud.create(one(processing())), {"run": "r"})
    cloud.wait_for(execution, "TaskSubmitted")
    cloud.service.close()

    assert len(door.requests("sagemaker:StopProcessingJob")) == 1
    assert len(cloud.log) == lines


def test_stop_execution_does_not_wait_for_a_retry(cloud: Cloud, door: FrontDoor) -> None:
    """An execution that waits for its next attempt is aborted at once."""
    door.job_result = lambda _: {"Status": "Failed"}
    retry = [{"ErrorEquals": ["States.TaskFailed"], "IntervalSeconds": 600}]
    execution = cloud.start(cloud.create(one(processing(Retry=retry))), {"run": "r"})
    cloud.wait_for(execution, "TaskFailed")
    cloud.call("StopExecution", executionArn=execution)

    assert cloud.call("DescribeExecution", executionArn=execution)["status"] == "ABORTED"


def test_a_failing_branch_stops_the_job_of_the_other(cloud: Cloud, door: FrontDoor) -> None:
    """When a branch of a Parallel state fails, the job that another branch waits for is stopped."""
    door.job_result = None
    branch = {"StartAt": "J", "States": {"J": processing()}}
    failing = {
        "StartAt": "W",
        "States": {"W": {"Type": "Wait", "Seconds": 1, "Next": "F"}, "F": {"Type": "Fail", "Error": "E"}},
    }
    described = cloud.run(one({"Type": "Parallel", "Branches": [branch, failing], "End": True}), {"run": "r"})

    assert described["error"] == "E"
    _until(lambda: len(door.requests("sagemaker:StopProcessingJob")) == 1)


def test_closing_the_service_stops_jobs_and_leaves_no_thread(door: FrontDoor) -> None:
    """close aborts what runs, stops its jobs, and ends the service's threads."""
    door.job_result = None
    cloud = Cloud(door)
    execution = cloud.start(cloud.create(one(processing())), {"run": "r"})
    cloud.wait_for(execution, "TaskSubmitted")
    cloud.service.close()

    assert len(door.requests("sagemaker:StopProcessingJob")) == 1
    _until(lambda: not [thread for thread in threading.enumerate() if thread.name.startswith("states-")])


def test_a_waiter_replaces_the_pause_between_polls(door: FrontDoor) -> None:
    """With a waiter for jobs, a task asks again as soon as the waiter returns."""
    asked: list[str] = []

    def wait_for_job(arn: str, seconds: float) -> None:
        asked.append(arn)
        door.job_result = lambda _: {"Status": "Completed"}

    door.job_result = None
    cloud = Cloud(door, wait_for_job=wait_for_job)
    described = cloud.run(one(processing()), {"run": "r"})
    cloud.service.close()

    assert described["status"] == "SUCCEEDED"
    assert asked == ["arn:aws:sagemaker:us-east-1:000000000000:processing-job/job-r-0"]


def test_a_denied_sagemaker_call_has_awss_name(cloud: Cloud, door: FrontDoor) -> None:
    """A denial of SageMaker is SageMaker.AmazonSageMakerException, with the code in its cause; it can be caught."""
    door.denied.add("sagemaker:CreateProcessingJob")
    state = processing(Catch=[{"ErrorEquals": ["States.ALL"], "Next": "T"}])
    result = output(cloud.run(one(state, T={"Type": "Pass", "End": True}), {"run": "r"}))

    assert result["Error"] == "SageMaker.AmazonSageMakerException"
    assert "is not authorized to perform: sagemaker:CreateProcessingJob" in result["Cause"]
    assert "(Service: AmazonSageMaker; Status Code: 400; Error Code: AccessDeniedException; " in result["Cause"]


def test_a_denied_description_fails_the_task(cloud: Cloud, door: FrontDoor) -> None:
    """A role that may create a job but not describe it fails with the denial."""
    door.denied.add("sagemaker:DescribeProcessingJob")
    described = cloud.run(one(processing()), {"run": "r"})

    assert described["error"] == "SageMaker.AmazonSageMakerException"
    assert "DescribeProcessingJob" in described["cause"]


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("ResourceLimitExceeded", "SageMaker.ResourceLimitExceededException"),
        ("ResourceInUse", "SageMaker.ResourceInUseException"),
        ("ThrottlingException", "SageMaker.AmazonSageMakerException"),
        ("ValidationException", "SageMaker.AmazonSageMakerException"),
    ],
)
def test_sagemaker_errors_are_named_as_aws_names_them(cloud: Cloud, door: FrontDoor, code: str, name: str) -> None:
    """Errors that SageMaker's API models keep their name; the others share one."""
    door.errors["sagemaker:CreateProcessingJob"] = (code, "no")

    assert cloud.run(one(processing()), {"run": "r"})["error"] == name


def test_values_of_a_wrong_type_fail_when_the_task_starts(cloud: Cloud, door: FrontDoor) -> None:
    """Arguments that come by path are checked at run time; nothing is called."""
    described = cloud.run(one(processing()), {"run": 5})

    assert described["error"] == "States.Runtime"
    assert "could not be used to start the Task: [The value for the field 'RUN' must be a STRING]" in described["cause"]
    assert door.calls == []


def test_lambda_receives_its_payload_and_answers(cloud: Cloud, door: FrontDoor) -> None:
    """lambda:invoke gives Payload and StatusCode."""
    door.functions["create_run_id"] = lambda event: {"run_id": event["execution"][-4:]}
    state = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": {
            "FunctionName": "arn:aws:lambda:us-east-1:000000000000:function:create_run_id",
            "Payload": {"execution.$": "$$.Execution.Id"},
        },
        "End": True,
    }
    described = cloud.run(one(state))

    result = output(described)
    assert result["Payload"] == {"run_id": described["executionArn"][-4:]}
    assert result["StatusCode"] == 200


def test_a_denied_lambda_call_has_awss_name(cloud: Cloud, door: FrontDoor) -> None:
    """A denial without a request ID still becomes Lambda.AccessDeniedException."""
    door.denied.add("lambda:InvokeFunction")
    state = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": {"FunctionName": "f"},
        "End": True,
    }
    described = cloud.run(one(state))

    assert described["error"] == "Lambda.AccessDeniedException"
    assert "Error Code: AccessDeniedException" in described["cause"]


def test_notifications_and_events(cloud: Cloud, door: FrontDoor) -> None:
    """sns:publish sends text and objects, events:putEvents adds the execution to the resources."""
    publish = {
        "Type": "Task",
        "Resource": "arn:aws:states:::sns:publish",
        "Parameters": {
            "TopicArn": "arn:aws:sns:us-east-1:000000000000:t",
            "Subject": "S",
            "Message": {"state.$": "$$.State.Name"},
        },
        "ResultPath": "$.published",
        "Next": "Put",
    }
    put = {
        "Type": "Task",
        "Resource": "arn:aws:states:::events:putEvents",
        "Parameters": {"Entries": [{"Source": "s", "DetailType": "d", "Detail": {"a": 1}}]},
        "End": True,
    }
    described = cloud.run(one(publish, Put=put))

    assert described["status"] == "SUCCEEDED"
    assert json.loads(door.requests("sns:Publish")[0]["Message"]) == {"state": "S"}
    entry = door.requests("events:PutEvents")[0]["Entries"][0]
    assert json.loads(entry["Detail"]) == {"a": 1}
    assert described["executionArn"] in entry["Resources"]


def test_a_denied_notification_has_awss_name(cloud: Cloud, door: FrontDoor) -> None:
    """SNS's own denial becomes SNS.AuthorizationErrorException."""
    door.denied.add("sns:Publish")
    state = {
        "Type": "Task",
        "Resource": "arn:aws:states:::sns:publish",
        "Parameters": {"TopicArn": "arn:aws:sns:us-east-1:000000000000:t", "Message": "m"},
        "End": True,
    }

    assert cloud.run(one(state))["error"] == "SNS.AuthorizationErrorException"


def test_any_api_can_be_called_through_the_sdk_integration(cloud: Cloud, door: FrontDoor) -> None:
    """aws-sdk:<service>:<action> calls the API; an error is named after the service as the SDK spells it."""
    state = {
        "Type": "Task",
        "Resource": "arn:aws:states:::aws-sdk:sagemaker:describeEndpoint",
        "Parameters": {"EndpointName": "e"},
        "End": True,
    }
    described = cloud.run(one(state))
    door.denied.add("sagemaker:DescribeEndpoint")
    denied = cloud.run(one(state))

    assert output(described) == {"EndpointName": "e", "EndpointStatus": "InService", "CreationTime": 1700000000000}
    assert denied["error"] == "SageMaker.SageMakerException"


def test_only_one_service_at_a_time(cloud: Cloud) -> None:
    """A second service in the same process is refused until the first is closed."""
    with pytest.raises(RuntimeError, match="close it first"):
        StepFunctionsService(cloud.service._dependencies)


@pytest.mark.parametrize(
    ("resource", "parameters", "name"),
    [
        ("arn:aws:states:::lambda:invoke", {"FunctionName": "f"}, "Lambda.SdkClientException"),
        ("arn:aws:states:::sns:publish", {"TopicArn": "t", "Message": "m"}, "SNS.SdkClientException"),
        (
            "arn:aws:states:::sagemaker:updateEndpoint",
            {"EndpointName": "e", "EndpointConfigName": "c"},
            "SageMaker.SdkClientException",
        ),
    ],
)
def test_an_unreachable_service_can_be_retried_by_name(
    cloud: Cloud, door: FrontDoor, resource: str, parameters: dict[str, Any], name: str
) -> None:
    """A call that gets no answer is the service's SdkClientException."""
    machine = cloud.create(one({"Type": "Task", "Resource": resource, "Parameters": parameters, "End": True}))
    door.close()

    assert cloud.ended(cloud.start(machine))["error"] == name


def _until(condition: Any) -> None:
    for _ in range(500):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it did not come about")

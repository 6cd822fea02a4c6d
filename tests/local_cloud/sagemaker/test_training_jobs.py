import io
import json
import tarfile
import threading

import pytest
from botocore.exceptions import ClientError, WaiterError

BUCKET = "forest"
SOON = {"Delay": 0.05, "MaxAttempts": 400}
METRICS = [{"Name": "validation:rmse", "Regex": r"validation_rmse=([0-9.]+)"}, {"Name": "never", "Regex": "never=(.*)"}]


def channel(name, uri):
    """One channel."""
    return {"ChannelName": name, "ContentType": "text/csv", "DataSource": {"S3DataSource": {
        "S3DataType": "S3Prefix", "S3Uri": uri, "S3DataDistributionType": "FullyReplicated"}}}  # fmt: skip


def algorithm(**more):
    """The image and more."""
    image = "000000000000.dkr.ecr.us-east-1.amazonaws.com/jobs:1"
    return {"TrainingImage": image, "TrainingInputMode": "File"} | more


def archive(content):
    """Names and contents of the files in a .tar.gz."""
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar if member.isfile()}


def test_trains_on_channels_and_uploads_the_model(cloud):
    """Channels are downloaded, hyperparameters given as strings, model and output data packed and uploaded."""
    cloud.put("prepared/train/train.csv", "1,2")
    cloud.image.program(
        "train",
        """
        #!/usr/bin/env python
        import json, os, shutil, sys
        settings = {name: json.load(open(f"/opt/ml/input/config/{name}.json"))
                    for name in ("hyperparameters", "inputdataconfig", "resourceconfig")}
        settings |= {"name": os.environ["TRAINING_JOB_NAME"], "arn": os.environ["TRAINING_JOB_ARN"]}
        shutil.copytree("/opt/ml/input/data", "/opt/ml/model/data")
        json.dump(settings, open("/opt/ml/output/data/settings.json", "w"))
        print("validation_rmse=3.5"); print("validation_rmse=0.125;")
        """,
    )
    cloud.training(
        "grow",
        HyperParameters={"trees": "500"},
        InputDataConfig=[channel("train", f"s3://{BUCKET}/prepared/train/")],
        AlgorithmSpecification=algorithm(MetricDefinitions=METRICS),
    )
    job = cloud.trained("grow")
    settings = json.loads(archive(cloud.get("models/grow/output/output.tar.gz"))["settings.json"])

    assert job["TrainingJobStatus"] == "Completed", job
    assert job["ModelArtifacts"]["S3ModelArtifacts"] == f"s3://{BUCKET}/models/grow/output/model.tar.gz"
    assert archive(cloud.get("models/grow/output/model.tar.gz")) == {"data/train/train.csv": b"1,2"}
    assert settings["hyperparameters"] == {"trees": "500"}
    assert settings["inputdataconfig"]["train"]["ContentType"] == "text/csv"
    assert settings["resourceconfig"]["current_host"] == "algo-1"
    assert (settings["name"], settings["arn"]) == ("grow", job["TrainingJobArn"])
    assert [(metric["MetricName"], metric["Value"]) for metric in job["FinalMetricDataList"]] == [
        ("validation:rmse", 0.125)
    ]
    steps = [step["Status"] for step in job["SecondaryStatusTransitions"]]
    assert steps == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    assert job["TrainingTimeInSeconds"] >= 0


def test_a_failure_file_becomes_the_failure_reason(cloud):
    """What a failing program writes to /opt/ml/output/failure, cut at 1024 characters, is the job's reason."""
    cloud.image.program("train", "echo no trees in this forest > /opt/ml/output/failure; exit 7")
    cloud.training("barren")
    job = cloud.trained("barren")

    assert job["FailureReason"] == "AlgorithmError: no trees in this forest, exit code: 7"
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Failed", "Failed")


def test_a_long_failure_is_cut_and_keeps_its_exit_code(cloud):
    """FailureReason has 1024 characters at most; the exit code at its end is not what is cut off."""
    cloud.image.program("train", "yes oak | tr -d '\\n' | head -c 5000 > /opt/ml/output/failure; exit 7")
    cloud.training("verbose")
    reason = cloud.trained("verbose")["FailureReason"]

    assert len(reason) == 1024
    assert reason.startswith("AlgorithmError: oakoakoak")
    assert reason.endswith("oako, exit code: 7")


def test_only_what_was_declared_is_there(cloud):
    """/opt/ml holds SageMaker's directories and the declared channels, and nothing else."""
    cloud.put("prepared/train/a.csv", "1")
    cloud.image.program("train", "cd /opt/ml; find . -mindepth 1 | sort > /tmp/tree; cp /tmp/tree model")
    cloud.training("look", InputDataConfig=[channel("train", f"s3://{BUCKET}/prepared/train/")])
    cloud.trained("look")

    assert archive(cloud.get("models/look/output/model.tar.gz"))["tree"].decode().split() == [
        "./input",
        "./input/config",
        "./input/config/hyperparameters.json",
        "./input/config/inputdataconfig.json",
        "./input/config/resourceconfig.json",
        "./input/data",
        "./input/data/train",
        "./input/data/train/a.csv",
        "./model",
        "./output",
        "./output/data",
    ]


def test_a_job_that_ended_is_described_in_full(cloud):
    """Times, billed seconds, artefacts and every step with begin, end and message."""
    cloud.image.program("train", "sleep 1; echo x > /opt/ml/model/x")
    cloud.training("whole")
    job = cloud.trained("whole")
    steps = job["SecondaryStatusTransitions"]

    assert job["CreationTime"] <= job["TrainingStartTime"] < job["TrainingEndTime"] <= job["LastModifiedTime"]
    assert job["TrainingTimeInSeconds"] == job["BillableTimeInSeconds"] >= 1
    assert all(step["StartTime"] <= step["EndTime"] and step["StatusMessage"] for step in steps)
    assert job["SecondaryStatus"] == steps[-1]["Status"] == "Completed"
    assert (job["ResourceConfig"]["InstanceType"], job["EnableManagedSpotTraining"]) == ("ml.m5.large", False)


def test_waiters_of_the_sdk(cloud):
    """boto3's waiter sees a job complete, stop and fail."""
    waiter = cloud.sagemaker.get_waiter("training_job_completed_or_stopped")
    cloud.image.program("train", "true")
    cloud.image.program("fail", "false")
    cloud.image.program("wait", "exec sleep 60")
    cloud.training("quick")
    for name in ("fail", "wait"):
        cloud.training(name, AlgorithmSpecification=algorithm(ContainerEntrypoint=[name]))
    cloud.sagemaker.stop_training_job(TrainingJobName="wait")
    for name in ("quick", "wait"):
        waiter.wait(TrainingJobName=name, WaiterConfig=SOON)
    with pytest.raises(WaiterError, match="Failed"):
        waiter.wait(TrainingJobName="fail", WaiterConfig=SOON)

    assert cloud.trained("wait")["TrainingJobStatus"] == "Stopped"


def test_runtime_limit_stops_the_job_and_keeps_its_model(cloud, monkeypatch):
    """After MaxRuntimeInSeconds the program gets SIGTERM and may save a model, which is uploaded."""
    up = cloud.state_dir / "sagemaker/training-jobs/slow/ml/up"

    class Timer(threading.Timer):
        """Begins when the program is ready for its end."""

        def run(self):
            cloud.until(up.exists, bool)
            super().run()

    monkeypatch.setattr(threading, "Timer", Timer)
    on_end = "trap 'echo half > /opt/ml/model/half; exit 0' TERM"
    cloud.image.program("train", f"{on_end}; touch /opt/ml/up; while :; do sleep 0.05; done")
    cloud.training("slow", StoppingCondition={"MaxRuntimeInSeconds": 1})
    job = cloud.trained("slow")

    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")
    assert archive(cloud.get("models/slow/output/model.tar.gz")) == {"half": b"half\n"}


def test_stop(cloud):
    """StopTrainingJob passes through Stopping and ends as Stopped; a job that has ended is not stopped again."""
    cloud.image.program("train", "touch /opt/ml/up; exec sleep 60")
    cloud.training("halt")
    cloud.until((cloud.state_dir / "sagemaker/training-jobs/halt/ml/up").exists, bool)
    cloud.sagemaker.stop_training_job(TrainingJobName="halt")
    job = cloud.trained("halt")

    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "Stopped")
    assert "Stopping" in [step["Status"] for step in job["SecondaryStatusTransitions"]]
    with pytest.raises(ClientError) as refused:
        cloud.sagemaker.stop_training_job(TrainingJobName="halt")
    assert refused.value.response["Error"] == {
        "Code": "ValidationException",
        "Message": "The request was rejected because the training job is in status Stopped.",
    }


def test_a_channel_without_data_is_refused(cloud):
    """CreateTrainingJob looks for its data before it makes a job, and leaves the name free."""
    cloud.image.program("train", "true")
    with pytest.raises(ClientError) as caught:
        cloud.training("empty", InputDataConfig=[channel("train", f"s3://{BUCKET}/none/")])
    cloud.training("empty")

    error = caught.value.response["Error"]
    assert error["Code"] == "ValidationException"
    assert error["Message"].startswith(
        'No S3 objects found under S3 URL "s3://forest/none/" given in input data source.'
    )


def test_a_name_is_used_once(cloud):
    """A second training job of the same name is refused with ResourceInUse, in AWS's words for training jobs."""
    cloud.image.program("train", "true")
    cloud.training("once")
    with pytest.raises(cloud.sagemaker.exceptions.ResourceInUse, match="Training job names must be unique within"):
        cloud.training("once")


def test_an_unknown_job(cloud):
    """Describing a training job that does not exist is a ValidationException."""
    with pytest.raises(ClientError) as caught:
        cloud.sagemaker.describe_training_job(TrainingJobName="ghost")

    assert caught.value.response["Error"] == {
        "Code": "ValidationException",
        "Message": "Requested resource not found.",
    }


def test_a_metric_needs_a_group(cloud):
    """A metric definition whose expression captures nothing is refused."""
    with pytest.raises(ClientError, match="needs a group"):
        cloud.training("m", AlgorithmSpecification=algorithm(MetricDefinitions=[{"Name": "x", "Regex": "x=.*"}]))


def test_an_entrypoint_replaces_the_argument_train(cloud):
    """ContainerEntrypoint and ContainerArguments of the algorithm are run instead of `train`."""
    cloud.image.program("grow", 'echo "$@" > /opt/ml/model/arguments')
    cloud.training(
        "own", AlgorithmSpecification=algorithm(ContainerEntrypoint=["grow"], ContainerArguments=["--fast", "oak"])
    )
    cloud.trained("own")

    assert archive(cloud.get("models/own/output/model.tar.gz")) == {"arguments": b"--fast oak\n"}


def test_jobs_are_listed_by_status_and_name(cloud):
    """ListTrainingJobs filters, sorts and pages."""
    cloud.image.program("train", "true")
    for name in ("oak-1", "oak-2", "elm-1"):
        cloud.training(name)
        cloud.trained(name)
    listing = cloud.sagemaker.list_training_jobs
    first = listing(NameContains="oak", SortBy="Name", SortOrder="Ascending", MaxResults=1)
    second = listing(NameContains="oak", SortBy="Name", SortOrder="Ascending", NextToken=first["NextToken"])

    assert [job["TrainingJobName"] for job in first["TrainingJobSummaries"]] == ["oak-1"]
    assert [job["TrainingJobName"] for job in second["TrainingJobSummaries"]] == ["oak-2"]
    assert listing(StatusEquals="Failed")["TrainingJobSummaries"] == []
    assert listing(WarmPoolStatusEquals="Available")["TrainingJobSummaries"] == []

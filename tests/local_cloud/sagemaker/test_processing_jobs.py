import json
from pathlib import Path

import pytest
from botocore.exceptions import ClientError, WaiterError

from local_cloud.sagemaker import SageMakerEnvironment

BUCKET = "forest"
SOON = {"Delay": 0.05, "MaxAttempts": 400}


def output(prefix, path="/opt/ml/processing/output"):
    """One output."""
    uri = f"s3://{BUCKET}/{prefix}"
    return {
        "Outputs": [{"OutputName": "out", "S3Output": {"S3Uri": uri, "LocalPath": path, "S3UploadMode": "EndOfJob"}}]
    }


def data(uri, path="/opt/ml/processing/input"):
    """One input."""
    source = {"S3Uri": uri, "LocalPath": path, "S3DataType": "S3Prefix", "S3InputMode": "File"}
    return [{"InputName": "in", "S3Input": source}]


def test_reads_inputs_and_uploads_outputs(cloud):
    """A job finds its inputs under their paths; what it leaves in its output directory is in S3 afterwards."""
    cloud.put("data/a.csv", "1")
    cloud.put("data/deep/b.csv", "2")
    cloud.image.program("copy", "cd /opt/ml/processing; cp -r input/. output; echo done > /opt/ml/output/message")
    cloud.processing(
        "copy-1", "copy", ProcessingInputs=data(f"s3://{BUCKET}/data/"), ProcessingOutputConfig=output("out/")
    )
    job = cloud.processed("copy-1")

    assert job["ProcessingJobStatus"] == "Completed", job
    assert job["ExitMessage"] == "done\n"
    assert cloud.keys("out/") == ["a.csv", "deep/b.csv"]
    assert cloud.get("out/deep/b.csv") == b"2"
    assert cloud.told("ProcessingJob", "InProgress", "Completed")


def test_a_job_that_has_ended_is_described_the_same_for_ever(cloud):
    """Whoever sees it completed sees the description that stays, and that people are told of."""
    cloud.image.program("quick", "echo done")
    told = []
    cloud.service.on_state_change(lambda _, description: told.append(description))
    cloud.processing("first", "quick")
    cloud.processed("first")
    assert cloud.told("ProcessingJob", "InProgress", "Completed")
    job = cloud.sagemaker.describe_processing_job(ProcessingJobName="first")

    assert job["LastModifiedTime"] == job["ProcessingEndTime"]
    assert told[-1]["LastModifiedTime"] == told[-1]["ProcessingEndTime"]


def test_an_input_that_is_one_object_keeps_its_name(cloud):
    """An S3 URI that names an object puts that object, under its own name, into the input's directory."""
    uri = cloud.put("models/x/model.tar.gz", "model")
    cloud.image.program("look", "cat /opt/ml/processing/input/model.tar.gz > /opt/ml/output/message")
    cloud.processing("one", "look", ProcessingInputs=data(uri))

    assert cloud.processed("one")["ExitMessage"] == "model"


def test_gives_configuration_credentials_and_environment(cloud):
    """A program sees its configuration, its request's variables, the role's credentials, nothing of the host."""
    cloud.image.program(
        "show",
        """
        #!/usr/bin/env python
        import json, os, sys
        config = json.load(open("/opt/ml/config/processingjobconfig.json"))
        hosts = json.load(open("/opt/ml/config/resourceconfig.json"))
        seen = {name: os.environ.get(name) for name in sys.argv[1:]}
        seen |= {"job": config["ProcessingJobName"], "host": hosts["current_host"], "home": os.listdir("/root")}
        open("/opt/ml/output/message", "w").write(json.dumps(seen))
        """,
    )
    names = ("COLOUR", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN", "VIRTUAL_ENV")
    cloud.processing("show", "show", *names, Environment={"COLOUR": "green"})
    seen = json.loads(cloud.processed("show")["ExitMessage"])

    assert not {".bashrc", ".aws", ".ssh"} & set(seen.pop("home"))  # at most where this Python is installed
    assert seen == {
        "COLOUR": "green",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": None,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SESSION_TOKEN": "token",
        "VIRTUAL_ENV": None,
        "job": "show",
        "host": "algo-1",
    }
    assert cloud.sessions == [("arn:aws:iam::000000000000:role/job", "show")]


def test_a_failing_program_fails_the_job_and_uploads_nothing(cloud):
    """The exit code decides; outputs of a failed job do not reach S3; its message tells why."""
    cloud.image.program("fail", "echo x > /opt/ml/processing/output/x; echo no rows > /opt/ml/output/message; exit 3")
    cloud.processing("fail", "fail", ProcessingOutputConfig=output("out/"))
    job = cloud.processed("fail")

    assert job["ProcessingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("AlgorithmError: See job logs for more information")
    assert job["ExitMessage"] == "no rows\n"
    assert cloud.keys("out/") == []


def test_symbolic_links_are_not_uploaded(cloud):
    """Symlinks are not followed when output data is uploaded."""
    cloud.image.program("link", "cd /opt/ml/processing/output; echo x > x; ln -s x y; ln -s /etc z")
    cloud.processing("link", "link", ProcessingOutputConfig=output("out/"))
    cloud.processed("link")

    assert cloud.keys("out/") == ["x"]


def test_an_exit_message_is_cut_at_one_kilobyte_and_must_be_utf8(cloud):
    """ExitMessage holds the first kilobyte; bytes that are not UTF-8 fail the job."""
    cloud.image.program("long", "yes ü | tr -d '\\n' | head -c 4000 > /opt/ml/output/message")
    cloud.image.program("bad", "printf '\\377' > /opt/ml/output/message")
    cloud.processing("long", "long")
    cloud.processing("bad", "bad")

    assert cloud.processed("long")["ExitMessage"] == "ü" * 512
    assert cloud.processed("bad")["FailureReason"].startswith("ClientError: ")


def test_stop_lets_a_program_end_in_order(cloud):
    """StopProcessingJob sends SIGTERM; the job ends as Stopped without uploading."""
    cloud.image.program(
        "wait", "trap 'echo bye > /opt/ml/output/message; exit 0' TERM; touch /opt/ml/up; while :; do sleep 0.1; done"
    )
    cloud.processing("wait", "wait", ProcessingOutputConfig=output("out/"))
    up = cloud.state_dir / "sagemaker/processing-jobs/wait/ml/up"
    cloud.until(up.exists, bool)
    cloud.sagemaker.stop_processing_job(ProcessingJobName="wait")
    job = cloud.processed("wait")

    assert (job["ProcessingJobStatus"], job["ExitMessage"]) == ("Stopped", "bye\n")


def test_a_program_that_does_not_stop_is_killed(cloud):
    """A program that ignores SIGTERM is killed when MaxRuntimeInSeconds and the grace are over."""
    cloud.image.program("stubborn", "trap '' TERM; while :; do sleep 0.1; done")
    cloud.processing("stubborn", "stubborn", StoppingCondition={"MaxRuntimeInSeconds": 1})

    assert cloud.processed("stubborn")["ProcessingJobStatus"] == "Stopped"


def test_output_goes_to_cloudwatch_logs(cloud):
    """Standard output and error of a job are in its log stream when it has ended."""
    cloud.image.program("talk", "echo hello; echo trouble >&2; printf 'no newline'")
    cloud.processing("talk", "talk")
    cloud.processed("talk")
    streams = cloud.logs.describe_log_streams(
        logGroupName="/aws/sagemaker/ProcessingJobs", logStreamNamePrefix="talk/algo-1-"
    )["logStreams"]
    stream = streams[0]["logStreamName"]
    events = cloud.logs.get_log_events(
        logGroupName="/aws/sagemaker/ProcessingJobs", logStreamName=stream, startFromHead=True
    )

    assert [event["message"] for event in events["events"]] == ["hello", "trouble", "no newline"]


def test_writes_outside_its_own_directories_fail(cloud):
    """A job can write to /opt/ml, /tmp, /root and /dev/shm and to nothing else of this machine."""
    cloud.image.program(
        "write",
        """
        for path in /opt/ml/a /tmp/a /root/a /dev/shm/a /usr/a /opt/a /opt/program/bin/a; do
            echo x 2>/dev/null > $path && printf "$path " >> /opt/ml/output/message
        done
        """,
    )
    cloud.processing("write", "write")

    assert cloud.processed("write")["ExitMessage"] == "/opt/ml/a /tmp/a /root/a /dev/shm/a "


def test_missing_data_fails_the_job_with_the_place(cloud):
    """An input prefix without objects fails the job; the reason names the URI and what to check."""
    cloud.image.program("never", "true")
    cloud.processing("missing", "never", ProcessingInputs=data(f"s3://{BUCKET}/nothing/"))
    job = cloud.processed("missing")

    assert job["ProcessingJobStatus"] == "Failed"
    assert 'No S3 objects found under S3 URL "s3://forest/nothing/"' in job["FailureReason"]


def test_an_unknown_program_fails_the_job(cloud):
    """An entrypoint that the image does not hold fails the job; the reason names it."""
    cloud.processing("unknown", "no-such-program")

    assert "no-such-program" in cloud.processed("unknown")["FailureReason"]


def test_a_name_is_used_once(cloud):
    """A second job of the same name is refused with ResourceInUse, even when the first has ended."""
    cloud.image.program("quick", "true")
    first = cloud.processing("once", "quick")
    cloud.processed("once")
    with pytest.raises(ClientError) as caught:
        cloud.processing("once", "quick")

    assert caught.value.response["Error"] == {
        "Code": "ResourceInUse",
        "Message": "Job name must be unique within an AWS account and region, and a job with this name already exists "
        f"({first['ProcessingJobArn']})",
    }


@pytest.mark.parametrize(
    ("path", "words"),
    [("/opt/ml/elsewhere", "must begin with /opt/ml/processing/"), ("/opt/ml/processing/../x", "must begin with")],
)
def test_inputs_must_lie_below_the_processing_directory(cloud, path, words):
    """A LocalPath outside /opt/ml/processing/ is refused before anything runs."""
    with pytest.raises(ClientError, match=words):
        cloud.processing("path", "x", ProcessingInputs=data(f"s3://{BUCKET}/x/", path))


def test_an_unknown_job_is_worded_as_aws_words_it(cloud):
    """Describing and stopping a job that does not exist is a ValidationException."""
    for call in (cloud.sagemaker.describe_processing_job, cloud.sagemaker.stop_processing_job):
        with pytest.raises(ClientError) as caught:
            call(ProcessingJobName="ghost")

        assert caught.value.response["Error"] == {
            "Code": "ValidationException",
            "Message": "Could not find requested job with name: ghost",
        }


def test_only_what_was_declared_is_there(cloud):
    """/opt/ml holds the configuration and the declared directories; nothing of a job before."""
    cloud.put("data/a.csv", "1")
    cloud.image.program("leave", "echo x > /opt/ml/left; echo x > /tmp/left; echo x > /opt/ml/processing/left")
    cloud.image.program(
        "look", "cd /opt/ml; find . /tmp -mindepth 1 ! -name tree | sort > /tmp/tree; cp /tmp/tree output/message"
    )
    cloud.processing("leave", "leave", ProcessingOutputConfig=output("out/"))
    cloud.processed("leave")
    cloud.processing(
        "look", "look", ProcessingInputs=data(f"s3://{BUCKET}/data/"), ProcessingOutputConfig=output("out/")
    )

    seen = cloud.processed("look")["ExitMessage"].split()
    checkout = Path(__file__).parents[3]  # its Python stays in sight, wherever it lies: perhaps below /tmp
    assert [path for path in seen if not (Path(path) in checkout.parents or Path(path).is_relative_to(checkout))] == [
        "./config",
        "./config/processingjobconfig.json",
        "./config/resourceconfig.json",
        "./output",
        "./processing",
        "./processing/input",
        "./processing/input/a.csv",
        "./processing/output",
    ]


def test_only_declared_outputs_are_kept(cloud):
    """What lies beside the declared outputs, in the inputs or elsewhere below /opt/ml, is lost."""
    cloud.put("data/a.csv", "1")
    cloud.image.program(
        "spread", "cd /opt/ml/processing; touch input/x other /opt/ml/x output/kept; mkdir more; touch more/x"
    )
    cloud.processing(
        "spread", "spread", ProcessingInputs=data(f"s3://{BUCKET}/data/"), ProcessingOutputConfig=output("out/")
    )
    cloud.processed("spread")

    assert cloud.keys("out/") == ["kept"]
    assert cloud.keys("data/") == ["a.csv"]


def test_an_output_that_was_not_written_is_empty(cloud):
    """A declared output exists before the program starts; nothing in it is no error and makes no object."""
    cloud.image.program("idle", "test -d /opt/ml/processing/output")
    cloud.processing("idle", "idle", ProcessingOutputConfig=output("out/"))

    assert cloud.processed("idle")["ProcessingJobStatus"] == "Completed"
    assert cloud.keys("out/") == []


def test_times_and_condition_are_described(cloud):
    """A job that ended tells when it was made, started and ended, its role, its limit, its resources."""
    cloud.image.program("quick", "true")
    cloud.processing("quick", "quick", Environment={"A": "b"})
    job = cloud.processed("quick")

    assert job["CreationTime"] <= job["ProcessingStartTime"] <= job["ProcessingEndTime"] <= job["LastModifiedTime"]
    assert job["StoppingCondition"] == {"MaxRuntimeInSeconds": 86400}
    assert job["ProcessingResources"]["ClusterConfig"]["InstanceType"] == "ml.m5.large"
    assert (job["RoleArn"], job["Environment"]) == ("arn:aws:iam::000000000000:role/job", {"A": "b"})


def test_a_job_over_its_time_is_stopped_and_uploads_nothing(cloud):
    """MaxRuntimeInSeconds ends a processing job as Stopped, not Failed: no outputs, no reason.

    So the SDK of AWS takes it: "Job ended with status 'Stopped' … could mean the job timed out"
    (https://github.com/aws/sagemaker-python-sdk, session.py).
    """
    cloud.image.program("slow", "touch /opt/ml/processing/output/half; exec sleep 60")
    cloud.processing(
        "slow", "slow", StoppingCondition={"MaxRuntimeInSeconds": 1}, ProcessingOutputConfig=output("out/")
    )
    job = cloud.processed("slow")

    assert job["ProcessingJobStatus"] == "Stopped"
    assert "FailureReason" not in job
    assert cloud.keys("out/") == []


def test_there_are_two_minutes_between_sigterm_and_sigkill():
    """As StopTrainingJob's and StopProcessingJob's API references say."""
    assert SageMakerEnvironment.job_grace_seconds == 120


def test_waiters_of_the_sdk(cloud):
    """boto3's waiter sees a job complete, stop and fail."""
    waiter = cloud.sagemaker.get_waiter("processing_job_completed_or_stopped")
    cloud.image.program("quick", "true")
    cloud.image.program("fail", "false")
    cloud.image.program("wait", "exec sleep 60")
    for name in ("quick", "fail", "wait"):
        cloud.processing(name, name)
    cloud.sagemaker.stop_processing_job(ProcessingJobName="wait")
    for name in ("quick", "wait"):
        waiter.wait(ProcessingJobName=name, WaiterConfig=SOON)
    with pytest.raises(WaiterError, match="Failed"):
        waiter.wait(ProcessingJobName="fail", WaiterConfig=SOON)

    assert cloud.processed("wait")["ProcessingJobStatus"] == "Stopped"

"""What becomes of SageMaker's jobs when a fault strikes them."""

import pytest

from local_cloud.faults import Capacity, Fault, InstanceLost, Kill, Memory, Volume

OUTPUT = {
    "ProcessingOutputConfig": {
        "Outputs": [
            {
                "OutputName": "out",
                "S3Output": {
                    "S3Uri": "s3://forest/results/",
                    "LocalPath": "/opt/ml/processing/out",
                    "S3UploadMode": "EndOfJob",
                },
            }
        ]
    }
}
# writes its output, says so, and has time left to be killed
WORK = "echo 1 > /opt/ml/processing/out/first; echo half done; sleep {}; echo 2 > /opt/ml/processing/out/second"
INTERNAL = "InternalServerError: We encountered an internal error.  Please try again."


def process(cloud, name, program, **overrides):
    """A processing job with an output when it has ended."""
    cloud.image.program("work", program)
    cloud.processing(name, "work", **OUTPUT, **overrides)
    return cloud.processed(name)


def train(cloud, name, program, **overrides):
    """A training job when it has ended."""
    cloud.image.program("train", program)
    cloud.training(name, **overrides)
    return cloud.trained(name)


def source(cloud, content):
    """An input with one object."""
    cloud.put("inputs/data", content)
    return {
        "ProcessingInputs": [
            {
                "InputName": "in",
                "S3Input": {
                    "S3Uri": "s3://forest/inputs/",
                    "LocalPath": "/opt/ml/processing/in",
                    "S3DataType": "S3Prefix",
                    "S3InputMode": "File",
                },
            }
        ]
    }


@pytest.mark.parametrize(
    "when",
    ["start", {"after_seconds": 0.2}, {"when_log_says": "half done"}, "end"],
    ids=["start", "later", "log", "end"],
)
def test_a_killed_processing_job_fails_and_uploads_nothing(cloud, when) -> None:
    """Whenever it is killed: exit code 137, as after SIGKILL."""
    cloud.faults.arm([Kill(target="job", when=when)])
    job = process(cloud, "work", WORK.format(0 if when == "end" else 20))

    assert job["ProcessingJobStatus"] == "Failed"
    assert "exit code" in job["FailureReason"]
    assert "137" in job["FailureReason"]
    assert cloud.keys("results/") == []
    assert not cloud.faults


@pytest.mark.parametrize("when", [{"after_seconds": 0}, {"when_log_says": "half done"}], ids=["later", "log"])
def test_a_job_that_ends_as_soon_as_it_is_due_was_killed(cloud, when) -> None:
    """It is not for chance to say whether a fault strikes: ten jobs that are faster than anybody looks."""
    cloud.faults.arm([Kill(target="job", when=when, times=10)])
    ended = [process(cloud, f"work-{number}", WORK.format(0)) for number in range(10)]

    assert {(job["ProcessingJobStatus"], "137" in job["FailureReason"]) for job in ended} == {("Failed", True)}
    assert cloud.keys("results/") == []
    assert not cloud.faults


def test_a_killed_training_job_uploads_what_it_had(cloud) -> None:
    """As for any training job that fails, its artefacts may hold what went wrong."""
    cloud.faults.arm([Kill(target="job", when={"when_log_says": "half done"})])
    job = train(cloud, "train", "echo 1 > /opt/ml/model/forest; echo half done; sleep 20")

    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"] == "AlgorithmError: , exit code: 137"
    assert cloud.keys("models/train/") == ["output/model.tar.gz"]


def test_a_fault_strikes_the_job_of_its_name_only_and_only_so_often(cloud) -> None:
    """The next try of the same job, whose name also matches, goes through."""
    cloud.faults.arm([Kill(target="job", name="dev-work-*"), Kill(target="endpoint"), Kill(target="function")])
    outcomes = [
        process(cloud, name, WORK.format(0))["ProcessingJobStatus"] for name in ("other", "dev-work-0", "dev-work-1")
    ]

    assert outcomes == ["Completed", "Failed", "Completed"]


def test_a_fault_that_waits_for_what_is_never_said_strikes_nobody(cloud) -> None:
    """It stays armed, with all its strikes."""
    cloud.faults.arm([Kill(target="job", when={"when_log_says": "wholly done"})])
    job = process(cloud, "work", WORK.format(0))

    assert job["ProcessingJobStatus"] == "Completed"
    assert cloud.faults.as_json()["armed"][0]["hits"] == 0


@pytest.mark.parametrize("when", ["start", {"when_log_says": "half done"}, "end"], ids=["start", "log", "end"])
def test_a_job_whose_instance_is_lost_fails_in_sagemakers_words(cloud, when) -> None:
    """Nothing of it is uploaded, not even by a training job."""
    cloud.faults.arm([InstanceLost(when=when, times=2)])
    seconds = 0 if when == "end" else 20
    processing = process(cloud, "work", WORK.format(seconds))
    training = train(cloud, "train", f"echo 1 > /opt/ml/model/forest; echo half done; sleep {seconds}")

    assert (processing["ProcessingJobStatus"], processing["FailureReason"]) == ("Failed", INTERNAL)
    assert (training["TrainingJobStatus"], training["FailureReason"]) == ("Failed", INTERNAL)
    assert cloud.keys("results/") == []
    assert cloud.keys("models/") == []


def test_without_capacity_a_job_fails_before_anything_starts(cloud) -> None:
    """In the words that people retry on; no container, no log."""
    cloud.faults.arm([Capacity(name="train*"), Capacity(name="work*")])
    processing = process(cloud, "work", WORK.format(0))
    training = train(cloud, "train", "exit 0")
    words = (
        "CapacityError: Unable to provision requested ML compute capacity. "
        "Please retry using a different ML instance type."
    )

    assert (processing["ProcessingJobStatus"], processing["FailureReason"]) == ("Failed", words)
    assert (training["TrainingJobStatus"], training["FailureReason"]) == ("Failed", words)
    assert "TrainingStartTime" not in training
    assert not list(cloud.state_dir.rglob("log"))


HUNGRY = """
    #!/usr/bin/env python
    import sys, time
    held = bytearray({} << 20)
    held[::4096] = b"x" * len(held[::4096])
    print("fed", flush=True)
    time.sleep({})
"""


@pytest.mark.parametrize("start", [process, train])
def test_a_job_that_needs_more_memory_than_there_is_is_killed(cloud, start) -> None:
    """SageMaker asks for a larger instance then."""
    cloud.faults.arm([Memory(megabytes=100, times=2)])
    failed = start(cloud, "hungry", HUNGRY.format(200, 20))
    fitting = start(cloud, "modest", HUNGRY.format(10, 0))

    assert failed["FailureReason"] == (
        "ClientError: Please use an instance type with more memory, "
        "or reduce the size of job data processed on an instance."
    )
    assert "FailureReason" not in fitting
    assert not cloud.faults


def test_a_full_volume_fails_a_write_with_enospc_and_keeps_what_fitted(cloud) -> None:
    """The program sees its inputs there, reads the error, and its outputs are uploaded from there."""
    cloud.faults.arm([Volume(megabytes=2)])
    program = """
        wc -c < /opt/ml/processing/in/data > /opt/ml/processing/out/size
        head -c 3000000 /dev/zero > /opt/ml/processing/out/large 2> /tmp/error && exit 1
        rm /opt/ml/processing/out/large
        cat /tmp/error > /opt/ml/processing/out/error
    """
    job = process(cloud, "work", program, **source(cloud, b"x" * 500_000))

    assert job["ProcessingJobStatus"] == "Completed", job
    assert cloud.keys("results/") == ["error", "size"]
    assert cloud.get("results/size").strip() == b"500000"
    assert b"No space left on device" in cloud.get("results/error")


def test_a_volume_that_is_too_small_for_the_inputs_fails_the_job(cloud) -> None:
    """Before its program starts."""
    cloud.faults.arm([Volume(megabytes=1)])
    job = process(cloud, "work", "echo never", **source(cloud, b"x" * 2_000_000))

    assert job["FailureReason"] == "ClientError: Data download failed:Insufficient disk space"


def test_a_killed_program_on_a_small_volume_leaves_what_it_wrote(cloud) -> None:
    """Two faults at once; SageMaker uploads a failed training job's artefacts."""
    cloud.faults.arm([Volume(megabytes=1), Kill(target="job", when={"when_log_says": "half done"})])
    job = train(cloud, "train", "echo 1 > /opt/ml/model/forest; echo half done; sleep 20")

    assert job["FailureReason"] == "AlgorithmError: , exit code: 137"
    assert cloud.keys("models/train/") == ["output/model.tar.gz"]


@pytest.mark.parametrize("fault", [Kill(target="job", when={"after_seconds": 60}), Memory(megabytes=4000)])
def test_a_job_that_waits_for_its_fault_can_be_stopped(cloud, fault: Fault) -> None:
    """And is Stopped then, not Failed."""
    cloud.faults.arm([fault])
    cloud.image.program("work", "echo half done; exec sleep 60")
    cloud.processing("work", "work")
    log = cloud.state_dir / "sagemaker" / "processing-jobs" / "work" / "log"
    cloud.until(lambda: log.exists() and log.read_text(), bool)
    cloud.sagemaker.stop_processing_job(ProcessingJobName="work")

    assert cloud.processed("work")["ProcessingJobStatus"] == "Stopped"

"""Training jobs: channels from S3, one program, a model to S3, metrics out of the log."""

import json
import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from local_cloud.sagemaker.container import Container, command
from local_cloud.sagemaker.errors import JobFailedError, invalid
from local_cloud.sagemaker.jobs import MAX_REASON, Job, without_missing
from local_cloud.sagemaker.names import TRAINING_JOB
from local_cloud.sagemaker.storage import pack

_MESSAGES = {
    "Starting": "Starting the training job",
    "Downloading": "Downloading input data",
    "Training": "Training image download completed. Training in progress.",
    "Uploading": "Uploading generated training model",
    "Completed": "Training job completed",
    "Failed": "Training job failed",
    "Stopping": "Stopping the training job",
    "Stopped": "Training job stopped",
    "MaxRuntimeExceeded": "Training job runtime exceeded MaxRuntimeInSeconds provided",
}


class TrainingJob(Job):
    """A job made by CreateTrainingJob ("Use Your Own Training Algorithms" in SageMaker's developer guide)."""

    kind = TRAINING_JOB
    log_group = "/aws/sagemaker/TrainingJobs"

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._transitions: list[dict[str, Any]] = []
        self._metrics: list[dict[str, Any]] = []
        self._enter("Starting", self.created)

    @staticmethod
    def image_uri(request: Mapping[str, Any]) -> str:
        """The image that the program runs in."""
        return str(request["AlgorithmSpecification"]["TrainingImage"])

    @staticmethod
    def check(request: Mapping[str, Any]) -> None:
        """Refuses what the service model allows and SageMaker does not."""
        if not request["AlgorithmSpecification"].get("TrainingImage"):
            raise invalid("AlgorithmSpecification must name a TrainingImage.")
        for required in ("InstanceType", "InstanceCount"):
            if required not in request.get("ResourceConfig", {}):
                raise invalid(f"ResourceConfig must give {required}.")
        if "StoppingCondition" not in request:
            raise invalid("StoppingCondition must be given.")
        channels = [channel["ChannelName"] for channel in request.get("InputDataConfig", [])]
        if len(set(channels)) < len(channels):
            raise invalid(f"The names of a job's channels must be unique: {', '.join(sorted(channels))}.")
        for definition in request["AlgorithmSpecification"].get("MetricDefinitions", []):
            try:
                groups = re.compile(definition["Regex"]).groups
            except re.error as error:
                raise invalid(f"The Regex of metric {definition['Name']!r} is not valid: {error}.") from error
            if groups < 1:
                raise invalid(f"The Regex of metric {definition['Name']!r} needs a group that captures the value.")

    def check_inputs(self) -> None:
        """Refuses channels without data, as CreateTrainingJob does before it makes the job."""
        for channel in self.request.get("InputDataConfig", []):
            uri = channel["DataSource"]["S3DataSource"]["S3Uri"]
            try:
                found = self.storage.objects(uri)
            except JobFailedError:
                found = []
            if not found:
                raise invalid(self.storage.no_objects(uri))

    def describe(self) -> dict[str, Any]:
        """The answer of DescribeTrainingJob."""
        with self.lock:
            seconds = round((self.ended - self.started).total_seconds()) if self.ended and self.started else None
            artefacts = {"S3ModelArtifacts": self._output_uri("model.tar.gz")} if self.ended else None
            return without_missing({
                "EnableNetworkIsolation": False,
                "EnableInterContainerTrafficEncryption": False,
                "EnableManagedSpotTraining": False,
                **{name: value for name, value in self.request.items() if name != "Tags"},
                "TrainingJobArn": self.arn,
                "TrainingJobStatus": self.status,
                "SecondaryStatus": self._transitions[-1]["Status"],
                "SecondaryStatusTransitions": [dict(transition) for transition in self._transitions],
                "FailureReason": self.failure_reason,
                "ModelArtifacts": artefacts,
                "FinalMetricDataList": self._metrics or None,
                "CreationTime": self.created,
                "LastModifiedTime": self.modified,
                "TrainingStartTime": self.started,
                "TrainingEndTime": self.ended,
                "TrainingTimeInSeconds": seconds,
                "BillableTimeInSeconds": seconds,
            })  # fmt: skip

    def stop(self) -> None:
        """Stops the job; see Job.stop."""
        with self.lock:
            if self.status == "InProgress":
                self._enter("Stopping", self.cloud.now())
        super().stop()

    def _container(self) -> Container:
        algorithm = self.request["AlgorithmSpecification"]
        entrypoint, arguments = algorithm.get("ContainerEntrypoint", []), algorithm.get("ContainerArguments", [])
        return Container(
            image=self.image,
            # "docker run image train": the argument `train` replaces the image's CMD
            argv=command(self.image, entrypoint, arguments, ("train",)),
            directory=self.directory,
            credentials=self.credentials,
            environment={
                **self.request.get("Environment", {}),
                "TRAINING_JOB_NAME": self.name,
                "TRAINING_JOB_ARN": self.arn,
            },
            grace_seconds=self.cloud.job_grace_seconds,
        )

    def _prepare(self) -> None:
        ml = self.container.ml
        for directory in ("input/config", "input/data", "model", "output/data"):
            (ml / directory).mkdir(parents=True)
        for name, content in self._configuration().items():
            (ml / "input" / "config" / f"{name}.json").write_text(json.dumps(content))
        with self.lock:
            self.started = self.cloud.now()
        self._enter("Downloading", self.started)
        self.changed()
        for channel in self.request.get("InputDataConfig", []):
            self.check_stop()
            directory = ml / "input" / "data" / channel["ChannelName"]
            directory.mkdir()
            self.storage.download_prefix(channel["DataSource"]["S3DataSource"]["S3Uri"], directory)
        self._enter("Training", self.cloud.now())
        self.changed()

    def _configuration(self) -> dict[str, Any]:
        """The files in /opt/ml/input/config ("How Amazon SageMaker AI Provides Training Information")."""
        instance_type = self.request["ResourceConfig"]["InstanceType"]
        group = {"instance_group_name": "homogeneousCluster", "instance_type": instance_type, "hosts": ["algo-1"]}
        channels = {
            channel["ChannelName"]: without_missing({
                "TrainingInputMode": "File",
                "ContentType": channel.get("ContentType"),
                "S3DistributionType": channel["DataSource"]["S3DataSource"].get(
                    "S3DataDistributionType", "FullyReplicated"
                ),
                "RecordWrapperType": "None",
            })
            for channel in self.request.get("InputDataConfig", [])
        }  # fmt: skip
        return {
            "hyperparameters": self.request.get("HyperParameters", {}),
            "inputdataconfig": channels,
            "resourceconfig": {
                "current_host": "algo-1",
                "current_instance_type": instance_type,
                "current_group_name": "homogeneousCluster",
                "hosts": ["algo-1"],
                "instance_groups": [group],
                "network_interface_name": "eth0",
            },
        }

    def _finish(self, code: int) -> None:
        self._collect_metrics()
        self._enter("Uploading", self.cloud.now())
        self.changed()
        # A job that failed or was stopped passes through Uploading, too: its artefacts may hold what went wrong.
        for source, name in (("model", "model.tar.gz"), ("output/data", "output.tar.gz")):
            self._upload_packed(self.container.ml / source, name)
        if code != 0 and not (self.out_of_time or self._stopping):
            prefix, suffix = "AlgorithmError: ", f", exit code: {code}"
            raise JobFailedError(prefix + self._read_failure()[: MAX_REASON - len(prefix + suffix)] + suffix)

    def _end(self, status: str) -> None:
        self.status = status
        self._enter("MaxRuntimeExceeded" if self.out_of_time else status, self.ended or self.cloud.now())
        self._transitions[-1]["EndTime"] = self.ended
        if self.failure_reason:
            self._transitions[-1]["StatusMessage"] = self.failure_reason

    def _enter(self, status: str, moment: datetime) -> None:
        with self.lock:
            if self._transitions:
                self._transitions[-1].setdefault("EndTime", moment)
            self._transitions.append({"Status": status, "StartTime": moment, "StatusMessage": _MESSAGES[status]})

    def _upload_packed(self, directory: Path, name: str) -> None:
        if not any(directory.iterdir()):
            return
        archive = self.directory / name
        try:
            pack(directory, archive)
            self.storage.upload(archive, self._output_uri(name))
        finally:
            archive.unlink(missing_ok=True)

    def _output_uri(self, name: str) -> str:
        return f"{self.request['OutputDataConfig']['S3OutputPath'].rstrip('/')}/{self.name}/output/{name}"

    def _read_failure(self) -> str:
        """What the program says of its failure: the first 1024 characters count ("How … Processes Training Output")."""
        path = self.container.ml / "output" / "failure"
        if not path.is_file() or path.is_symlink():
            return ""
        with path.open(errors="replace") as file:
            return file.read(MAX_REASON).strip()

    def _collect_metrics(self) -> None:
        """The last value in the log of each metric definition becomes FinalMetricDataList."""
        definitions = [
            (definition["Name"], re.compile(definition["Regex"]))
            for definition in self.request["AlgorithmSpecification"].get("MetricDefinitions", [])
        ]
        values: dict[str, float] = {}
        with self.container.log.open(errors="replace") as log:
            for line in log if definitions else ():
                for name, pattern in definitions:
                    match = pattern.search(line)
                    if match:
                        try:
                            values[name] = float(match[1])
                        except (TypeError, ValueError):
                            continue
        now = self.cloud.now()
        self._metrics = [{"MetricName": name, "Value": value, "Timestamp": now} for name, value in values.items()]

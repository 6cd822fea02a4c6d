"""Processing jobs: inputs from S3, one program, outputs to S3."""

import json
from collections.abc import Mapping
from typing import Any

from local_cloud.sagemaker.container import Container, command
from local_cloud.sagemaker.errors import JobFailedError, invalid
from local_cloud.sagemaker.jobs import MAX_REASON, Job, without_missing
from local_cloud.sagemaker.names import PROCESSING_JOB

_ROOT = "/opt/ml/processing/"
_PIECE = 1 << 20


class ProcessingJob(Job):
    """A job made by CreateProcessingJob ("Build Your Own Processing Container" in SageMaker's developer guide)."""

    kind = PROCESSING_JOB
    log_group = "/aws/sagemaker/ProcessingJobs"
    exit_message: str | None = None

    @staticmethod
    def image_uri(request: Mapping[str, Any]) -> str:
        """The image that the program runs in."""
        return str(request["AppSpecification"]["ImageUri"])

    @staticmethod
    def check(request: Mapping[str, Any]) -> None:
        """Refuses what the service model allows and SageMaker does not."""
        inputs = request.get("ProcessingInputs", [])
        outputs = request.get("ProcessingOutputConfig", {}).get("Outputs", [])
        for noun, items, part in (("ProcessingInput", inputs, "S3Input"), ("ProcessingOutput", outputs, "S3Output")):
            names = [item[f"{noun.removeprefix('Processing')}Name"] for item in items]
            if len(set(names)) < len(names):
                raise invalid(f"The names of a job's {noun}s must be unique: {', '.join(sorted(names))}.")
            paths = [item.get(part, {}).get("LocalPath", "") for item in items]
            for path in paths:
                if not f"{path.rstrip('/')}/".startswith(_ROOT) or ".." in path.split("/"):
                    raise invalid(f"LocalPath {path!r} of a {noun} must begin with {_ROOT}.")
            if len(set(paths)) < len(paths):
                raise invalid(f"The LocalPaths of a job's {noun}s must be unique: {', '.join(sorted(paths))}.")

    def describe(self) -> dict[str, Any]:
        """The answer of DescribeProcessingJob."""
        with self.lock:
            description = {name: value for name, value in self.request.items() if name != "Tags"}
            return without_missing({
                **description,
                "ProcessingJobArn": self.arn,
                "ProcessingJobStatus": self.status,
                "StoppingCondition": {"MaxRuntimeInSeconds": 86400, **self.request.get("StoppingCondition", {})},
                "ExitMessage": self.exit_message,
                "FailureReason": self.failure_reason,
                "CreationTime": self.created,
                "LastModifiedTime": self.modified,
                "ProcessingStartTime": self.started,
                "ProcessingEndTime": self.ended,
            })  # fmt: skip

    def _container(self) -> Container:
        application = self.request["AppSpecification"]
        entrypoint, arguments = application.get("ContainerEntrypoint", []), application.get("ContainerArguments", [])
        return Container(
            image=self.image,
            argv=command(self.image, entrypoint, arguments, ()),
            directory=self.directory,
            credentials=self.credentials,
            environment={**self.request.get("Environment", {}), "PROCESSING_JOB_ARN": self.arn},
            grace_seconds=self.cloud.job_grace_seconds,
        )

    def _prepare(self) -> None:
        config = self.container.ml / "config"
        config.mkdir()
        (self.container.ml / "output").mkdir()
        described = json.dumps(self.describe(), default=lambda moment: moment.timestamp(), indent=2)
        (config / "processingjobconfig.json").write_text(described)
        (config / "resourceconfig.json").write_text(json.dumps({"current_host": "algo-1", "hosts": ["algo-1"]}))
        for item in self.request.get("ProcessingInputs", []):
            self.check_stop()
            source = item["S3Input"]
            directory = self.container.path(source["LocalPath"])
            directory.mkdir(parents=True, exist_ok=True)
            self.storage.download_prefix(source["S3Uri"], directory)
        for output in self._outputs():
            # "This directory will be created by the platform and exist when your container's entrypoint is invoked."
            self.container.path(output["LocalPath"]).mkdir(parents=True, exist_ok=True)

    def _finish(self, code: int) -> None:
        self.exit_message = self._read_message()
        if self.out_of_time or self._stopping:
            return
        # With S3UploadMode EndOfJob the outputs of a program that failed are not uploaded.
        if code != 0:
            raise JobFailedError(
                f"AlgorithmError: See job logs for more information (exit code {code}; log: {self.container.log})"
            )
        for output in self._outputs():
            self.storage.upload_tree(self.container.path(output["LocalPath"]), output["S3Uri"])

    def _end(self, status: str) -> None:
        self.status = status

    def _outputs(self) -> list[dict[str, Any]]:
        return [item["S3Output"] for item in self.request.get("ProcessingOutputConfig", {}).get("Outputs", [])]

    def _read_message(self) -> str | None:
        """ExitMessage: the first 1 KB ("Save and Access Metadata Information About Your Processing Job")."""
        path = self.container.ml / "output" / "message"
        if not path.is_file() or path.is_symlink():
            return None
        try:
            with path.open(encoding="utf-8", newline="") as file:
                beginning = file.read(MAX_REASON)
                while file.read(_PIECE):  # the rest is not kept, but must be UTF-8, too
                    pass
        except UnicodeDecodeError as error:
            raise JobFailedError("ClientError: The file /opt/ml/output/message is not UTF-8 encoded.") from error
        return beginning.encode()[:MAX_REASON].decode(errors="ignore")

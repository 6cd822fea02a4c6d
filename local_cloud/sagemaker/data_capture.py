"""Data capture: a share of what goes in and out of an endpoint, as JSON lines in S3.

Developer guide, "Capture data from real-time endpoint"
(https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-data-capture-endpoint.html): the path is
`{destination}/{endpoint-name}/{variant-name}/yyyy/mm/dd/hh/filename.jsonl`. AWS delivers within minutes, here it takes
seconds. Only requests that the model answered without an error are captured.
"""

import base64
import json
import logging
import random
import threading
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from local_cloud.sagemaker.container_client import Answer
from local_cloud.sagemaker.environment import RoleNotAssumableError, SageMakerEnvironment
from local_cloud.sagemaker.serving import ModelServer
from local_cloud.sagemaker.storage import client, split_uri

_LOGGER = logging.getLogger(__name__)
_FLUSH_SECONDS = 2.0
_BATCH_RECORDS = 500
_INFERENCE_ID = "x-amzn-sagemaker-inference-id"


@dataclass(frozen=True)
class _Captured:
    """A record and where it belongs."""

    server: ModelServer
    moment: datetime
    line: str


class DataCapture:
    """Captures for one deployment, with a thread that writes; `config` is a DataCaptureConfig."""

    def __init__(self, cloud: SageMakerEnvironment, endpoint_name: str, config: Mapping[str, Any]) -> None:
        self._cloud, self._endpoint_name, self._config = cloud, endpoint_name, config
        modes = {option["CaptureMode"] for option in config["CaptureOptions"]}
        self._input, self._output = (
            bool(modes & {"Input", "InputAndOutput"}),
            bool(modes & {"Output", "InputAndOutput"}),
        )
        self._share = config["InitialSamplingPercentage"] / 100 if self.enabled else 0.0
        self._changed = threading.Condition()
        self._waiting: list[_Captured] = []
        self._thread: threading.Thread | None = None
        self._closing = False

    @property
    def enabled(self) -> bool:
        """Whether anything is captured: "defaults to enabled"."""
        return bool(self._config.get("EnableCapture", True))

    def describe(self) -> dict[str, Any]:
        """`DataCaptureConfig` of DescribeEndpoint."""
        return {
            "EnableCapture": self.enabled,
            "CaptureStatus": "Started" if self.enabled else "Stopped",
            "CurrentSamplingPercentage": self._config["InitialSamplingPercentage"],
            "DestinationS3Uri": self._config["DestinationS3Uri"],
            "KmsKeyId": "",
        }

    def note(self, server: ModelServer, body: bytes, headers: Mapping[str, str], answer: Answer) -> None:
        """Captures a request and its answer, if its turn comes up; writes later."""
        if answer.status >= 400 or random.random() >= self._share:  # noqa: S311  it is a sample
            return
        moment = self._cloud.now().astimezone(UTC)
        captured = _Captured(server, moment, json.dumps(self._record(body, headers, answer, moment)))
        with self._changed:
            if self._closing:
                return
            self._waiting.append(captured)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=f"capture {self._endpoint_name}", daemon=True)
                self._thread.start()
            if len(self._waiting) >= _BATCH_RECORDS:
                self._changed.notify_all()

    def close(self) -> None:
        """Writes what is left."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()

    def _record(self, body: bytes, headers: Mapping[str, str], answer: Answer, moment: datetime) -> dict[str, Any]:
        given = {name.lower(): value for name, value in answer.headers.items()}
        data = {}
        if self._input:
            data["endpointInput"] = self._part("INPUT", body, headers.get("content-type", ""))
        if self._output:
            data["endpointOutput"] = self._part("OUTPUT", answer.body, given.get("content-type", ""))
        metadata = {"eventId": str(uuid.uuid4()), "inferenceTime": moment.strftime("%Y-%m-%dT%H:%M:%SZ")}
        if _INFERENCE_ID in headers:
            metadata["inferenceId"] = headers[_INFERENCE_ID]
        return {"captureData": data, "eventMetadata": metadata, "eventVersion": "0"}

    def _part(self, mode: str, content: bytes, content_type: str) -> dict[str, str]:
        encoding = self._encoding(content_type)
        text = base64.b64encode(content).decode() if encoding == "BASE64" else content.decode(errors="replace")
        return {"observedContentType": content_type, "mode": mode, "data": text, "encoding": encoding}

    def _encoding(self, content_type: str) -> str:
        """As CSV or JSON what the configuration says: "If no headers are specified … will by default base64 encode"."""
        plain = content_type.partition(";")[0].strip().lower()
        types = self._config.get("CaptureContentTypeHeader") or {}
        for encoding in ("Csv", "Json"):
            if plain in [one.lower() for one in types.get(f"{encoding}ContentTypes", ())]:
                return encoding.upper()
        return "BASE64"

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closing or len(self._waiting) >= _BATCH_RECORDS, _FLUSH_SECONDS)
                batch, self._waiting = self._waiting, []
                closing = self._closing
            self._write(batch)
            if closing:
                return

    def _write(self, batch: list[_Captured]) -> None:
        files: dict[tuple[ModelServer, str], list[_Captured]] = {}
        for captured in batch:
            files.setdefault((captured.server, captured.moment.strftime("%Y/%m/%d/%H")), []).append(captured)
        for (server, hour), records in files.items():
            bucket, prefix = split_uri(self._config["DestinationS3Uri"])
            moment = records[0].moment
            name = f"{moment:%M-%S}-{moment.microsecond // 1000:03d}-{uuid.uuid4()}.jsonl"
            parts = (prefix.strip("/"), self._endpoint_name, server.name, hour, name)
            content = "".join(f"{record.line}\n" for record in records)
            try:
                with client("s3", self._cloud.endpoint_url(), self._cloud.region, server.credentials) as s3:
                    s3.put_object(Bucket=bucket, Key="/".join(part for part in parts if part), Body=content.encode())
            except (ClientError, BotoCoreError, RoleNotAssumableError) as error:
                _LOGGER.warning(
                    "%d captured requests of %s of endpoint %s are lost, since the model's role cannot write to %s: %s",
                    len(records), server.name, self._endpoint_name, self._config["DestinationS3Uri"], error,
                )  # fmt: skip

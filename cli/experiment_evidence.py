"""Reads what an experiment left in the bucket: captured requests and answers, and the truth as far as it is known."""

import io
from collections.abc import Iterator, Sequence
from typing import Any

from cli import report
from cli.application import Application
from cli.errors import CommandError
from cli.experiments import Experiment
from treering import keys, use_case
from treering.aws.sagemaker import VARIANT
from treering.contracts import DatasetManifest
from treering.keys import SPLITS, Split
from treering.steps import captures
from treering.steps.captures import Captured, Unreadable
from treering.steps.csv_columns import parse_columns
from treering.steps.experiment_findings import Answers
from treering.steps.known_truth import KnownTruth


class Evidence:
    """What the variants answered, and against which dataset version it is held."""

    def __init__(self, found: Application, experiment: Experiment) -> None:
        self._s3: Any = found.cloud.client("s3")
        self._reader = report.Reader(found.cloud)
        self._bucket = found.stack.bucket
        case = use_case.load(found.stack.use_case)
        newest = self._newest(case.dataset)
        self.dataset_version = newest.version
        truth = KnownTruth(case, self._rows(newest, SPLITS), self._learnt(experiment, case.columns.key))
        self.unreadable = Unreadable()
        self.champion, self.challenger = (Answers(truth, log_scale=case.target.log_scale) for _ in range(2))
        for answers, variant in ((self.champion, VARIANT), (self.challenger, experiment.trial.variant)):
            answers.add(self._captured(f"{experiment.trial.capture_uri}/{found.stack.endpoint}/{variant}/"))

    def _captured(self, prefix_uri: str) -> Iterator[Captured]:
        bucket, prefix = keys.parse_uri(prefix_uri)
        for key in self._keys(bucket, prefix):
            text = self._s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode()
            yield from captures.read(text, self.unreadable)

    def _newest(self, dataset: str) -> DatasetManifest:
        """The dataset version that was made last: it has the truth of most rows."""
        found = [
            manifest
            for key in self._keys(self._bucket, keys.dataset_prefix(dataset, "").rstrip("/") + "/")
            if key.endswith(f"/{keys.MANIFEST}")
            and (manifest := self._reader.contract(DatasetManifest, keys.uri(self._bucket, key)))
        ]
        if not found:
            raise CommandError(
                f"The bucket {self._bucket} has no version of {dataset}, so no truth is known.",
                hint="`treering run` ingests one.",
            )
        return max(found, key=lambda manifest: manifest.scheduled_at)

    def _learnt(self, experiment: Experiment, key: str) -> set[str]:
        """Keys of the rows from which one of the two models was made."""
        learnt: set[str] = set()
        for version in (experiment.champion, experiment.challenger):
            manifest = self._reader.contract(DatasetManifest, version.metadata.get("manifest_uri", "s3://none/"))
            if manifest is None:
                raise CommandError(
                    f"The dataset version of version {version.version} is not there any more, so it cannot be told "
                    "which rows that model has learnt from.",
                    hint="`treering experiment drop` ends the experiment.",
                )
            learnt.update(self._rows(manifest, ("train",))[key])
        return learnt

    def _rows(self, manifest: DatasetManifest, splits: Sequence[Split]) -> dict[str, list[str]]:
        rows: dict[str, list[str]] = {}
        for split in splits:
            record = manifest.splits[split]
            text = self._s3.get_object(Bucket=self._bucket, Key=record.key)["Body"].read().decode("utf-8-sig")
            for name, values in parse_columns(io.StringIO(text, newline=""), record.key).items():
                rows.setdefault(name, []).extend(values)
        return rows

    def _keys(self, bucket: str, prefix: str) -> list[str]:
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return [item["Key"] for page in pages for item in page.get("Contents", [])]

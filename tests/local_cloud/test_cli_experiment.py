"""An experiment as a person goes through it: a shadow, its report, its end; an A/B test with callers, and promotion."""

import csv
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.local_cloud.test_cli_run import treering
from tests.local_cloud.up_cloud import UpCloud, written
from treering import use_case
from treering.steps.assignment import variant_for

CASE = use_case.load("house_prices")
QUICK = ["--parameter", "LoadTestSeconds=0", "--parameter", "TrafficWaitSeconds=0"]
PATIENCE = 60  # seconds until what was asked is captured and measured

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@dataclass(frozen=True)
class Up(UpCloud):
    """A cloud that is up with version 1 in service, and a version 2 that may be tried."""

    def config(self) -> dict[str, Any]:
        """The endpoint configuration in service."""
        sagemaker = self.client("sagemaker")
        name = sagemaker.describe_endpoint(EndpointName=self.outputs["EndpointName"])["EndpointConfigName"]
        return dict(sagemaker.describe_endpoint_config(EndpointConfigName=name))

    def captured(self, experiment: dict[str, Any], variant: str) -> int:
        """How many requests of a variant lie in the bucket by now."""
        prefix = experiment["captures"].partition(self.outputs["DataBucketName"] + "/")[2]
        s3, bucket = self.client("s3"), self.outputs["DataBucketName"]
        found = s3.list_objects_v2(Bucket=bucket, Prefix=f"{prefix}/{self.outputs['EndpointName']}/{variant}/")
        bodies = [s3.get_object(Bucket=bucket, Key=item["Key"])["Body"].read() for item in found.get("Contents", [])]
        return sum(body.count(b"\n") for body in bodies)

    def await_captures(self, experiment: dict[str, Any], variant: str, requests: int) -> int:
        """The same, once there are so many, or time is up."""
        deadline = time.monotonic() + PATIENCE
        while (found := self.captured(experiment, variant)) < requests and time.monotonic() < deadline:
            time.sleep(0.2)
        return found

    def rows(self, split: str) -> list[dict[str, str]]:
        """The rows of a split, as somebody would ask about them."""
        [file] = list(self.state.glob(f"cloud/s3/**/{self.outputs['DataBucketName']}/datasets/*/*/{split}.csv"))
        with file.open() as lines:
            rows = list(csv.DictReader(lines))
        return [{name: value for name, value in row.items() if name != CASE.target.column} for row in rows]


def register(up: Up, like: str, artefact: str = "") -> int:
    """Register an approved version like another one, of another artefact if one is named; its number."""
    sagemaker, group = up.client("sagemaker"), up.outputs["ModelPackageGroupName"]
    package = sagemaker.describe_model_package(ModelPackageName=like)
    container = package["InferenceSpecification"]["Containers"][0]
    arn = sagemaker.create_model_package(
        ModelPackageGroupName=group,
        InferenceSpecification={
            "Containers": [{"Image": container["Image"], "ModelDataUrl": artefact or container["ModelDataUrl"]}],
            "SupportedContentTypes": ["text/csv"],
            "SupportedResponseMIMETypes": ["text/csv"],
        },
        ModelApprovalStatus="Approved",
        CustomerMetadataProperties=package["CustomerMetadataProperties"],
    )["ModelPackageArn"]
    return int(arn.rpartition("/")[2])


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory, thin_source: Path) -> Iterator[Up]:
    """Version 1 comes of a run; version 2 is the same model, registered again."""
    state = tmp_path_factory.mktemp("experiment")
    try:
        said = treering("up", "--json", "--source", str(thin_source), *QUICK, state=state)
        assert said.returncode == 0, said.stderr
        ran = treering("run", "--json", state=state)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        content = json.loads(said.stdout)
        found = Up(state, content["environment"], content["stack"]["outputs"])
        sagemaker, group = found.client("sagemaker"), found.outputs["ModelPackageGroupName"]
        [first] = sagemaker.list_model_packages(ModelPackageGroupName=group)["ModelPackageSummaryList"]
        register(found, first["ModelPackageArn"])
        yield found
    finally:
        treering("down", state=state)


def test_a_shadow_sees_what_the_champion_is_asked_and_the_report_compares_them(up: Up, tmp_path: Path) -> None:
    """Callers hear the champion; the same model twice is not better, on the rows that no model has learnt from."""
    asked = [*up.rows("test")[:40], *up.rows("train")[:5]]
    begun = up.json("experiment", "start", "2", "--shadow")
    during, status = up.config(), up.json("status")["under_way"]["experiment"]
    said = treering("models", state=up.state).stdout
    staged = up.client("stepfunctions").describe_execution(executionArn=begun["staging_execution"])

    treering("predict", written(asked, tmp_path / "rows.csv"), state=up.state)
    captured = [up.await_captures(begun, variant, 1) for variant in ("main", "shadow")]
    report = up.json("experiment", "report")
    text = treering("experiment", "report", state=up.state)
    up.json("experiment", "drop")
    after = up.config()

    assert (staged["status"], json.loads(staged["output"])["test_staging"]["job_name"] != "") == ("SUCCEEDED", True)
    assert "deploy_endpoint" not in json.loads(staged["output"])
    assert (status["champion"], status["challenger"], status["shadow"]) == (1, 2, True)
    assert "experiment  version 2 as a shadow beside version 1" in said
    assert [entry["kind"] for entry in up.json("history")["entries"]] == ["weekly"]
    assert [variant["VariantName"] for variant in during["ProductionVariants"]] == ["main"]
    assert [variant["VariantName"] for variant in during["ShadowProductionVariants"]] == ["shadow"]
    assert captured == [1, 1]
    assert (report["champion"]["version"], report["challenger"]["version"]) == (1, 2)
    assert report["champion"]["rows_with_truth"] == report["challenger"]["rows_with_truth"] == report["rows"] == 40
    assert report["challenger"]["rows_learnt_from"] == 5
    assert report["challenger"]["metrics"]["requests"] == 1
    assert report["challenger"]["metrics"]["p99_ms"] > 0
    assert report["difference"]["estimate"] == report["disagreement"][2] == 0
    assert report["action"] == "drop"
    assert "Stop and drop: version 2 is not better" in text.stdout
    assert "ShadowProductionVariants" not in after
    assert len(after["ProductionVariants"]) == 1


def test_a_caller_stays_with_one_variant_and_the_promoted_challenger_goes_through_the_rollout(
    up: Up, tmp_path: Path
) -> None:
    """Who asks decides which variant answers; after promotion, version 2 alone is in service, and nothing is left."""
    file = written(up.rows("test")[:2], tmp_path / "rows.csv")
    begun = up.json("experiment", "start", "2", "--weight", "0.5")
    twice = treering("experiment", "start", "2", state=up.state)
    callers = {
        variant: next(name for name in "abcdefgh" if variant_for(name, {"main": 0.5, "challenger": 0.5}) == variant)
        for variant in ("main", "challenger")
    }

    for caller in (callers["main"], callers["challenger"], callers["challenger"]):
        done = treering("predict", file, "--caller", caller, state=up.state)
        assert done.returncode == 0, done.stderr
    captured = {
        variant: up.await_captures(begun, variant, wanted) for variant, wanted in (("main", 1), ("challenger", 2))
    }
    report = up.json("experiment", "report")
    promoted = up.json("experiment", "promote")

    sagemaker = up.client("sagemaker")
    configs = [one["EndpointConfigName"] for one in sagemaker.list_endpoint_configs()["EndpointConfigs"]]
    models = [one["ModelName"] for one in sagemaker.list_models()["Models"]]
    nothing = treering("experiment", "drop", state=up.state)
    assert twice.returncode == 1
    assert "has an experiment already" in twice.stderr
    assert captured == {"main": 1, "challenger": 2}
    assert report["action"] == "go_on"
    assert (report["champion"]["share"], report["challenger"]["share"]) == (0.5, 0.5)
    assert promoted["outcome"] == "deployed"
    assert [one["version"] for one in up.json("models") if one["in_service"]] == [2]
    assert begun["experiment"] not in configs + models
    assert nothing.returncode == 1
    assert "No experiment is on" in nothing.stderr


def test_a_rollout_ends_the_experiment_with_the_roles_of_its_job(up: Up) -> None:
    """Whatever is put into service meanwhile, by hand or by the weekly run, serves alone, and says what it ended."""
    serving = next(one["version"] for one in up.json("models") if one["in_service"])
    other = 3 - serving
    begun = up.json("experiment", "start", str(other), "--shadow")

    rolled_out = up.json("rollout", str(other))

    after = up.config()
    assert rolled_out["outcome"] == "deployed"
    assert rolled_out["deploy_endpoint"]["ended_experiment"] == begun["experiment"]
    assert rolled_out["in_service"] == other
    assert "ShadowProductionVariants" not in after


def test_a_challenger_that_does_not_pass_in_staging_meets_no_caller(up: Up) -> None:
    """Its artefact holds no model: the staging endpoint never comes into service, and production is as it was."""
    key = "models/broken/model.tar.gz"
    up.client("s3").put_object(Bucket=up.outputs["DataBucketName"], Key=key, Body=b"no archive")
    [*_, first] = up.client("sagemaker").list_model_packages(ModelPackageGroupName=up.outputs["ModelPackageGroupName"])[
        "ModelPackageSummaryList"
    ]
    broken = register(up, first["ModelPackageArn"], f"s3://{up.outputs['DataBucketName']}/{key}")
    before = up.config()["EndpointConfigName"]

    done = treering("experiment", "start", str(broken), "--shadow", state=up.state)

    assert done.returncode == 1
    assert f"Version {broken} did not pass in staging, so it meets no caller." in done.stdout + done.stderr
    assert "Deploy Staging Endpoint" in done.stderr
    assert up.config()["EndpointConfigName"] == before
    names = [one["EndpointName"] for one in up.client("sagemaker").list_endpoints()["Endpoints"]]
    assert names == [up.outputs["EndpointName"]]

"""Tests the live endpoint with the test split."""

from sagemaker_jobs.runner import Job
from sagemaker_jobs.settings import TestEndpointSettings
from sagemaker_jobs.test_endpoint.summary import summary
from treering import use_case
from treering.aws.sagemaker import SageMakerHosting, SageMakerRuntime
from treering.contracts import LoadTest, TestEndpointResult
from treering.environment import read_environment
from treering.errors import InvalidDataError
from treering.keys import RESULT
from treering.steps import endpoint_test, load_test
from treering.steps.artefact import Artefact
from treering.steps.dataset_version import read_manifest, read_split
from treering.steps.fitting import read_target
from treering.steps.payload import rows_as_json

ARCHIVE = "model.tar.gz"


def work(
    job: Job,
    hosting: endpoint_test.DescribesEndpoints | None = None,
    runtime: endpoint_test.InvokesEndpoints | None = None,
) -> str:
    """Inputs `dataset` (a dataset version) and `model` (model.tar.gz). Output: result.json, summary.md."""
    settings = read_environment(TestEndpointSettings, job.environ)
    case = use_case.load(settings.treering_use_case)
    manifest = read_manifest(job.input("dataset"), settings.treering_dataset_version)
    columns = read_split(job.input("dataset"), manifest, "test")
    artefact = Artefact.load_archive(job.input("model") / ARCHIVE)
    if (artefact.card.run_id, artefact.card.dataset_version) != (settings.treering_run_id, manifest.version):
        raise InvalidDataError(
            f"The artefact is of run {artefact.card.run_id} and dataset version {artefact.card.dataset_version}, but "
            f"this is run {settings.treering_run_id} on {manifest.version}. Check the input model."
        )
    hosting = hosting or SageMakerHosting()
    endpoint_test.require_config(hosting, settings.endpoint_name, settings.endpoint_config_name)
    runtime = runtime or SageMakerRuntime()
    findings = endpoint_test.run(
        settings.endpoint_name,
        runtime,
        artefact,
        columns,
        read_target(columns, case),
        job.clock,
    )
    load = None
    if settings.load_test_seconds:
        features = {name: columns[name] for name in artefact.preprocessing.raw_columns}
        load = load_test.run(
            settings.endpoint_name,
            runtime,
            [rows_as_json(features, row) for row in range(len(columns[case.columns.key]))],
            job.clock,
            seconds=settings.load_test_seconds,
            concurrency=settings.load_test_concurrency,
        )
        load_test.require_good(settings.endpoint_name, load, settings.load_test_max_p99_milliseconds)
    endpoint_test.require_config(hosting, settings.endpoint_name, settings.endpoint_config_name)
    result = TestEndpointResult(
        run_id=settings.treering_run_id,
        dataset_version=settings.treering_dataset_version,
        endpoint_name=settings.endpoint_name,
        endpoint_config_name=settings.endpoint_config_name,
        test=findings.metrics,
        largest_relative_difference=findings.largest_relative_difference,
        latency=findings.latency,
        load=load,
        examples=findings.examples,
    )
    job.output.mkdir(parents=True, exist_ok=True)
    (job.output / "summary.md").write_text(summary(case, result), "utf-8")
    (job.output / RESULT).write_text(result.to_json(), "utf-8")
    log_error = "" if result.test.rmse_log is None else f"RMSE of the logarithm {result.test.rmse_log:.4f}, "
    return (
        f"Endpoint {result.endpoint_name} answers the {result.test.rows:,} test rows as the artefact does; {log_error}"
        f"RMSE {result.test.rmse:,.0f} {case.target.unit}, MAE {result.test.mae:,.0f} {case.target.unit}, "
        f"one row in {result.latency.p50_ms:.1f} ms (median){_load(load)}."
    )


def _load(load: LoadTest | None) -> str:
    return (
        ""
        if load is None
        else f", {load.requests_per_second:,.0f} requests a second under load (p99 {load.p99_ms:.1f} ms)"
    )

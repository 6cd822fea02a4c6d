"""What a rollout by hand did: collected from its execution and from what its jobs wrote to S3."""

from typing import Any

from pydantic import BaseModel

from cli import failures, history, registry, report
from cli.application import Application
from cli.registry import ModelVersion
from cli.report import FailureReport, StateReport
from treering import keys
from treering.contracts import DeployEndpointResult, RolloutInput, TestEndpointResult


class RolloutReport(BaseModel):
    """A rollout that has ended; parts that it did not reach are none."""

    outcome: str  # deployed, failed, stopped
    kind: str  # rollout, rollback
    execution_arn: str
    rollout_id: str
    version: int
    run_id: str
    before: int | None  # the version in service when it began
    in_service: int | None  # and when it had ended
    test_staging: TestEndpointResult | None
    deploy_endpoint: DeployEndpointResult | None
    test_endpoint: TestEndpointResult | None
    states: list[StateReport]
    seconds: float | None
    failure: FailureReport | None = None

    def describe(self) -> dict[str, Any]:
        """As JSON."""
        return self.model_dump(mode="json")


def collect(
    found: Application, kind: str, arn: str, execution: history.Execution, version: ModelVersion, before: int | None
) -> RolloutReport:
    """Read what the rollout's jobs left in the bucket. Raises CommandError where a result is not what it must be."""
    given = RolloutInput.model_validate(execution.input)
    reader = report.Reader(found.cloud)
    prefix = keys.uri(found.stack.bucket, keys.run_prefix(given.rollout_id))
    succeeded = execution.status == "succeeded"
    return RolloutReport(
        outcome="deployed" if succeeded else execution.status,
        kind=kind,
        execution_arn=arn,
        rollout_id=given.rollout_id,
        version=version.version,
        run_id=version.run_id,
        before=before,
        in_service=registry.in_service(found),
        test_staging=reader.contract(TestEndpointResult, f"{prefix}test_staging/{keys.RESULT}"),
        deploy_endpoint=reader.contract(DeployEndpointResult, f"{prefix}deploy_endpoint/{keys.RESULT}"),
        test_endpoint=reader.contract(TestEndpointResult, f"{prefix}test_endpoint/{keys.RESULT}"),
        states=report.states(execution),
        seconds=execution.seconds,
        failure=None if succeeded else failures.of_execution(found.cloud, execution),
    )


def text(found: RolloutReport) -> str:
    """The report for a person."""
    seconds = f" in {found.seconds:.1f} s" if found.seconds is not None else ""
    lines = ["", f"The {found.kind} to version {found.version} (run {found.run_id}): {found.outcome}{seconds}", ""]
    lines.append(f"In service  {_service(found)}")
    for label, test in (("Staging", found.test_staging), ("Production", found.test_endpoint)):
        if test is None:
            continue
        error = test.test.mse**0.5
        lines.append(
            f"{label:<12}{test.endpoint_name}: error {error:.4f} on {test.test.rows:,} test rows, one row in "
            f"{test.latency.p50_ms:.1f} ms (median), {test.latency.p99_ms:.1f} ms (p99)"
        )
        if load := test.load:
            lines.append(
                f"{'':<12}load: {load.requests_per_second:.0f} requests a second, {load.concurrency} at a time, for "
                f"{load.seconds:.0f} s: p50 {load.p50_ms:.1f} ms, p99 {load.p99_ms:.1f} ms, {load.errors} errors"
            )
    if found.deploy_endpoint:
        lines.append(f"{'Endpoint':<12}configuration {found.deploy_endpoint.endpoint_config_name}")
    return "\n".join(lines)


def _service(found: RolloutReport) -> str:
    if found.in_service is None:
        return "no version of the model registry"
    if found.in_service == found.before:
        return f"version {found.in_service}, as before"
    before = f"version {found.before}" if found.before is not None else "none"
    return f"version {found.in_service}, before: {before}"

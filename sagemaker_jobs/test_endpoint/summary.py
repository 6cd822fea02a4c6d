"""What the endpoint's test found, for a person."""

from treering.contracts import TestEndpointResult
from treering.use_case import UseCase


def summary(case: UseCase, result: TestEndpointResult) -> str:
    """Markdown: errors on the test split, agreement, latency, a few examples."""
    test, unit = result.test, case.target.unit
    lines = [
        f"# {case.title}: test of the endpoint in run {result.run_id}",
        "",
        f"Endpoint {result.endpoint_name} with configuration {result.endpoint_config_name}, "
        f"dataset version {result.dataset_version}.",
        "",
        f"| on {test.rows:,} test rows | |",
        "|---|---:|",
        *([] if test.rmse_log is None else [f"| RMSE of the logarithm | {test.rmse_log:.4f} |"]),
        f"| RMSE | {test.rmse:,.0f} {unit} |",
        f"| MAE | {test.mae:,.0f} {unit} |",
        f"| R² | {test.r2:.3f} |",
        f"| largest relative difference to the artefact's own predictions | {result.largest_relative_difference:.1e} |",
        f"| latency of one row, median of {result.latency.requests} | {result.latency.p50_ms:.1f} ms |",
        f"| latency of one row, 99th percentile | {result.latency.p99_ms:.1f} ms |",
        *(
            []
            if result.load is None
            else [
                f"| requests a second, {result.load.concurrency} at a time for {result.load.seconds:.0f} s "
                f"| {result.load.requests_per_second:,.0f} |",
                f"| latency under that load, 99th percentile | {result.load.p99_ms:.1f} ms |",
            ]
        ),
        "",
        f"| {case.columns.key} | predicted, {unit} | actual, {unit} | difference |",
        "|---|---:|---:|---:|",
        *(
            f"| {example.key} | {example.predicted:,.0f} | {example.actual:,.0f} "
            f"| {example.predicted / example.actual - 1:+.1%} |"
            if example.actual
            else f"| {example.key} | {example.predicted:,.0f} | {example.actual:,.0f} | |"
            for example in result.examples
        ),
    ]
    return "\n".join(lines) + "\n"

"""The report of an experiment: each variant's requests, errors and latency, the difference, and what to do now."""

import math
from dataclasses import asdict
from datetime import datetime
from typing import Any

from pydantic import BaseModel

from cli import endpoint_metrics
from cli.application import Application
from cli.endpoint_metrics import VariantMetrics
from cli.experiment_evidence import Evidence
from cli.experiments import Experiment
from treering.aws.sagemaker import VARIANT
from treering.contracts import ErrorInterval
from treering.steps.experiment_findings import Answers, disagreement, evidence
from treering.steps.experiment_plan import Plan
from treering.steps.experiment_statistics import FEWEST_ROWS, Action, decide, fails_more


class VariantReport(BaseModel):
    """One variant."""

    variant: str
    version: int
    run_id: str
    share: float  # of the requests that it answers at present; 0 for a shadow
    metrics: VariantMetrics  # from CloudWatch
    captured_requests: int
    captured_rows: int
    rows_with_truth: int  # different ones, that no model in question has learnt from
    rows_learnt_from: int  # different ones, left out
    error: float | None  # RMSE of the rows with truth, on the scale that the model learns


class ExperimentReport(BaseModel):
    """An experiment so far."""

    experiment: str
    kind: str  # challenger, shadow
    started_at: datetime
    dataset_version: str  # whose rows are the truth
    champion: VariantReport
    challenger: VariantReport
    rows: int  # with truth, that the difference is of
    difference: ErrorInterval | None
    planned_rows: int | None  # until the experiment ends
    requests_more: int | None  # about
    disagreement: tuple[int, float, float] | None  # rows, median and largest relative difference; of a shadow
    unreadable: int  # captured requests that could not be read
    unreadable_because: str
    plan: dict[str, float]
    action: Action
    sentence: str


def collect(found: Application, experiment: Experiment, plan: Plan) -> ExperimentReport:
    """Read everything. Raises CommandError."""
    seen = Evidence(found, experiment)
    age = found.cloud.now() - experiment.started_at
    cloudwatch = found.cloud.client("cloudwatch")

    def variant(name: str, answers: Answers, version: Any) -> VariantReport:
        return VariantReport(
            variant=name,
            version=version.version,
            run_id=version.run_id,
            share=experiment.share(name),
            metrics=endpoint_metrics.read(cloudwatch, found.stack.endpoint, name, age),
            captured_requests=answers.requests,
            captured_rows=answers.rows,
            rows_with_truth=len(answers.errors),
            rows_learnt_from=len(answers.learnt),
            error=answers.rmse,
        )

    report = ExperimentReport(
        experiment=experiment.name,
        kind=experiment.trial.variant,
        started_at=experiment.started_at,
        dataset_version=seen.dataset_version,
        champion=variant(VARIANT, seen.champion, experiment.champion),
        challenger=variant(experiment.trial.variant, seen.challenger, experiment.challenger),
        rows=0,
        difference=None,
        planned_rows=None,
        requests_more=None,
        disagreement=disagreement(seen.challenger, seen.champion) if experiment.shadow else None,
        unreadable=seen.unreadable.count,
        unreadable_because=seen.unreadable.first,
        plan=asdict(plan),
        action="go_on",
        sentence="",
    )
    found_out = evidence(seen.challenger, seen.champion, plan, shadow=experiment.shadow)
    if found_out is not None:
        report.rows, report.difference = found_out.rows, found_out.difference
        report.planned_rows = found_out.planned_rows
        report.requests_more = requests_more(report, found_out.rows, found_out.planned_rows)
        report.action = decide(found_out)
    report.sentence = conclude(report)
    return report


def requests_more(report: ExperimentReport, rows: int, planned: int) -> int:
    """About how many requests are missing, if they bring rows with truth at the rate of those so far."""
    asked = report.champion.captured_requests
    asked += report.challenger.captured_requests if report.kind != "shadow" else 0
    return math.ceil(max(0, planned - rows) * asked / rows)


def conclude(report: ExperimentReport) -> str:
    """What to do now, as a sentence; sets the action where the challenger fails too often."""
    new, old = report.challenger, report.champion
    failures, before = new.metrics.server_errors, old.metrics.server_errors
    if fails_more((failures, new.metrics.requests), (before, old.metrics.requests)):
        report.action = "drop"
        return (
            f"Stop and drop: version {new.version} answered {failures:,} of {new.metrics.requests:,} requests with a "
            f"server error, version {old.version} {before:,} of {old.metrics.requests:,}."
        )
    difference = report.difference
    if difference is None or report.planned_rows is None:
        return (
            f"Go on: a comparison needs {FEWEST_ROWS} different rows of each variant whose truth is known and that no "
            f"model has learnt from; so far {old.variant} answered {old.rows_with_truth:,} and {new.variant} "
            f"{new.rows_with_truth:,}."
        )
    interval = (
        f"{difference.estimate:+.4f} ({difference.low:+.4f} to {difference.high:+.4f} at {difference.confidence:.0%}) "
        f"over {report.rows:,} rows"
    )
    effect = f"{report.plan['effect']:.0%}"
    if report.action == "go_on":
        return (
            f"Go on, about {report.requests_more:,} requests more: the error differs by {interval}, and to see a "
            f"difference of {effect} with a power of {report.plan['power']:.0%} takes about {report.planned_rows:,}."
        )
    early = "" if report.rows >= report.planned_rows else ", before its planned end since p < 0.001"
    if report.action == "promote":
        return f"Stop and promote: the error of version {new.version} is lower, by {interval}{early}."
    if difference.low > 0 or early:
        return f"Stop and drop: the error of version {new.version} is higher, by {interval}{early}."
    return (
        f"Stop and drop: version {new.version} is not better by as much as {effect}; the error differs by {interval}."
    )


def text(report: ExperimentReport) -> str:
    """The report for a person."""
    kind = "a shadow" if report.kind == "shadow" else f"{report.challenger.share:.0%} of the traffic"
    lines = [
        f"Experiment {report.experiment}: {kind}, since {report.started_at:%Y-%m-%d %H:%M}",
        "",
        f"{'variant':<11}{'version':>7}{'share':>7}{'requests':>10}{'4xx':>6}{'5xx':>6}{'p50 ms':>8}{'p99 ms':>8}"
        f"{'truth known':>13}{'error':>8}",
    ]
    for one in (report.champion, report.challenger):
        metrics = one.metrics
        lines.append(
            f"{one.variant:<11}{one.version:>7}{one.share:>7.0%}{metrics.requests:>10,}{metrics.client_errors:>6,}"
            f"{metrics.server_errors:>6,}{_number(metrics.p50_ms, 1):>8}{_number(metrics.p99_ms, 1):>8}"
            f"{one.rows_with_truth:>13,}{_number(one.error, 4):>8}"
        )
    lines += ["", f"Truth: dataset version {report.dataset_version}; rows that a model has learnt from do not count"]
    if left_out := max(report.champion.rows_learnt_from, report.challenger.rows_learnt_from):
        lines[-1] += f" ({left_out:,} so far)"
    if report.disagreement is not None:
        rows, median, largest = report.disagreement
        lines.append(f"Both predicted {rows:,} rows: they differ by {median:.1%} (median), at most {largest:.1%}")
    if report.unreadable:
        lines.append(f"{report.unreadable:,} captured requests could not be read ({report.unreadable_because})")
    return "\n".join([*lines, "", report.sentence])


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"

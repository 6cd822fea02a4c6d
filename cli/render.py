"""Reports as text for a person: lines of at most about 120 columns, the same on a terminal and in a file."""

from pathlib import Path

from cli import permissions
from cli.display import shown
from cli.replay import Replay
from cli.report import FailureReport, RunReport
from treering import keys
from treering.contracts import RegressionMetrics

OUTCOMES = {
    "deployed": "the new model is in service",
    "rejected": "the model was rejected by the quality gate, the endpoint is as it was",
    "not_approved": "a person rejected the model, the endpoint is as it was",
    "approval_expired": "nobody approved the model in time, the endpoint is as it was",
}
TOP_FEATURES = 8
EXAMPLES = 5
SHORTEST = 0.05  # seconds of a state that is worth a word
CAUSE_LENGTH = 1000  # AWS lists every allowed value in some of its messages


def run(report: RunReport) -> str:
    """The report of one run."""
    seconds = f" in {report.command_seconds:.1f} s" if report.command_seconds is not None else ""
    became = f": {OUTCOMES.get(report.model_outcome, report.model_outcome)}" if report.model_outcome else ""
    lines = ["", f"Weekly run {report.run_id or report.execution_name} {report.outcome}{seconds}{became}", ""]
    for section in (_data, _features, _errors, _gate, _examples, _endpoint, _seconds, _artefacts):
        lines += section(report)
    return "\n".join(lines)


def failure(report: FailureReport) -> str:
    """Why a run failed, the last lines of its log, and what to try."""
    cause = report.cause or "no cause was given"
    short = cause if len(cause) <= CAUSE_LENGTH else f"{cause[:CAUSE_LENGTH]}… ({len(cause):,} characters)"
    lines = [f"{report.state} failed: {report.error}", "", *(f"    {line}" for line in short.splitlines())]
    if report.log:
        lines += ["", "Last lines of its log:", *(f"    {line}" for line in report.log)]
    if report.hint:
        lines += ["", f"What to try: {report.hint}"]
    if report.missing_permissions:
        denied = [f"    {message}" for one in report.missing_permissions for message in one.messages]
        lines += ["", "Denied meanwhile:", *denied, "", permissions.to_add(report.missing_permissions)]
    return "\n".join(lines)


def replay(found: Replay) -> str:
    """A table of the weeks, and what they come to."""
    header = f"{'due':<18}{'dataset version':<18}{'':<11}{'rows':>6}{'validation':>12}{'test':>8}{'in service':>12}"
    lines = ["", f"{header}{'seconds':>9}  outcome"]
    for week in found.weeks:
        new = "new" if week.new_version else "unchanged"
        numbers = f"{_number(week.rows, ',d'):>6}{_number(week.validation_rmse_log, '.4f'):>12}"
        numbers += f"{_number(week.test_rmse_log, '.4f'):>8}{_number(week.champion_rmse_log, '.4f'):>12}"
        numbers += f"{_number(week.seconds, '.1f'):>9}"
        version = week.dataset_version or "no execution"
        outcome = (week.model_outcome or "-").replace("_", " ")
        line = f"{week.scheduled_at:%Y-%m-%d %H:%M}  {version:<18}{new:<11}{numbers}  {outcome}"
        lines.append(line)
    lines += [
        "",
        "RMSE of the logarithm: on the validation split, on the test split, and there of the model that was in service",
        "before. Why each week ended as it did: `treering history`",
    ]
    lines.append(
        f"{_count(len(found.dataset_versions), 'dataset version')}, {_count(len(found.executions), 'execution')}, "
        f"{_count(len(found.endpoints), 'endpoint')} ({', '.join(found.endpoints) or 'none'})"
    )
    if found.unchanged:
        lines.append(f"No new data in the weeks of {', '.join(f'{at:%Y-%m-%d}' for at in found.unchanged)}")
    return "\n".join(lines)


def _data(report: RunReport) -> list[str]:
    if not report.dataset:
        return []
    new = {True: " (new)", False: " (seen before)", None: ""}[report.new_version]
    rows = report.dataset.rows
    split = ", ".join(f"{rows[name]:,} {name}" for name in keys.SPLITS)
    return [
        _entry("Data", f"{report.dataset.dataset} version {report.dataset_version}{new}"),
        _entry("", f"{sum(rows.values()):,} rows: {split}"),
    ]


def _features(report: RunReport) -> list[str]:
    if not report.preprocess:
        return []
    kept, dropped = report.preprocess.kept, report.preprocess.dropped
    top = ", ".join(feature.name for feature in kept[:TOP_FEATURES]) + (", …" if len(kept) > TOP_FEATURES else "")
    return [
        _entry("Features", f"{len(kept)} of {len(kept) + len(dropped)} kept, by {report.preprocess.relevance_measure}"),
        _entry("", f"the most relevant: {top}"),
    ]


def _errors(report: RunReport) -> list[str]:
    rows: list[tuple[str, RegressionMetrics]] = []
    if report.train:
        rows.append(("validation", report.train.validation))
    test = report.evaluate.challenger.test if report.evaluate else None
    if test := report.test_endpoint.test if report.test_endpoint else test:
        rows.append(("test", test))
    if report.evaluate and report.evaluate.champion:
        rows.append(("in service", report.evaluate.champion.test))
    if not rows:
        return []
    rmse, mae = f"RMSE, {report.unit}", f"MAE, {report.unit}"
    lines = [_entry("Errors", f"{'':<12}{'RMSE of log':>12}{rmse:>14}{mae:>14}{'R²':>8}{'rows':>8}")]
    for name, m in rows:
        log = "-" if m.rmse_log is None else f"{m.rmse_log:.4f}"
        lines.append(_entry("", f"{name:<12}{log:>12}{m.rmse:>14,.0f}{m.mae:>14,.0f}{m.r2:>8.3f}{m.rows:>8,}"))
    return lines


def _gate(report: RunReport) -> list[str]:
    if not report.evaluate:
        return []
    verdict = report.evaluate.verdict
    lines = ["passed" if verdict.passed else "not passed", *(f"- {reason}" for reason in verdict.reasons)]
    if report.model_package_arn:
        lines.append(f"registered as {report.model_package_arn}")
    return [_entry("" if index else "Gate", line) for index, line in enumerate(lines)]


def _examples(report: RunReport) -> list[str]:
    if not report.test_endpoint or not report.test_endpoint.examples:
        return []
    header = f"{'key':<12}{'predicted':>14}{'actual':>14}{'off by':>9}   {report.unit}, from the live endpoint"
    lines = [_entry("Test rows", header)]
    for row in report.test_endpoint.examples[:EXAMPLES]:
        off = f"{(row.predicted - row.actual) / row.actual:+.1%}" if row.actual else "-"
        lines.append(_entry("", f"{row.key:<12}{row.predicted:>14,.0f}{row.actual:>14,.0f}{off:>9}"))
    return lines


def _endpoint(report: RunReport) -> list[str]:
    lines = []
    if deployed := report.deploy_endpoint:
        lines.append(f"{deployed.endpoint_name} {deployed.action}, configuration {deployed.endpoint_config_name}")
    if test := report.test_endpoint:
        latency = test.latency
        lines.append(
            f"one row: p50 {latency.p50_ms:.1f} ms, p99 {latency.p99_ms:.1f} ms over {latency.requests} requests; "
            f"largest relative difference from the model file {test.largest_relative_difference:.1e}"
        )
    return [_entry("" if index else "Endpoint", line) for index, line in enumerate(lines)]


def _seconds(report: RunReport) -> list[str]:
    states = ", ".join(f"{s.name} {s.seconds:.1f}" for s in report.states if s.seconds and s.seconds >= SHORTEST)
    return [_entry("Seconds", f"{states}; the execution {report.execution_seconds or 0:.1f}")]


def _artefacts(report: RunReport) -> list[str]:
    lines = [f"{artefact.what:<25}{artefact.uri}" for artefact in report.artefacts]
    if report.bucket_path:
        lines.append(f"{'bucket on this machine':<25}{shown(Path(report.bucket_path))}")
    return [_entry("" if index else "Artefacts", line) for index, line in enumerate(lines)]


def _entry(label: str, text: str) -> str:
    return f"{label:<11}{text}".rstrip()


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _count(number: int, of: str) -> str:
    return f"{number} {of}" + ("" if number == 1 else "s")

"""The evaluation as a page: one file, no network, nothing to run."""

from collections.abc import Sequence
from html import escape
from itertools import groupby

from sagemaker_jobs.evaluate import plots
from treering.contracts import EvaluateResult, ModelErrors
from treering.steps.evaluation import Predictions
from treering.use_case import UseCase

_STYLE = """
:root{color-scheme:light}
body{font:15px/1.5 system-ui,sans-serif;color:#222;max-width:62rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem;margin-bottom:.2rem} h2{font-size:1.1rem;margin-top:2rem} p{margin:.3rem 0}
.passed,.rejected{display:inline-block;padding:.15rem .6rem;border-radius:.3rem;color:#fff;font-weight:600}
.passed{background:#1b7837}.rejected{background:#b2182b}
table{border-collapse:collapse;margin:.5rem 0} th,td{padding:.25rem .8rem;border-bottom:1px solid #ddd;text-align:right}
th:first-child,td:first-child{text-align:left} small,.quiet{color:#666}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(22rem,1fr));gap:1rem} svg{max-width:100%;height:auto}
"""


def page(use_case: UseCase, result: EvaluateResult, predictions: Predictions) -> str:
    """The report as HTML."""
    verdict, unit, log_scale = result.verdict, use_case.target.unit, use_case.target.log_scale
    outcome = "passed" if verdict.passed else "rejected"
    champion = "no model in service" if result.champion is None else f"in service: run {escape(result.champion.run_id)}"
    body = [
        f"<h1>{escape(use_case.title)}: evaluation of run {escape(result.run_id)}</h1>",
        f"<p class=quiet>dataset version {escape(result.dataset_version)}, "
        f"{result.challenger.test.rows:,} test rows, {champion}</p>",
        f"<p><span class={outcome}>Quality gate: {outcome}</span></p>",
        "<ul>" + "".join(f"<li>{escape(reason)}</li>" for reason in verdict.reasons) + "</ul>",
        "<h2>Errors on the test split</h2>",
        _errors(result, unit),
        "<div class=plots>",
        plots.predicted_against_actual(predictions, unit, log_scale=log_scale),
        plots.residuals(predictions, unit, log_scale=log_scale),
        "</div>",
        "<h2>Error by segment</h2>",
        f"<p class=quiet>{_scale(result)} of the test rows of each segment; in brackets their number. "
        "Green the new model" + (", violet the one in service.</p>" if result.champion else ".</p>"),
        "<div class=plots>",
        *(
            plots.errors_by_segment(list(levels))
            for _, levels in groupby(result.segments, key=lambda segment: segment.column)
        ),
        "</div>",
        "<h2>Importance of the features</h2>",
        f"<p class=quiet>How much the {_scale(result)} grows when a feature's values are shuffled among the rows.</p>",
        plots.importance(result.importance),
    ]
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Evaluation of {escape(result.run_id)}'
        f"</title><style>{_STYLE}</style></head>\n<body>\n" + "\n".join(body) + "\n</body></html>\n"
    )


def _scale(result: EvaluateResult) -> str:
    return "RMSE of the logarithm" if result.challenger.test.rmse_log is not None else "RMSE"


def _errors(result: EvaluateResult, unit: str) -> str:
    models: list[tuple[str, ModelErrors]] = [("new", result.challenger)]
    if result.champion:
        models.append(("in service", result.champion))
    rows = [
        (f"RMSE, {unit}", [f"{model.test.rmse:,.0f}" for _, model in models]),
        (f"MAE, {unit}", [f"{model.test.mae:,.0f}" for _, model in models]),
        ("R²", [f"{model.test.r2:.3f}" for _, model in models]),
    ]
    if result.challenger.test.rmse_log is not None:
        rows.insert(0, ("RMSE of the logarithm", [f"{model.test.rmse_log or 0:.4f}" for _, model in models]))
    table = _table(["", *(f"{name}<br><small>{escape(model.run_id)}</small>" for name, model in models)], rows)
    difference = result.verdict.difference
    if difference is None:
        return table
    return table + (
        f"<p>Difference of the {_scale(result)}, new minus in service: <b>{difference.estimate:+.4f}</b>, "
        f"{difference.confidence:.0%} interval {difference.low:+.4f} to {difference.high:+.4f} "
        f"<small>(paired bootstrap, {difference.resamples:,} resamples of the rows)</small></p>"
    )


def _table(header: Sequence[str], rows: Sequence[tuple[str, Sequence[str]]]) -> str:
    head = "".join(f"<th>{cell}</th>" for cell in header)
    lines = "".join(
        f"<tr><td>{escape(name)}</td>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>"
        for name, cells in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>"

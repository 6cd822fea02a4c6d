"""What preprocess did, for a person."""

from collections.abc import Iterable

from treering.contracts import FeatureRecord, PreprocessResult
from treering.steps.preprocessing import CategoryFeature, NumberFeature, Preprocessing
from treering.use_case import UseCase


def summary(case: UseCase, preprocessing: Preprocessing, result: PreprocessResult) -> str:
    """Markdown: rows, and every feature kept or left out with its relevance and what was done where it is missing."""
    fills = {feature.name: _fill(feature) for feature in preprocessing.features}
    lines = [
        f"# {case.title}: preprocessing of run {result.run_id}",
        "",
        f"Dataset version {result.dataset_version}.",
        "",
        "| split | rows |",
        "|---|---:|",
        *(f"| {split} | {rows:,} |" for split, rows in result.rows.items()),
        "",
        f"The target {preprocessing.target} ({preprocessing.unit}) is learnt "
        f"{'as its natural logarithm' if preprocessing.log_scale else 'as it is'}. "
        "Fills, codes and relevance come from the training split only.",
        f"Relevance is {result.relevance_measure}: 1 says all, 0 nothing.",
        "",
        f"## {len(result.kept)} features kept",
        "",
        "| feature | type | relevance | missing in training | a missing value becomes |",
        "|---|---|---:|---:|---|",
        *(f"{_row(record)} {fills[record.name]} |" for record in result.kept),
        "",
        f"## {len(result.dropped)} features left out",
        "",
        *_left_out(result.dropped),
    ]
    return "\n".join(lines) + "\n"


def _left_out(records: Iterable[FeatureRecord]) -> list[str]:
    rows = [_row(record) for record in records]
    return ["| feature | type | relevance | missing in training |", "|---|---|---:|---:|", *rows] if rows else ["None."]


def _row(record: FeatureRecord) -> str:
    return f"| {record.name} | {record.type} | {record.relevance:.4f} | {record.missing:,} |"


def _fill(feature: object) -> str:
    if isinstance(feature, NumberFeature):
        return f"the mean, {feature.fill:,.6g}"
    if isinstance(feature, CategoryFeature):
        return f'level "{feature.missing_level}"'
    return "0 in the sum"

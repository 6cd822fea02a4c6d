"""Writes `data_description.txt`: what the served data are, where they come from, what the columns hold."""

import textwrap

from local_cloud.kaggle.description import FeedDescription
from local_cloud.kaggle.rdatasets_source import MISSING, SourceData
from local_cloud.kaggle.table import Table

_SHOWN_VALUES = 30  # a column with more different values is described, not listed


def describe(description: FeedDescription, source: SourceData, table: Table) -> str:
    """The file's text. `table` is the whole data set in the competition's columns; the text is the same every day."""
    labelled = description.labelled_file
    paragraphs = (
        f'These are not the competition\'s own files. They hold the data set "{description.dataset}" of the R package '
        f'"{description.package}", as the Python package rdatasets {source.package_version} carries it, with columns '
        f"named as the competition names them. No value was changed, but for blanks at the end of a text; {MISSING} "
        "stands for a missing value.",
        f"A row appears on its day: {description.year_column} and {description.month_column} are the data's; the day "
        "within the month is not known and was assigned, so that a month's rows spread evenly over its days.",
        f"{labelled} holds the rows with {description.target}; {description.unlabelled_share:.0%} of the rows, chosen "
        f"by a hash of {description.key}, are in test.csv without it. sample_submission.csv predicts the mean of "
        f"{labelled} for every row of test.csv.",
    )
    head = "\n\n".join(textwrap.fill(text, width=100, break_on_hyphens=False) for text in paragraphs)
    manual = {description.competition_name(column): text for column, text in source.manual.items()}
    columns = [_describe_column(name, manual.get(name), table) for name in table.columns]
    return head + "\n\nColumns\n\n" + "\n".join(columns)


def _describe_column(name: str, about: str | None, table: Table) -> str:
    position = table.columns.index(name)
    values = {row[position] for row in table.rows}
    lines = [f"{name}: {about or 'not described by the data set'}"]
    try:
        numbers = [float(value) for value in values if value != MISSING]
        lines.append(f"    number, {min(numbers):.10g} to {max(numbers):.10g}")
    except ValueError:  # a text among them, or nothing at all
        texts = sorted(values - {MISSING})
        shown = texts if len(texts) <= _SHOWN_VALUES else [*texts[:_SHOWN_VALUES], "…"]
        lines.append(textwrap.fill(f"text: {', '.join(shown)}", 100, initial_indent="    ", subsequent_indent="    "))
    if MISSING in values:
        lines.append(f"    {MISSING} in some rows")
    return "\n".join(lines) + "\n"

"""The report's plots, as SVG text that stands inside the page."""

import io
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter
from numpy.typing import NDArray

from treering.contracts import Importance, SegmentErrors
from treering.steps.evaluation import Predictions

NEW, OLD, QUIET = "#1b7837", "#9970ab", "#8c8c8c"
MOST_POINTS = 2000
MOST_FEATURES = 20
# Text stays text, so that it can be searched and copied; ids are the same on every run.
_SETTINGS: Any = {"svg.fonttype": "none", "svg.hashsalt": "treering", "font.family": "sans-serif", "font.size": 9}
_WIDTH = 4.6  # inches, of every plot
_LETTER, _LINE = 0.08, 0.2  # inches; the font is the reader's, so what a text takes is a guess, and a generous one


def predicted_against_actual(predictions: Predictions, unit: str, *, log_scale: bool) -> str:
    """Each test row as a point; on the diagonal the prediction is right."""
    shown = _sample(len(predictions.actual))
    figure, axes = _figure(4.2, left=_letters(predictions.actual), below=2)
    if predictions.champion is not None:
        _points(axes, predictions.actual[shown], predictions.champion[shown], OLD, "in service")
    _points(axes, predictions.actual[shown], predictions.challenger[shown], NEW, "new")
    ends = [float(predictions.actual.min()), float(predictions.actual.max())]
    axes.plot(ends, ends, color=QUIET, linewidth=1)
    if log_scale:
        axes.set_xscale("log")
        axes.set_yscale("log")
    _plain_numbers(axes.xaxis, axes.yaxis)
    axes.set_xlabel(f"actual, {unit}")
    axes.set_ylabel(f"predicted, {unit}")
    axes.legend(frameon=False)
    return _svg(figure)


def residuals(predictions: Predictions, unit: str, *, log_scale: bool) -> str:
    """Error of each test row over its actual value: relative in percent on a log scale, else in the unit."""
    shown = _sample(len(predictions.actual))
    figure, axes = _figure(4.2, left=7 if log_scale else _letters(predictions.actual), below=2)
    series = [(predictions.challenger, NEW, "new")]
    if predictions.champion is not None:
        series.insert(0, (predictions.champion, OLD, "in service"))
    for predicted, colour, label in series:
        error = predicted / predictions.actual * 100 - 100 if log_scale else predicted - predictions.actual
        _points(axes, predictions.actual[shown], error[shown], colour, label)
    axes.axhline(0, color=QUIET, linewidth=1)
    if log_scale:
        axes.set_xscale("log")
    _plain_numbers(axes.xaxis)
    axes.set_xlabel(f"actual, {unit}")
    axes.set_ylabel("predicted minus actual, % of actual" if log_scale else f"predicted minus actual, {unit}")
    axes.legend(frameon=False)
    return _svg(figure)


def errors_by_segment(segments: Sequence[SegmentErrors]) -> str:
    """Bars of both models' errors for the levels of one column."""
    levels = [f"{segment.level} ({segment.rows:,})" for segment in segments]
    figure, axes = _figure(0.8 + 0.32 * len(segments), left=max(map(len, levels)), above=1.5)
    places = np.arange(len(segments))[::-1]
    both = segments[0].champion is not None
    height = 0.38 if both else 0.7
    axes.barh(places + (height / 2 if both else 0), [s.challenger for s in segments], height, color=NEW, label="new")
    if both:
        old = [segment.champion or 0 for segment in segments]
        axes.barh(places - height / 2, old, height, color=OLD, label="in service")
    axes.set_yticks(places, levels)
    axes.set_title(segments[0].column, loc="left")
    return _svg(figure)


def importance(features: Sequence[Importance]) -> str:
    """Bars of the most important features."""
    shown = features[:MOST_FEATURES]
    figure, axes = _figure(0.8 + 0.22 * len(shown), left=max(len(feature.name) for feature in shown), below=2)
    places = np.arange(len(shown))[::-1]
    axes.barh(places, [feature.increase for feature in shown], 0.7, color=NEW)
    axes.set_yticks(places, [feature.name for feature in shown])
    axes.set_xlabel("growth of the error when shuffled")
    return _svg(figure)


def _figure(height: float, *, left: int, below: int = 1, above: float = 0.5) -> tuple[Figure, Axes]:
    """A figure of so many inches' height, with room for so many letters and lines around the axes.

    matplotlib could find the room itself, by laying everything out twice with a font that the reader may not have.
    """
    with mpl.rc_context(_SETTINGS):
        figure = Figure(figsize=(_WIDTH, height))
        axes = figure.subplots()
    figure.subplots_adjust(
        left=min(0.6, (_LINE + _LETTER * left) / _WIDTH),
        right=1 - _LINE / _WIDTH,
        bottom=(0.1 + _LINE * below) / height,
        top=1 - _LINE * above / height,
    )
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _points(axes: Axes, x: NDArray[np.float64], y: NDArray[np.float64], colour: str, label: str) -> None:
    axes.scatter(x, y, s=9, color=colour, alpha=0.55, linewidths=0, label=label)


def _plain_numbers(*scales: Axis) -> None:
    for scale in scales:
        if scale.get_scale() == "log":
            scale.set_major_locator(LogLocator(subs=(1, 2, 5)))
            scale.set_minor_formatter(NullFormatter())
        scale.set_major_formatter("{x:,.0f}")


def _letters(values: NDArray[np.float64]) -> int:
    """Of the longest number at an axis, and of the axis's label, which stands upright beside it."""
    return len(f"{values.max():,.0f}") + 3


def _sample(rows: int) -> NDArray[np.intp]:
    """Row numbers to draw: all, or as many as an eye can tell apart."""
    return np.unique(np.linspace(0, rows - 1, min(rows, MOST_POINTS)).astype(np.intp))


def _svg(figure: Figure) -> str:
    text = io.StringIO()
    with mpl.rc_context(_SETTINGS):
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    return text.getvalue()[text.getvalue().index("<svg") :]

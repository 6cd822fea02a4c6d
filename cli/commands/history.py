"""`treering history`: what became of each week's model, and why."""

import argparse
import textwrap
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from cli import options, story
from cli.application import last, opened, working
from cli.story import Entry, Story

SUMMARY = "tell what became of each week's model and why, and what was put into service by hand"
EPILOG = """\
Each weekly training with the week that it was due, its data, the error of its model on the test split and of the one
that was in service, and what came of it; and the rollouts and rollbacks by hand. Reads the cloud of `treering up`,
else that of a run under way, else what the last `treering run` left behind.

examples:
  treering run --weeks 8 && treering history
  treering history --json | jq '.entries[] | select(.outcome == "rejected") | .reason'
"""
WIDTH = 120
_INDENT = " " * 12
_LEGEND = "difference: the new model's error less that of the one in service, on the same rows; it must be below 0"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    options.add_json(parser, "all of it")
    options.add_cloud(parser)


def execute(given: argparse.Namespace) -> int:
    """Print the story and return the exit code."""
    found = read(given.state, given.cloud)
    print(found.model_dump_json(indent=2) if given.json else text(found))
    return 0


def read(state: Path, folder: Path | None) -> Story:
    """From a cloud that is at work, else the file of the last run, else the last cloud, started again for that."""
    if not working(state, folder) and (kept := story.kept(last(state, folder))):
        return kept
    with opened(state, folder) as found:
        return story.read(found)


def text(found: Story) -> str:
    """The story for a person: a line for each entry, below it why it did not go well where no number says it; the sum.

    The sum ends with each stay of a version in service.
    """
    if not found.entries:
        return "Nothing has been trained yet: `treering run` fires the weekly rule."
    compared = next((entry.difference for entry in reversed(found.entries) if entry.difference), None)
    difference = f"  {f'difference ({compared.confidence:.0%} interval)':<28}" if compared else ""
    lines = [
        f"{'due':<12}{'data':<9}{'':<5}{'rows':>7}{'error':>8}{'in service':>12}{difference}  "
        f"{'outcome':<19}endpoint serves"
    ]
    serving: int | None = None
    for entry in found.entries:
        lines.append(_line(entry, serving, len(difference)))
        serving = entry.into_service or serving
        if entry.outcome != "deployed" and (why := _why(entry)):
            lines += textwrap.wrap(why, WIDTH, initial_indent=_INDENT, subsequent_indent=_INDENT)
    if compared:
        lines += ["", _LEGEND]
    return "\n".join([*lines, "", *_sum(found), *_stays(found)])


def _line(entry: Entry, serving: int | None, wide: int) -> str:
    due = f"{entry.scheduled_at:%Y-%m-%d}" if entry.scheduled_at else "by hand"
    new = {True: "new", False: "same", None: ""}[entry.new_data]
    rows = "" if entry.rows is None else f"{entry.rows:,}"
    error, champion = ("-" if value is None else f"{value:.4f}" for value in (entry.error, entry.champion_error))
    if entry.kind != "weekly":
        error = champion = ""
    outcome = entry.outcome.replace("_", " ")
    if entry.kind != "weekly":
        outcome = f"{entry.kind} to {entry.version}" + (f" {outcome}" if outcome != "deployed" else "")
    now = entry.into_service
    after = f"now version {now}" if now else f"version {serving}" if serving else "none"
    data = (entry.dataset_version or "")[:8]
    difference = f"  {_difference(entry)}" if entry.difference else ""
    numbers = f"{due:<12}{data:<9}{new:<5}{rows:>7}{error:>8}{champion:>12}{difference:<{wide}}"
    return f"{numbers}  {outcome:<18} {after}"


def _difference(entry: Entry) -> str:
    found = entry.difference
    return f"{found.estimate:+.4f} ({found.low:+.4f} to {found.high:+.4f})" if found else ""


def _why(entry: Entry) -> str:
    if entry.difference and f"{entry.difference.estimate:+.4f}" in entry.reason:
        return ""  # the entry's own line says it
    cause = f"{entry.failed_state}: {entry.failure}: " if entry.failed_state else ""
    return " ".join((cause + entry.reason).split())


def _sum(found: Story) -> list[str]:
    weekly = Counter(entry.outcome.replace("_", " ") for entry in found.entries if entry.kind == "weekly")
    by_hand = Counter(entry.kind for entry in found.entries if entry.kind != "weekly")
    counted = ", ".join(f"{number} {outcome}" for outcome, number in weekly.most_common())
    lines = [f"{weekly.total()} weekly {'training' if weekly.total() == 1 else 'trainings'}: {counted or 'none'}"]
    if by_hand:
        counted = ", ".join(f"{number} {kind}{'s' * (number > 1)}" for kind, number in by_hand.items())
        lines.append(f"By hand: {counted}")
    serving = f"version {found.in_service}" if found.in_service is not None else "no version of the model registry"
    lines.append(f"{found.endpoint_name} serves {serving}")
    return lines


def _stays(found: Story) -> list[str]:
    """Which version was in service from when to when, and its error on the test rows when it came and when it went."""
    stays: list[_Stay] = []
    for entry in found.entries:
        if stays and entry.champion_error is not None:
            stays[-1].errors.append(entry.champion_error)
        if stays and entry.scheduled_at:
            stays[-1].weeks += 1
        if entry.into_service:
            due = f"{entry.scheduled_at:%Y-%m-%d}" if entry.scheduled_at else entry.kind
            stays.append(_Stay(entry.into_service, due, [] if entry.error is None else [entry.error]))
    if len(stays) < 2 or not any(stay.weeks for stay in stays):
        return []
    lines = ["", f"{'version':>7}  {'since':<12}{'weeks':>5}  error on the test rows of then, and of its last week"]
    for stay in stays:
        errors = " → ".join(f"{error:.4f}" for error in (*stay.errors[:1], *stay.errors[1:][-1:]))
        lines.append(f"{stay.version:>7}  {stay.since:<12}{stay.weeks:>5}  {errors}".rstrip())
    return lines


@dataclass
class _Stay:
    """A version in service: since when, for how many weekly trainings, and its errors meanwhile."""

    version: int
    since: str
    errors: list[float]
    weeks: int = 0

"""`treering history`: what became of each week's model, and why."""

import argparse
import textwrap
from collections import Counter
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
    """The story for a person: a line for each entry, and below it why it did not go well, if it did not."""
    if not found.entries:
        return "Nothing has been trained yet: `treering run` fires the weekly rule."
    lines = [f"{'due':<12}{'data':<10}{'':<5}{'rows':>7}{'error':>9}{'in service':>12}  {'outcome':<20}endpoint serves"]
    serving: int | None = None
    for entry in found.entries:
        lines.append(_line(entry, serving))
        serving = entry.into_service or serving
        if entry.outcome != "deployed" and (why := _why(entry)):
            lines += textwrap.wrap(why, WIDTH, initial_indent=_INDENT, subsequent_indent=_INDENT)
    return "\n".join([*lines, "", *_sum(found)])


def _line(entry: Entry, serving: int | None) -> str:
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
    return f"{due:<12}{data:<10}{new:<5}{rows:>7}{error:>9}{champion:>12}  {outcome:<20}{after}"


def _why(entry: Entry) -> str:
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

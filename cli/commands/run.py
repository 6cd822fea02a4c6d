"""`treering run`: one weekly run, or several on a clock that moves, shown state by state."""

import argparse
import contextlib
import json
import os
import shutil
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from cli import approvals, failures, interrupts, options, prepare, render, replay, story, weekly_run
from cli import cloud as clouds
from cli.application import Application
from cli.bakes import Bakes
from cli.display import Board, board
from cli.errors import FAILURE, CommandError, Interrupted, UsageError
from cli.ingestion import IngestionFailedError
from cli.lock import only_one
from cli.prepare import Choice
from local_cloud.template_file import read_template

MOST_WEEKS = 3_000  # a replay looks back sixty years at most
SUMMARY = "fire the weekly rule and follow the run to its report"
EPILOG = """\
Without `treering up`, the run gets a local cloud of its own, which ends with it; what it made stays in DIR/runs/, and
`treering history`, `treering models` and `treering lineage` tell of it.

With --parameter ApprovalRequired=true, a run waits until a person has decided on its model: it prints what to type in
another terminal. --weeks, which nobody watches for so long, then needs --approve.

examples:
  treering run                                   one run on the public Ames data
  treering run --weeks 4                         the last four weeks of the data, one run for each
  treering run --source ~/house-prices.zip       the competition's own files
  treering run --source kaggle                   from Kaggle, with KAGGLE_API_TOKEN or ~/.kaggle/kaggle.json
  treering run --parameter ApprovalRequired=true
  treering run --parameter UseCase=house_prices --json > report.json
"""
KEPT_RUNS = 5
APPROVAL_REQUIRED = "ApprovalRequired"  # the template's parameter


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    options.add_deployment(parser)
    parser.add_argument("--weeks", type=int, metavar="N", help="fire N weekly runs, each seeing the data known by then")
    parser.add_argument(
        "--approve",
        action="store_true",
        help="approve each model that waits for it, in the model registry, as a person would",
    )
    options.add_advance_clock(parser)
    options.add_json(parser, "the report")
    options.add_state(parser)


def execute(given: argparse.Namespace) -> int:
    """Run, print the report, and return the exit code."""
    started = time.monotonic()
    settings = options.settings(given)
    if given.weeks is not None and not 1 <= given.weeks <= MOST_WEEKS:
        raise UsageError(f"--weeks {given.weeks}: expected a whole number from 1 to {MOST_WEEKS:,}.")
    if given.weeks is not None and not given.approve and _approval_required(settings):
        raise UsageError(
            "--weeks with ApprovalRequired=true: each week would wait for a person, and the next one with it.",
            hint="--approve approves each model that waits; without --weeks, a run waits for `treering approve`.",
        )
    live = clouds.find(settings.up_folder) if given.weeks is None else None
    folder = live.folder if live else new_folder(settings.state / "runs")
    shown = board(to_stderr=given.json)
    try:
        with contextlib.ExitStack() as ending:
            if live is None:
                ending.callback(prepare.end, folder)
            else:
                ending.enter_context(only_one(folder, "treering run"))
            with shown:
                if live is None and (gone := clouds.killed(settings.up_folder)):
                    shown.note(
                        f"{gone}; `treering up` starts it again with all that it had. This run gets a cloud of its own."
                    )
                ready = prepare.prepare(
                    folder, settings, shown, parent_pid=None if live else os.getpid(), by_date=given.weeks is not None
                )
                if live is None:
                    ending.callback(keep_story, ready)
                if given.weeks is not None:
                    outcome = _weeks(ready, shown, given.weeks, approve=given.approve)
                else:
                    bakes = Bakes(ready.cloud, shown, advance=live is None or given.advance_clock)
                    outcome = _one(ready, shown, started, bakes, approve=given.approve)
            outcome.show(as_json=given.json)
    except Interrupted:
        what = "The execution goes on in the cloud of `treering up`; `treering status` shows it."
        if live is None:
            what = "The local cloud and all it started have ended; nothing of this run is left running."
        sys.stderr.write(f"Interrupted. {what}\n")
        raise
    return outcome.exit_code


@dataclass(frozen=True)
class _Outcome:
    """What the command found out: for a person, for a script, and for the shell."""

    text: str
    value: dict[str, Any]
    exit_code: int

    def show(self, *, as_json: bool) -> None:
        """Print it; with JSON on stdout, a person still reads why it failed."""
        if as_json:
            print(json.dumps(self.value, indent=2))
        if not as_json or self.exit_code:
            print(self.text, file=sys.stderr if as_json else sys.stdout)


def _one(ready: prepare.Ready, shown: Board, started: float, bakes: Bakes, *, approve: bool) -> _Outcome:
    waiting = approvals.approver(ready.cloud, shown) if approve else None
    try:
        done = weekly_run.fire(ready.cloud, ready.stack, shown, waiting=waiting, meanwhile=bakes.pass_on)
    except IngestionFailedError as error:
        failure = failures.of_ingestion(ready.cloud, error)
        value = {"outcome": "failed", "failure": failure.model_dump(mode="json")}
        return _Outcome("\n" + render.failure(failure), value, FAILURE)
    if done.report is None:
        text = f"\nIngestion found nothing to train on, so no execution was started: {done.message}"
        return _Outcome(text, {"outcome": "nothing to train on", "message": done.message}, 0)
    report = done.report.model_copy(update={"command_seconds": time.monotonic() - started})
    text = render.run(report)
    if report.failure:
        text += "\n\n" + render.failure(report.failure)
    return _Outcome(text, report.model_dump(mode="json"), FAILURE if report.failure else 0)


def _weeks(ready: prepare.Ready, shown: Board, count: int, *, approve: bool) -> _Outcome:
    waiting = approvals.approver(ready.cloud, shown) if approve else None
    found = replay.run(ready, shown, replay.begin(ready, count), waiting=waiting)
    text = render.replay(found)
    if found.failure:
        text += "\n\n" + render.failure(found.failure)
    return _Outcome(text, found.model_dump(mode="json"), FAILURE if found.failure else 0)


def _approval_required(settings: prepare.Settings) -> bool:
    declared = read_template(settings.template).get("Parameters", {}).get(APPROVAL_REQUIRED, {})
    return str(settings.parameters.get(APPROVAL_REQUIRED, declared.get("Default"))) == "true"


def keep_story(ready: prepare.Ready) -> None:
    """Leave the history in the run's folder, also of a run that failed; never hides how the run ended."""
    with interrupts.held():
        try:
            story.keep(Application(ready.cloud, ready.stack, Choice(ready.source.name, ready.stack.name)))
        except (CommandError, BotoCoreError, ClientError, OSError) as error:
            sys.stderr.write(f"The history of this run could not be kept: {error}\n")


def new_folder(runs: Path) -> Path:
    """A folder for this run, named by the time; of the older ones the last few are kept, and those in use."""
    runs.mkdir(parents=True, exist_ok=True)
    older = sorted(path for path in runs.iterdir() if path.is_dir())
    for path in older[: max(0, len(older) - KEPT_RUNS + 1)]:
        if clouds.load(path) is None:
            shutil.rmtree(path, ignore_errors=True)
    while True:
        folder = runs / f"{datetime.now(UTC):%Y%m%dT%H%M%S.%f}Z"
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        return folder

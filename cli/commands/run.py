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

from cli import cloud as clouds
from cli import failures, options, prepare, render, replay, weekly_run
from cli.display import Board, board
from cli.errors import FAILURE, Interrupted, UsageError
from cli.ingestion import IngestionFailedError

SUMMARY = "fire the weekly rule and follow the run to its report"
EPILOG = """\
Without `treering up`, the run gets a local cloud of its own, which ends with it; what it made stays in DIR/runs/.

examples:
  treering run                                   one run on the public Ames data
  treering run --weeks 4                         the last four weeks of the data, one run for each
  treering run --source ~/house-prices.zip       the competition's own files
  treering run --source kaggle                   from Kaggle, with KAGGLE_API_TOKEN or ~/.kaggle/kaggle.json
  treering run --parameter UseCase=house_prices --json > report.json
"""
KEPT_RUNS = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    options.add_deployment(parser)
    parser.add_argument("--weeks", type=int, metavar="N", help="fire N weekly runs, each seeing the data known by then")
    options.add_json(parser, "the report")
    options.add_state(parser)


def execute(given: argparse.Namespace) -> int:
    """Run, print the report, and return the exit code."""
    started = time.monotonic()
    settings = options.settings(given)
    if given.weeks is not None and given.weeks < 1:
        raise UsageError(f"--weeks {given.weeks}: expected a whole number of at least 1.")
    live = clouds.find(settings.up_folder) if given.weeks is None else None
    folder = live.folder if live else new_folder(settings.state / "runs")
    shown = board(to_stderr=given.json)
    try:
        with contextlib.ExitStack() as ending:
            if live is None:
                ending.callback(prepare.end, folder)
            with shown:
                ready = prepare.prepare(
                    folder, settings, shown, parent_pid=None if live else os.getpid(), by_date=given.weeks is not None
                )
                outcome = _weeks(ready, shown, given.weeks) if given.weeks is not None else _one(ready, shown, started)
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


def _one(ready: prepare.Ready, shown: Board, started: float) -> _Outcome:
    try:
        done = weekly_run.fire(ready.cloud, ready.stack, shown)
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


def _weeks(ready: prepare.Ready, shown: Board, count: int) -> _Outcome:
    found = replay.run(ready, shown, replay.begin(ready, count))
    text = render.replay(found)
    if found.failure:
        text += "\n\n" + render.failure(found.failure)
    return _Outcome(text, found.model_dump(mode="json"), FAILURE if found.failure else 0)


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

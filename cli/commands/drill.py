"""`treering drill`: let a model go wrong in a local cloud of its own, and see that users never notice."""

import argparse
import contextlib
import dataclasses
import os
import shutil
import sys
import time

from cli import options, prepare
from cli.application import Application
from cli.commands.run import keep_story, new_folder
from cli.display import Board, board
from cli.drills import bad_model, bad_rollout, checks, scene
from cli.drills.checks import DrillReport
from cli.errors import FAILURE, Interrupted
from cli.prepare import Choice

SUMMARY = "let a model go wrong on purpose, and compare what follows with what should"
EPILOG = """\
Starts a local cloud of its own, deploys the template into it, brings a good model into service, and then:

  bad-model       trains on data whose targets are shuffled: the quality gate rejects the model
  slow-model      rolls a better model out, which is slow in production: the latency alarm rolls it back
  crashing-model  the same with one that crashes in production: the errors alarm rolls it back
  stuck-model     the same with one that never starts in production: the deployment ends by its deadline

The last three then roll the same version out once more, without the fault. Meanwhile callers ask the endpoint, and the
cloud's clock is moved through the minutes in which alarms watch the new model.

Each step is printed as it happens; at the end stands what was expected and what was seen. What the drill made stays in
DIR/runs/; `treering history` and `treering models` tell of it. Exit code 0: all was as expected.

examples:
  treering drill bad-model
  treering drill slow-model --parameter TrafficShifting=LINEAR
  treering drill crashing-model --json > drill.json
"""
DRILLS: dict[str, scene.Drill] = {
    "bad-model": bad_model.BAD_MODEL,
    "slow-model": bad_rollout.SLOW,
    "crashing-model": bad_rollout.CRASHING,
    "stuck-model": bad_rollout.STUCK,
}
QUICK = {"LoadTestSeconds": "0"}  # a drill is not about load


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("drill", choices=DRILLS, metavar="DRILL", help=f"what goes wrong: {', '.join(DRILLS)}")
    options.add_deployment(parser)
    options.add_json(parser, "what was expected and what was seen")
    options.add_state(parser)


def execute(given: argparse.Namespace) -> int:
    """Carry the drill through, print what came of it, and return the exit code."""
    started = time.monotonic()
    drill = DRILLS[given.drill]
    settings = options.settings(given)
    settings = dataclasses.replace(settings, parameters={**QUICK, **drill.parameters, **settings.parameters})
    folder = new_folder(settings.state / "runs")
    try:
        with contextlib.ExitStack() as ending:
            ending.callback(prepare.end, folder)
            with board(to_stderr=given.json) as shown:
                ready = prepare.prepare(folder, settings, shown, parent_pid=os.getpid(), by_date=True)
                ending.callback(keep_story, ready)
                done = _carry_through(ready, shown, drill)
    except Interrupted:
        sys.stderr.write("Interrupted. The local cloud and all it started have ended; nothing is left running.\n")
        raise
    found = DrillReport(
        drill=given.drill,
        outcome="as expected" if done.checks.ok else "not as expected",
        checks=done.checks.all,
        executions=done.executions,
        folder=str(folder),
        seconds=round(time.monotonic() - started, 1),
    )
    if given.json:
        print(found.model_dump_json(indent=2))
    if not given.json or not done.checks.ok:
        print(_text(found), file=sys.stderr if given.json else sys.stdout)
    return 0 if done.checks.ok else FAILURE


def _carry_through(ready: prepare.Ready, shown: Board, drill: scene.Drill) -> scene.Scene:
    found = Application(ready.cloud, ready.stack, Choice(ready.source.name, ready.stack.name))
    made = scene.set_up(ready, found, shown, drill.weeks)
    drill.run(made)
    return made


def _text(found: DrillReport) -> str:
    width = shutil.get_terminal_size((checks.WIDTH, 24)).columns if sys.stdout.isatty() else checks.WIDTH
    wrong = sum(not check.ok for check in found.checks)
    sentence = "all was as expected" if not wrong else f"{wrong} of {len(found.checks)} were not as expected"
    return f"\n{checks.table(found.checks, width)}\n\nDrill {found.drill}: {sentence} ({found.seconds:.0f} s)"

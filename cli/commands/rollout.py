"""`treering rollout`: put an approved version into service, as the weekly training does."""

import argparse
import contextlib
import json
import sys
from datetime import UTC, datetime

from cli import executions, options, registry, render, rollout_report, rollouts
from cli.application import Application, application
from cli.bakes import Bakes
from cli.display import board, step
from cli.errors import FAILURE, CommandError, Interrupted
from cli.registry import APPROVED, ModelVersion

SUMMARY = "put an approved version of the model registry into service, in staging first"
EPILOG = """\
Starts the state machine that the weekly training starts at its end, and follows it: staging endpoint, its tests with
load, production, its test. People are told how it ended. Needs `treering up`.

A model that was approved after its execution's deadline goes into service this way, and an older one comes back.

examples:
  treering rollout 3
  treering rollout 20261121-044549-683447d6 --json      the model of that run
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument(
        "version", metavar="VERSION", help="number of a version, ID of the run that made it, or its ARN"
    )
    options.add_advance_clock(parser)
    options.add_json(parser, "the report")
    options.add_state(parser)


def execute(given: argparse.Namespace) -> int:
    """Roll out, print the report, and return the exit code."""
    found = application(given.state)
    return roll_out(given, found, registry.find(registry.versions(found), given.version), "rollout")


def roll_out(given: argparse.Namespace, found: Application, version: ModelVersion, kind: rollouts.Kind) -> int:
    """Put the version into service, print the report, and return the exit code. Raises CommandError."""
    before = registry.in_service(found)
    _require(found, version)
    if version.version == before:
        said = f"Version {before} is in service already; nothing is to be done."
        print(json.dumps({"outcome": "in_service", "version": before}, indent=2) if given.json else said)
        return 0
    try:
        with board(to_stderr=given.json) as shown:
            with step(shown, kind.capitalize()) as say:
                arn = rollouts.start(found, version, kind, datetime.now(UTC))
                say(f"version {version.version} of run {version.run_id}: {arn.rpartition(':')[2]}")
            bakes = Bakes(found.cloud, shown, advance=given.advance_clock)
            execution = executions.follow(found.cloud, arn, shown, meanwhile=bakes.pass_on)
        done = rollout_report.collect(found, kind, arn, execution, version, before)
    except Interrupted:
        sys.stderr.write(f"Interrupted. The {kind} goes on in the cloud; `treering history` shows how it ends.\n")
        raise
    if given.json:
        print(json.dumps(done.describe(), indent=2))
    with contextlib.redirect_stdout(sys.stderr) if given.json else contextlib.nullcontext():
        if not given.json or done.failure:
            print(rollout_report.text(done) + (f"\n\n{render.failure(done.failure)}" if done.failure else ""))
    return FAILURE if done.failure else 0


def _require(found: Application, version: ModelVersion) -> None:
    """Refuse a version that is not approved, and a rollout beside another one."""
    if version.status != APPROVED:
        raise CommandError(
            f"Version {version.version} is {version.status}, and only an approved version goes into service.",
            hint=f"`treering approve {version.version}` approves one that waits; `treering models` shows all.",
        )
    rollouts.require_none(found)

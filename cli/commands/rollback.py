"""`treering rollback`: put the version back into service that was there before."""

import argparse

from cli import options, registry, rollouts
from cli.application import application
from cli.commands import rollout

SUMMARY = "put the previous approved version back into service"
EPILOG = """\
The previous version is the one that was in service before the one that is, if it passed its test in production then
and is still approved; else the one before that. A version that was itself rolled back is never gone back to, so a
second rollback leads further back, not forth again. The version goes the same way as in `treering rollout`: staging
first, then production, each tested; and people are told. Needs `treering up`.

examples:
  treering rollback
  treering rollback --json | jq .in_service
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    options.add_advance_clock(parser)
    options.add_json(parser, "the report")
    options.add_state(parser)


def execute(given: argparse.Namespace) -> int:
    """Roll back, print the report, and return the exit code."""
    found = application(given.state)
    rollouts.require_none(found)  # before it is known what that leads to, there is nothing to go back from
    registered = registry.versions(found)
    previous = rollouts.before(rollouts.read(found), registered, registry.behind(found))
    return rollout.roll_out(given, found, registry.find(registered, str(previous)), "rollback")

"""`treering approve`: let a model that waits go into service."""

import argparse
import json

from cli import approvals, options
from cli.application import at_work
from cli.approvals import Decision

SUMMARY = "approve a version in the model registry, so that it goes into service"
EPILOG = """\
With the template's ApprovalRequired=true, an execution whose model passed the quality gate waits until a person has
decided on it. This command decides as the console, the AWS CLI or an SDK does: by UpdateModelPackage alone. The
registry's event then lets the execution go on. Works in the cloud of `treering up` and, from another terminal, in
that of a `treering run` under way.

examples:
  treering approve                               the version that waits, if exactly one does
  treering approve 3 --comment "errors look well in every segment"
  treering approve 20261121-044549-683447d6      the model of that run
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument(
        "version", nargs="?", metavar="VERSION", help="number of a version, ID of the run that made it, or its ARN"
    )
    parser.add_argument("--comment", default="", metavar="TEXT", help="kept in the model registry, shown to people")
    options.add_json(parser, "the decision and what comes of it")
    options.add_cloud(parser, last=False)


def execute(given: argparse.Namespace) -> int:
    """Approve, say what happens next, and return the exit code."""
    return decided(given, "Approved")


def decided(given: argparse.Namespace, decision: Decision) -> int:
    """Decide on the version that is meant. The exit code is 1 where the execution that waits does not go on."""
    found, version = approvals.choose(at_work(given.state, given.cloud), given.version)
    done = approvals.decide(found, version, decision, given.comment)
    if given.json:
        print(json.dumps(done.describe(), indent=2))
    else:
        print(f"Version {version.version} (run {version.run_id}) is {decision}. {done.then}")
    return 1 if done.execution and not done.resumed else 0

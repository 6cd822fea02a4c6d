"""`treering reject`: keep a model that waits out of service."""

import argparse

from cli.commands import approve

SUMMARY = "reject a version in the model registry: it does not go into service"
EPILOG = """\
The counterpart of `treering approve`, whose --help says more. The execution that waits ends well, with the outcome
not_approved; people are told, with the comment; the endpoint is as it was.

examples:
  treering reject                                the version that waits, if exactly one does
  treering reject 3 --comment "too far off for old houses"
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    approve.add_arguments(parser)


def execute(given: argparse.Namespace) -> int:
    """Reject, say what happens next, and return the exit code."""
    return approve.decided(given, "Rejected")

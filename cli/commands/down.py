"""`treering down`: end the cloud of `treering up` and all that it started."""

import argparse

from cli import prepare

SUMMARY = "end the local cloud and all that it started"
EPILOG = """\
Buckets, logs and models stay in DIR/cloud; remove the folder to forget them.

examples:
  treering down
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    from cli import options

    options.add_state(parser)


def execute(given: argparse.Namespace) -> int:
    """End the cloud, say what was ended, and return the exit code: 0 also where nothing was up."""
    ended = prepare.end(given.state.resolve() / "cloud")
    print(f"Ended {' and '.join(ended)}." if ended else f"Nothing is up in {given.state}.")
    return 0

"""`treering down`: end the cloud of `treering up` and all that it started."""

import argparse

from cli import cloud as clouds
from cli import prepare
from local_cloud.state_directory import forget_killed_cloud

SUMMARY = "end the local cloud and all that it started"
EPILOG = """\
Buckets, logs, models and the endpoint's configuration stay in DIR/cloud, and `treering up` starts again with them;
remove the folder to forget them. Executions and jobs that run are ended.

examples:
  treering down
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    from cli import options

    options.add_state(parser)


def execute(given: argparse.Namespace) -> int:
    """End the cloud, say what was ended, and return the exit code: 0 also where nothing was up."""
    folder = given.state.resolve() / "cloud"
    gone = clouds.killed(folder)
    forget_killed_cloud(folder)
    ended = prepare.end(folder)
    nothing = f"{gone}; nothing of it is left running." if gone else f"Nothing is up in {given.state}."
    print(f"Ended {' and '.join(ended)}." if ended else nothing)
    return 0

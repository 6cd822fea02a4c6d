"""``python -m local_cloud --state DIR``: runs a local cloud in the foreground until it is stopped."""

from __future__ import annotations

import argparse
import gc
import logging
import os
import sys
from pathlib import Path

from local_cloud.clock import from_iso
from local_cloud.durable_files import DamagedStateError
from local_cloud.server import ServerOptions, run
from local_cloud.state_directory import StateDirectoryInUseError


def main(arguments: list[str] | None = None) -> int:
    """Run a local cloud and return the exit code: 0 when stopped, 1 when it could not start."""
    parser = argparse.ArgumentParser(prog="python -m local_cloud", description="An AWS of one's own, on this machine.")
    parser.add_argument(
        "--state",
        type=Path,
        required=True,
        help="folder of everything the cloud keeps; cloud.json in it says where the cloud answers",
    )
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1 (default: any free one)")
    parser.add_argument("--parent-pid", type=int, help="stop when this process ends")
    parser.add_argument("--clock", type=from_iso, metavar="TIME", help="start the cloud's clock at this ISO 8601 time")
    parser.add_argument(
        "--retry-seconds",
        type=float,
        default=1.0,
        help="wait before the first retry of a failed asynchronous invocation (AWS: 60; default: 1); "
        "a state machine waits at most twice as long between two tries of a state",
    )
    options = parser.parse_args(arguments)
    gc.disable()  # until `Assembly` has warmed up: all of it stays, and looking through it takes a third of the time
    try:
        run(ServerOptions(options.state, options.port, options.parent_pid, options.clock, options.retry_seconds))
    except (StateDirectoryInUseError, DamagedStateError, OSError) as problem:
        sys.stderr.write(f"the local cloud cannot start: {problem}\n")
        return 1
    return 0


if __name__ == "__main__":
    code = main()
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # whatever thread still waits for something, the cloud has ended

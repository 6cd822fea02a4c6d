"""Removes a cloud's containers once the cloud has ended (started by `container`, as a script).

Containers are no children of the cloud's process, so they would outlive one that is killed. Standard input is a pipe
whose only writing end the cloud holds: the kernel closes it even after `kill -9`.

Arguments: the engine's command, and the label that all of the cloud's containers bear.
"""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence


def containers(program: str, label: str, environment: Mapping[str, str]) -> list[str]:
    """IDs of all containers that bear a label, running or not; ``environment`` is the engine's own."""
    command = [program, "ps", "--all", "--quiet", "--no-trunc", f"--filter=label={label}"]
    listed = subprocess.run(
        command, env=os.environ | environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    return listed.stdout.split()


def remove(program: str, identities: Sequence[str], environment: Mapping[str, str]) -> None:
    """Kill and remove containers, by ID or name."""
    if identities:
        at_once = ["--time", "0"] if program.endswith("podman") else []  # Docker's does not wait
        command = [program, "rm", "--force", "--volumes", *at_once, *identities]
        subprocess.run(
            command, env=os.environ | environment, stdin=subprocess.DEVNULL, capture_output=True, check=False
        )


if __name__ == "__main__":
    sys.stdin.buffer.read()
    remove(sys.argv[1], containers(sys.argv[1], sys.argv[2], {}), {})

"""The command `treering`: its parser, and what its exit codes mean."""

import argparse
import errno
import gc
import importlib
import io
import json
import os
import sys
from collections.abc import Sequence

from botocore.exceptions import ConnectionError as NoConnectionError
from botocore.exceptions import HTTPClientError

from cli import account, interrupts
from cli import cloud as clouds
from cli.errors import FAILURE, INTERRUPTED, USAGE, CommandError, Interrupted
from treering.errors import TreeringError

COMMANDS = (
    *("run", "up", "down", "status"),
    *("history", "models", "lineage", "approve", "reject", "rollout", "rollback", "experiment", "drill"),
    *("logs", "predict", "iam", "fault", "build"),
    *("cost", "teardown"),
)
DESCRIPTION = """\
Treering regrows a machine-learning model every week. This command runs the application - the same files that are
deployed to AWS - on this machine: in a local cloud that needs no AWS account and no container engine.
"""
EPILOG = """\
examples:
  treering run                  one weekly run on public data, shown state by state, with a report
  treering run --weeks 4        four weekly runs, each seeing the data known by then
  treering up                   a local cloud that stays, for boto3, the aws command line and your own tests
  treering predict rows.csv     predictions of the endpoint in it

exit codes: 0 done, 1 failed (stderr says what and what to do), 2 wrong usage, 130 interrupted
"""


def parser(chosen: str | None = None) -> argparse.ArgumentParser:
    """The parser of all commands; each sets `execute` to the function that runs it.

    Where one is `chosen`, of the others only the names are there: their imports take longer than many a command.
    """
    top = argparse.ArgumentParser(
        prog="treering",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name in COMMANDS:
        if chosen not in (None, name):
            commands.add_parser(name)
            continue
        module = importlib.import_module(f"cli.commands.{name}")
        command = commands.add_parser(
            name,
            help=module.SUMMARY,
            description=f"{module.SUMMARY[0].upper()}{module.SUMMARY[1:]}.",
            epilog=module.EPILOG,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(command)
        command.set_defaults(execute=module.execute)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return the exit code."""
    _open_streams()
    interrupts.install()
    _forget_aws()
    given = None
    try:
        words = sys.argv[1:] if arguments is None else arguments
        given = parser(words[0] if words and words[0] in COMMANDS else None).parse_args(words)
        gc.freeze()
        gc.enable()
        code = int(given.execute(given))
        sys.stdout.flush()
        return code
    except CommandError as error:
        _explain(error, as_json=getattr(given, "json", False))
        return error.exit_code
    except (HTTPClientError, NoConnectionError) as error:
        _explain(clouds.gone(error), as_json=getattr(given, "json", False))
        return FAILURE
    except TreeringError as error:
        _explain(CommandError(str(error)), as_json=getattr(given, "json", False))
        return FAILURE
    except Interrupted:
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output had enough, as `head` does
        _stop_printing()
        return FAILURE
    except OSError as error:
        try:
            sys.stdout.flush()
        except OSError:
            _stop_printing()
        _explain(_of_the_system(error), as_json=getattr(given, "json", False))
        return FAILURE


def _open_streams() -> None:
    """See to it that there is something to print to, and that no letter is one that it cannot take."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:  # what was closed before the command began
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    sys.stdout = sys.stdout or open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115  # for the whole command
    sys.stderr = sys.stderr or open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _stop_printing() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _of_the_system(error: OSError) -> CommandError:
    """What to say where this machine refused something: a folder that cannot be written, a disk that is full."""
    reason = error.strerror or str(error) or type(error).__name__
    if error.errno == errno.ENOSPC:
        hint = "Make room; `treering down` and run again. --state DIR keeps everything local on another disk."
    else:
        hint = "--state DIR keeps everything local in another folder." if error.filename else ""
    return CommandError(f"{error.filename}: {reason}" if error.filename else reason, hint=hint)


def _forget_aws() -> None:
    """Put the user's own AWS settings aside: what this command starts talks to the local cloud alone."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        account.SETTINGS[name] = os.environ.pop(name)


def _explain(error: CommandError, *, as_json: bool) -> None:
    if as_json and error.exit_code != USAGE:
        print(json.dumps({"outcome": "failed", "error": str(error), "hint": error.hint}, indent=2))
    sys.stderr.write(f"treering: {error}\n")
    if error.hint:
        sys.stderr.write(f"What to try: {error.hint}\n")


if __name__ == "__main__":
    sys.exit(main())

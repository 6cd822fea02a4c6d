"""`treering logs`: what the functions and jobs of the last execution wrote."""

import argparse
import json
import time
from collections.abc import Iterator
from typing import Any

from cli import executions, history, options, rollouts
from cli import logs as log_lines
from cli.application import Application, application
from cli.errors import UsageError
from cli.history import LogPlace

SUMMARY = "show the log of the last execution, of one state, or of one function"
EPILOG = """\
Needs `treering up`.

examples:
  treering logs                       all states of the last execution, in their order
  treering logs Preprocess            one state
  treering logs ingest --follow       one function, and what it writes from now on
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("of", nargs="?", metavar="STATE|FUNCTION", help="a state of the state machine, or a function")
    parser.add_argument("--follow", action="store_true", help="go on printing new lines until Ctrl-C")
    options.add_json(parser, "the lines, one object a line,")
    options.add_state(parser)


def execute(given: argparse.Namespace) -> int:
    """Print the lines and return the exit code."""
    found = application(given.state)
    places = _places(found, given.of)
    printed: set[tuple[str, Any]] = set()
    while True:
        for name, place in places:
            for index, line in enumerate(log_lines.lines(found.cloud, place)):
                if (name, index) not in printed:
                    printed.add((name, index))
                    _print(name, line, as_json=given.json, with_name=len(places) > 1)
        if not given.follow:
            return 0
        time.sleep(0.5)


def _places(found: Application, of: str | None) -> list[tuple[str, LogPlace]]:
    """Where to read. Raises UsageError for a name that is neither a state of the last execution nor a function."""
    functions = dict(_functions(found))
    if of is not None and _plain(of) in functions:
        return [(of, functions[_plain(of)])]
    states = [(state.name, state.log_place) for state in _last_states(found)]
    chosen = [(name, place) for name, place in states if place and (of is None or _plain(name) == _plain(of))]
    if of is not None and not chosen:
        known = [name for name, place in states if place]
        raise UsageError(
            f"There is no log of {of!r}. Functions: {', '.join(sorted(functions))}; "
            f"states of the last execution: {', '.join(known) or 'none yet'}."
        )
    if of is None:
        return [("Ingest", functions["ingest"]), *chosen] if "ingest" in functions else chosen
    return chosen


def _functions(found: Application) -> Iterator[tuple[str, LogPlace]]:
    """Every function's log by each name that it goes by: `ingest`, `IngestFunction`, `treering-dev-ingest`."""
    for logical_id, name in found.stack.functions().items():
        place = LogPlace(f"/aws/lambda/{name}")
        for alias in (logical_id.removesuffix("Function"), logical_id, name):
            yield _plain(alias), place


def _last_states(found: Application) -> list[history.StateRun]:
    """States of the last weekly training, its rollout's included, and of a rollout by hand since."""
    machines = found.cloud.client("stepfunctions")
    listed = machines.list_executions(stateMachineArn=found.stack.state_machine)["executions"]
    latest = max(listed, key=lambda execution: execution["startDate"], default=None)
    arns = [latest["executionArn"]] if latest else []
    by_hand = [one for one in rollouts.read(found) if one.kind != "weekly"]
    if by_hand and (latest is None or by_hand[-1].started_at > latest["startDate"]):
        arns.append(by_hand[-1].execution_arn)
    return [state for arn in arns for _, state in executions.read(found.cloud, machines, arn).all_states()]


def _plain(name: str) -> str:
    return "".join(filter(str.isalnum, name)).lower()


def _print(name: str, line: log_lines.Line, *, as_json: bool, with_name: bool) -> None:
    if as_json:
        content = {"of": name, "at": line.at.isoformat(), "stream": line.stream, "text": line.text}
        print(json.dumps(content), flush=True)
    else:
        print((f"{name:<20} " if with_name else "") + f"{line.at:%H:%M:%S} {log_lines.readable(line.text)}", flush=True)

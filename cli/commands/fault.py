"""`treering fault`: let something go wrong in the local cloud, to see what the application and its people do then."""

import argparse
import json
import sys
from collections.abc import Mapping
from typing import Any

from cli import cloud as clouds
from cli import options
from cli.errors import CommandError, UsageError
from local_cloud.faults.base import Fault, FaultRefusedError
from local_cloud.faults.models import parse

SUMMARY = "let something go wrong in the local cloud, to try out what happens then"
EPILOG = """\
A fault is a JSON object with a kind and what the kind needs; docs/local_cloud.md has the table.

  api_error      a call of AWS's API fails, or its answer is lost        service, action, match, code, status, after
  api_delay      it comes late                                           service, action, match, seconds
  deliver_twice  an event reaches its function twice                     name, seconds
  capacity       no instance for a job or an endpoint                    name, target
  kill           SIGKILL for a function, a job, an endpoint's container  target, name, when
  instance_lost  the machine of a job is gone                            name, when
  memory         a job or a function has only so much memory             megabytes, target, name
  volume         a job's /opt/ml, a function's /tmp has only so much     megabytes, target, name
  ping           health checks of an endpoint fail                       name, status, during, give_up_seconds
  answer         an endpoint answers something else, or late             name, status, body, seconds

Each strikes "times" times (1; null: until cleared). Names are patterns (*-train-*). when is "start", "end",
{"after_seconds": 2} or {"when_log_says": "text"}.

examples:
  treering fault add '{"kind": "capacity", "name": "*-train-*"}'
  treering fault add '{"kind": "api_error", "service": "s3", "action": "PutObject", "code": "SlowDown", "status": 503}'
  treering fault list --json | jq .spent
  treering fault clear
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    actions = parser.add_subparsers(title="actions", dest="action", metavar="ACTION", required=True)
    add = actions.add_parser("add", help="arm faults: nothing goes wrong before it is asked for")
    add.add_argument("faults", nargs="+", metavar="FAULT", help="a fault, or a list of faults, as JSON; - reads stdin")
    for action in (
        add,
        actions.add_parser("list", help="show what is armed and what has struck"),
        actions.add_parser("clear", help="disarm all faults"),
    ):
        options.add_json(action, "the cloud's answer")
        options.add_state(action)


def execute(given: argparse.Namespace) -> int:
    """Arm, show or disarm faults and return the exit code."""
    faults = [fault.as_json() for text in given.faults for fault in _parsed(text)] if given.action == "add" else []
    cloud = clouds.find(given.state.resolve() / "cloud")
    if cloud is None:
        raise CommandError(f"No local cloud is up in {given.state}.", hint="`treering up` starts one.")
    if given.action == "add":
        answer = cloud.arm(faults)
    else:
        answer = cloud.faults() if given.action == "list" else cloud.disarm()
    print(json.dumps(answer, indent=2) if given.json else _text(answer))
    return 0


def _parsed(text: str) -> list[Fault]:
    try:
        content = json.loads(sys.stdin.read() if text == "-" else text)
        return [parse(one) for one in (content if isinstance(content, list) else [content])]
    except json.JSONDecodeError as error:
        raise UsageError(f'{text} is no JSON: {error}. Expected such as \'{{"kind": "capacity"}}\'.') from error
    except FaultRefusedError as error:
        raise UsageError(f"{error}. See `treering fault --help`.") from error


def _text(answer: Mapping[str, Any]) -> str:
    if "cleared" in answer:
        return f"{answer['cleared']} disarmed."
    lines = [f"{word:<6} {_line(fault)}" for word in ("armed", "spent") for fault in answer.get(word, [])]
    return "\n".join(lines) or "Nothing is armed."


def _line(fault: Mapping[str, Any]) -> str:
    counted = {"id", "kind", "times", "hits", "left"}
    told = {name: value for name, value in fault.items() if name not in counted and value}
    told = {name: value for name, value in told.items() if name == "name" or value != "*"}  # of any configuration, …
    fields = ", ".join(f"{name} {json.dumps(value)}" for name, value in told.items())
    times = "for ever" if fault["times"] is None else f"{fault['left']} of {fault['times']} left"
    return f"{fault['id']:>3} {fault['kind']:<14} {fields}; struck {fault['hits']} times, {times}"

"""`treering teardown`: what of an environment is still there, what it costs, and how to remove it."""

import argparse
import json
from functools import partial
from pathlib import Path
from typing import Any

from cli import account, costs, leftovers, options
from cli.application import application
from cli.costs import Prices
from cli.errors import FAILURE
from cli.leftovers import Found

SUMMARY = "list what of an environment would still cost money, and how to remove it; removes nothing itself"
EPILOG = """\
Asks the cloud of `treering up`, or with --aws the account of your own AWS settings (credentials, profile, region). It
only reads. The exit code is 0 where nothing is left that costs money, else 1.

examples:
  treering teardown --check                            what is in the local cloud
  treering teardown --check --aws --environment prod   what is in your account
  treering teardown                                    the commands that remove it, in order
"""
_ORDER = ("endpoint", "processing job under way", "training job under way", "stack")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--check", action="store_true", help="list what costs money, with what it costs a month")
    parser.add_argument("--aws", action="store_true", help="ask AWS, with your own settings, not the local cloud")
    parser.add_argument(
        "--environment", choices=("dev", "staging", "prod"), default="dev", help="which one (default: dev)"
    )
    parser.add_argument(
        "--stack-name", metavar="NAME", help="of the stack (default: treering-ENVIRONMENT; here treering)"
    )
    parser.add_argument(
        "--prices", type=Path, default=costs.PRICES, metavar="FILE", help="price file (default: cli/prices.toml)"
    )
    options.add_json(parser, "what is left")
    options.add_state(parser)


def execute(given: argparse.Namespace) -> int:
    """Print what is left and return the exit code."""
    prices, project = Prices.read(given.prices), f"treering-{given.environment}"
    if given.aws:
        with account.own_session() as session:
            found = leftovers.find(partial(_client, session), project, given.stack_name or project, prices)
    else:
        here = application(given.state)
        found = leftovers.find(here.cloud.client, project, given.stack_name or here.stack.name, prices)
    if given.json:
        print(json.dumps(_as_json(found), indent=2))
    else:
        print(checked(found) if given.check else commands(found))
    return FAILURE if found.costly else 0


def _client(session: Any, service: str) -> Any:
    return session.client(service)


def checked(found: Found) -> str:
    """What costs money, and what else is there."""
    lines = []
    if found.costly:
        lines.append(f"{'a month, USD':>12}  what")
        for item in found.costly:
            month = "by the hour" if item.month is None else f"{item.month:.2f}"
            lines.append(f"{month:>12}  {item.kind} {item.name}")
        lines.append(f"{sum(item.month or 0 for item in found.costly):>12.2f}  together")
    else:
        lines.append("Nothing is left that costs money.")
    free = [item for item in found.leftovers if item.month == 0]
    if free:
        lines += ["", "Free of charge: " + ", ".join(f"{item.kind} {item.name}" for item in free)]
    lines += ["", *(f"Could not be asked: {reason}" for reason in found.not_asked)] if found.not_asked else []
    return "\n".join(lines)


def commands(found: Found) -> str:
    """What removes it all: what costs by the hour first, then the stack, then what it leaves behind."""

    def place(kind: str) -> int:
        return _ORDER.index(kind) if kind in _ORDER else len(_ORDER)

    items = sorted(found.leftovers, key=lambda item: place(item.kind))
    if not items:
        return "Nothing is left."
    return "\n".join(f"{item.remove:<90}  # {item.kind} {item.name}" for item in items)


def _as_json(found: Found) -> dict[str, object]:
    return {
        "month": round(sum(item.month or 0 for item in found.leftovers), 4),
        "leftovers": [
            {"kind": item.kind, "name": item.name, "month": item.month, "remove": item.remove}
            for item in found.leftovers
        ],
        "not_asked": found.not_asked,
    }

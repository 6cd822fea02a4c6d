"""`treering cost`: what a week and an idle month would cost on AWS, before anything is deployed."""

import argparse
import json
import tomllib
from pathlib import Path
from typing import Any

from cli import costs, options
from cli.cloud import REPOSITORY
from cli.costs import Item, Prices, Work
from cli.errors import CommandError, UsageError
from local_cloud.template_file import TemplateError, read_template

MOST_ROWS = 10**9
SUMMARY = "show what a week and an idle month would cost on AWS, item by item"
EPILOG = """\
Reads the template's parameters and a dated price file; asks nobody, deploys nothing. An idle month is one without a
run: what costs money by being there. Where a run's length is not known, the price file says what is assumed.

examples:
  treering cost
  treering cost --environment prod                         with the parameters of samconfig.toml
  treering cost --parameter EndpointInstanceType=ml.m5.large --parameter EndpointInstanceCount=2
  treering cost --rows 3000000                             with so many rows in the labelled file
  treering cost --json | jq .week
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument(
        "--environment",
        choices=("dev", "staging", "prod"),
        help="take the parameters of this environment in samconfig.toml",
    )
    parser.add_argument(
        "--parameter",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a parameter of the template; may be given several times",
    )
    parser.add_argument(
        "--template", type=Path, default=REPOSITORY / "template.yaml", metavar="FILE", help="SAM template"
    )
    parser.add_argument(
        "--prices", type=Path, default=costs.PRICES, metavar="FILE", help="price file (default: cli/prices.toml)"
    )
    parser.add_argument(
        "--rows",
        type=_rows,
        metavar="N",
        help="rows of the labelled file, which make the jobs longer by measured formulas (default: some thousands)",
    )
    options.add_json(parser, "the items")


def execute(given: argparse.Namespace) -> int:
    """Print the items and return the exit code."""
    try:
        template = read_template(given.template)
    except TemplateError as error:
        raise CommandError(str(error)) from error
    prices = Prices.read(given.prices)
    parameters = _parameters(template, given.environment, given.parameter)
    found = costs.items(template, parameters, prices, given.rows)
    problems = Work.of(given.rows, parameters, prices).problems(parameters)
    if given.json:
        print(json.dumps({**_as_json(found, prices), "problems": problems}, indent=2))
    else:
        print("\n".join([text(found, prices), *problems]))
    return 0


def _rows(value: str) -> int:
    if not value.isdecimal() or not 0 < int(value) <= MOST_ROWS:
        raise argparse.ArgumentTypeError(f"{value!r} is not a whole number from 1 to {MOST_ROWS:,}")
    return int(value)


def text(found: list[Item], prices: Prices) -> str:
    """The items for a person."""
    week, month = sum(item.week for item in found), sum(item.idle_month for item in found)
    lines = [f"{'USD':<26}{'a week':>9}{'an idle month':>15}"]
    lines += [f"{item.name:<26}{item.week:>9.2f}{item.idle_month:>15.2f}   {item.explained}" for item in found]
    lines += [
        f"{'together':<26}{week:>9.2f}{month:>15.2f}",
        "",
        f"A month of weekly runs costs {week * costs.WEEKS_A_MONTH:.2f}.",
        f"Prices of {prices.region} as of {prices.as_of}, to within {prices.uncertainty:.0%} (cli/prices.toml).",
        "What is deployed and still costs money: `treering teardown --check`.",
    ]
    return "\n".join(lines)


def _as_json(found: list[Item], prices: Prices) -> dict[str, Any]:
    return {
        "currency": "USD",
        "prices": {"as_of": prices.as_of.isoformat(), "region": prices.region, "uncertainty": prices.uncertainty},
        "week": round(sum(item.week for item in found), 4),
        "idle_month": round(sum(item.idle_month for item in found), 4),
        "items": [
            {
                "name": item.name,
                "explained": item.explained,
                "week": round(item.week, 4),
                "idle_month": round(item.idle_month, 4),
            }
            for item in found
        ],
    }


def _parameters(template: dict[str, Any], environment: str | None, given: list[str]) -> dict[str, str]:
    """Every parameter's value: the template's default, the environment's, what was given. Raises UsageError."""
    known = template.get("Parameters", {})
    found = {name: str(parameter.get("Default", "")) for name, parameter in known.items()}
    for pair in [*_of_environment(environment), *given]:
        name, equals, value = pair.partition("=")
        if not equals or name not in known:
            raise UsageError(f"{pair}: expected NAME=VALUE with one of {', '.join(sorted(known))}.")
        allowed = [str(item) for item in known[name].get("AllowedValues", [])]
        if allowed and value not in allowed:
            raise UsageError(f"{pair}: expected one of {', '.join(allowed)}.")
        if known[name].get("Type") == "Number" and not value.replace(".", "", 1).isdigit():
            raise UsageError(f"{pair}: expected a number.")
        found[name] = value
    return found


def _of_environment(environment: str | None) -> list[str]:
    if environment is None:
        return []
    configuration = tomllib.loads((REPOSITORY / "samconfig.toml").read_text("utf-8"))
    section = configuration["default" if environment == "dev" else environment]
    return str(section["deploy"]["parameters"]["parameter_overrides"]).split()

"""`treering lineage`: where the model in service comes from, back to the raw files and their source."""

import argparse
import json
from collections.abc import Iterator

from cli import options, registry
from cli.application import opened
from cli.errors import FAILURE
from cli.lineage import Walk
from cli.lineage_data import Node

SUMMARY = "walk back from the endpoint to the raw files: each step looked up and compared with the one before"
EPILOG = """\
Endpoint, configuration, model, model package, run with its jobs, dataset version, raw files with hashes, source URL and
time. The exit code is 1 where a step is missing or does not fit. Reads the cloud of `treering up`, else that of a run
under way, else the last run's, which it starts again for a moment.

examples:
  treering lineage                               of what the endpoint in production serves
  treering lineage --verify                      and reads and hashes every file on the way
  treering lineage 3                             of a version in the model registry
  treering lineage --run 20261121-044549-683447d6
  treering lineage --json | jq .problems
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    start = parser.add_mutually_exclusive_group()
    start.add_argument("version", nargs="?", metavar="VERSION", help="number or ARN of a version in the model registry")
    start.add_argument("--endpoint", metavar="NAME", help="another endpoint than the one in production")
    start.add_argument("--run", metavar="ID", help="a run, also one whose model was rejected")
    parser.add_argument("--verify", action="store_true", help="read all files and compare their hashes")
    options.add_json(parser, "the steps")
    options.add_cloud(parser)


def execute(given: argparse.Namespace) -> int:
    """Print the lineage and return the exit code."""
    with opened(given.state, given.cloud) as found:
        walk = Walk(found, verify=given.verify)
        if given.run:
            root = walk.run(given.run)
        elif given.version:
            root = walk.version(registry.find(registry.versions(found), given.version))
        else:
            root = walk.endpoint(given.endpoint)
    problems = [f"{node.what} {node.name} {problem}" for node in root.all() for problem in node.problems]
    if given.json:
        print(json.dumps({"lineage": root.describe(), "verified": given.verify, "problems": problems}, indent=2))
    else:
        print(text(root, verified=given.verify))
    return FAILURE if problems else 0


def text(root: Node, *, verified: bool) -> str:
    """The lineage as a tree."""
    nodes = root.all()
    checks, problems = sum(len(node.checked) for node in nodes), sum(len(node.problems) for node in nodes)
    lines = list(_lines(root, "", ""))
    hashed = "" if verified else "; --verify reads and hashes the files"
    ends = "all fit" if not problems else f"{problems} {'does' if problems == 1 else 'do'} not fit"
    return "\n".join([*lines, "", f"{checks + problems} things were looked up and compared: {ends}{hashed}"])


def _lines(node: Node, first: str, rest: str) -> Iterator[str]:
    facts = ", ".join(f"{name} {value}" for name, value in node.facts.items())
    yield f"{first}{'!' if node.problems else ''}{node.what} {node.name}" + (f"  ({facts})" if facts else "")
    yield from (f"{rest}{'│  ' if node.made_of else '   '}! {problem}" for problem in node.problems)
    for index, child in enumerate(node.made_of):
        last = index == len(node.made_of) - 1
        yield from _lines(child, rest + ("└─ " if last else "├─ "), rest + ("   " if last else "│  "))

"""`treering iam`: what each role may do, what the runs used of it, and what to change."""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

from cli import application, options, permissions, prepare, stack
from cli import cloud as clouds
from cli.display import shown
from cli.errors import CommandError
from cli.permissions import Grant, Permissions
from local_cloud.state_directory import PERMISSIONS_FILE

SUMMARY = "show what each role was granted, what the runs used of it, and what is missing or too much"
EPILOG = """\
Asks the cloud of `treering up`, or else reads what the last run's cloud left behind. Uses are counted over all runs
of that cloud. A permission that a good run does not use needs a reason, which stands in the template, below
Metadata.Treering.Permissions: the role (or managed policy), the statement's Sid, then the reason.

The exit code is 1 where a permission was denied, where one is unused and has no reason, where one is granted on *
though AWS takes an ARN for it, or where a reason stands beside nothing.

examples:
  treering run && treering iam               one run, then what it used
  treering iam --unused                      only what no run has used, with the reasons
  treering iam --json | jq .problems
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--unused", action="store_true", help="show only what no run has used")
    options.add_json(parser, "all of it")
    options.add_cloud(parser)


def execute(given: argparse.Namespace) -> int:
    """Print the permissions and return the exit code."""
    found = read(given.state, given.cloud)
    print(json.dumps(found.describe(), indent=2) if given.json else text(found, only_unused=given.unused))
    return 1 if found.problems else 0


def read(state: Path, folder: Path | None = None) -> Permissions:
    """The permissions in the cloud that is up, else in that of the last run, or in the one that keeps its state there.

    Raises CommandError where there is none.
    """
    up = state.resolve() / "cloud"
    found = up if folder is None and clouds.find(up) else application.last(state, folder)
    cloud = clouds.find(found)
    file = found / PERMISSIONS_FILE
    if cloud is None and not file.is_file():
        raise CommandError(
            f"No use of a permission is known of {shown(found)}.", hint="`treering run`, then `treering iam` again."
        )
    report = cloud.permissions() if cloud else json.loads(file.read_text("utf-8"))
    choice = prepare.last_choice(found)
    name = choice.stack_name if choice else stack.DEFAULT_NAME
    return permissions.of_report(report, name, found, running=cloud is not None)


def text(found: Permissions, *, only_unused: bool = False) -> str:
    """The permissions for a person."""
    lines = [f"Stack {found.stack}, {'the cloud that is up' if found.running else 'last run'}: {shown(found.folder)}"]
    for role, trusts in found.trusts.items():
        grants = [one for one in found.grants if one.role == role and not (only_unused and one.count)]
        if grants:
            lines += ["", f"{role}, for {', '.join(trusts) or 'nobody'}", *_grants(grants)]
    lines.append("")
    if found.problems:
        lines += [f"{len(found.problems)} to look at:", *(f"  {problem}" for problem in found.problems)]
    else:
        lines.append("Nothing was denied; all that is granted was used or has a reason.")
    if found.missing:
        lines += ["", permissions.to_add(list(found.missing))]
    return "\n".join(lines)


def _grants(grants: list[Grant]) -> Iterator[str]:
    before: tuple[str, tuple[str, ...]] | None = None
    for one in grants:
        if (one.statement, one.resources) != before:
            before = one.statement, one.resources
            yield f"  {one.statement}"
            yield from (f"      on {resource}" for resource in one.resources)
            yield from (f"      if {operator} {json.dumps(block)}" for operator, block in one.conditions.items())
        used = f"{one.count:>6} times, last {one.last:%Y-%m-%d %H:%M:%S} UTC" if one.last else ""
        yield f"    {one.action:<40}{used or '  unused  ' + (one.reason or '(no reason is given)')}"

"""`treering models`: the versions in the model registry."""

import argparse
import json
from datetime import datetime
from typing import Any

from cli import options, registry, under_way
from cli.application import opened
from cli.registry import APPROVED, PENDING, ModelVersion

SUMMARY = "show the versions in the model registry: of which run and data, how good, approved or not, in service or not"
EPILOG = """\
A model that the quality gate rejects is not registered. Reads the cloud of `treering up`, else that of a run under
way, else the last run's, which it starts again for a moment.

examples:
  treering models
  treering models --json | jq '.[] | select(.in_service) | .version'
"""
_WORDS = {PENDING: "waits"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    options.add_json(parser, "the versions, the newest first,")
    options.add_cloud(parser)


def execute(given: argparse.Namespace) -> int:
    """Print the versions and return the exit code."""
    with opened(given.state, given.cloud) as found:
        versions, serving = registry.versions(found), registry.in_service(found)
        now = under_way.read(found).model_copy(update={"undecided": []})  # the versions themselves tell that
    if given.json:
        print(json.dumps([describe(one, serving) for one in versions], indent=2))
    else:
        print("\n".join([text(versions, serving), *now.lines()]))
    return 0


def describe(version: ModelVersion, serving: int | None) -> dict[str, Any]:
    """A version as JSON."""
    return version.describe() | {
        "run_id": version.run_id,
        "dataset_version": version.metadata.get("dataset_version"),
        "error": version.error,
        "in_service": version.version == serving,
    }


def text(versions: list[ModelVersion], serving: int | None) -> str:
    """The versions for a person, the newest first."""
    if not versions:
        return "The model registry has no version yet: the first model that passes the quality gate is version 1."
    lines = [f"{'version':>7}  {'run':<26}{'dataset version':<18}{'error':>7}  {'approval':<10}{'when':<18}"]
    for one in versions:
        error = "-" if one.error is None else f"{one.error:.4f}"
        approval = _WORDS.get(one.status, one.status.lower())
        data = one.metadata.get("dataset_version", "-")
        line = f"{one.version:>7}  {one.run_id:<26}{data:<18}{error:>7}  {approval:<10}"
        notes = ["in service"] if one.version == serving else []
        notes += [f'"{one.comment}"'] if one.comment else []
        lines.append(f"{line}{_minute(one.decided_at or one.created_at):<18}{', '.join(notes)}".rstrip())
    undecided = ", ".join(str(one.version) for one in versions if one.status == PENDING)
    if undecided:
        lines += ["", f"Not decided: {undecided}. `treering approve VERSION` or `treering reject VERSION` decides."]
    elif serving is None and any(one.status == APPROVED for one in versions):
        lines += ["", "None is in service. `treering rollout VERSION` puts one there."]
    return "\n".join(lines)


def _minute(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M}"

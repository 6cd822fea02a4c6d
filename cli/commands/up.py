"""`treering up`: the local cloud as a process that stays, with the application deployed and the weekly rule armed."""

import argparse
import json

from cli import cloud as clouds
from cli import options, prepare
from cli.display import board
from cli.lock import only_one
from cli.prepare import Ready
from cli.stack import weekly_rule
from cli.weekly_run import next_firing

SUMMARY = "start a local cloud that stays, with the weekly rule armed"
EPILOG = """\
The cloud answers AWS's API on a port of this machine until `treering down`; what it needs to be talked to is printed.
A second `treering up` updates the deployment in the cloud that is up; after `treering down`, or after the cloud was
killed, it starts it again with all that it had.

Its clock goes as fast as yours. So an update of the endpoint bakes for the template's TrafficWaitSeconds, ten minutes:
`treering status` says for how long still, and how not to wait; --advance-clock of `treering run` and the like does it.

examples:
  treering up                                    start, deploy, arm the weekly rule
  treering up --parameter Schedule='rate(1 hour)'
  eval "$(treering up --exports)"                the same, and let this shell's aws, boto3, … talk to it
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    options.add_deployment(parser)
    shape = parser.add_mutually_exclusive_group()
    options.add_json(shape, "endpoint and credentials")
    shape.add_argument("--exports", action="store_true", help="print the export lines alone; progress goes to stderr")
    options.add_state(parser)


def execute(given: argparse.Namespace) -> int:
    """Start or update the cloud, print how to reach it, and return the exit code."""
    settings = options.settings(given)
    with only_one(settings.up_folder, "treering up"), board(to_stderr=given.json or given.exports) as shown:
        if clouds.find(settings.up_folder) is not None:
            shown.note("The local cloud is up already; updating the deployment.")
        elif gone := clouds.killed(settings.up_folder):
            shown.note(f"{gone}; starting it again with all that it had.")
        ready = prepare.prepare(settings.up_folder, settings, shown)
    if given.json:
        print(json.dumps(describe(ready), indent=2))
    elif given.exports:
        print("\n".join(exports(ready)))
    else:
        print(_text(ready))
    return 0


def exports(ready: Ready) -> list[str]:
    """Shell lines after which the AWS command line and SDKs talk to the cloud."""
    return [f"export {name}={value}" for name, value in ready.cloud.environment().items()]


def describe(ready: Ready) -> dict[str, object]:
    """All that a script needs to talk to the cloud and the application in it."""
    rule = weekly_rule(ready.cloud, ready.stack)
    return {
        **ready.cloud.describe(),
        "environment": ready.cloud.environment(),
        "stack": {"name": ready.stack.name, "status": ready.stack.status, "outputs": dict(ready.stack.outputs)},
        "data_source": ready.source.name,
        "rule": {"name": rule.name, "schedule": rule.schedule, "enabled": rule.enabled},
    }


def _text(ready: Ready) -> str:
    rule = weekly_rule(ready.cloud, ready.stack)
    armed = (
        f"the next time {next_firing(rule, ready.cloud.now()):%a %Y-%m-%d %H:%M} UTC" if rule.enabled else "disabled"
    )
    return "\n".join(
        [
            "",
            f"The local cloud answers at {ready.cloud.endpoint} (region {ready.cloud.region}) until `treering down`.",
            f"The weekly rule {rule.name} wakes up at {rule.schedule}: {armed}.",
            "",
            *exports(ready),
            "",
            "Then, for example:",
            f"  aws events describe-rule --name {rule.name}",
            f"  aws stepfunctions list-executions --state-machine-arn {ready.stack.state_machine}",
            f"  aws s3 ls --recursive s3://{ready.stack.bucket}/",
            f"  aws sagemaker describe-endpoint --endpoint-name {ready.stack.endpoint}",
            "  treering run                 fire the weekly rule now",
            "  treering predict rows.csv    ask the endpoint, once a run has finished",
            "  treering down                end it",
        ]
    )

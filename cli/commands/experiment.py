"""`treering experiment`: a challenger beside the champion, on real traffic, until the numbers say which is better."""

import argparse
import json
import sys
from datetime import UTC, datetime

from cli import executions, experiments, failures, options, registry, render, rollouts
from cli.application import Application, application
from cli.commands import rollout
from cli.display import board, step
from cli.errors import FAILURE, CommandError, Interrupted, UsageError
from cli.experiments import Experiment
from treering.steps.experiment_plan import Plan

SUMMARY = "try an approved version on real traffic beside the one in service, and promote or drop it"
EPILOG = """\
A challenger answers a share of the requests (A/B test); a shadow gets a copy of each and answers nobody. Either is
tested in staging first, as a rollout is, and meets no caller if it fails there. Begin with a shadow: it harms no
caller. Requests and answers of both go to captures/ in the data bucket. `treering predict --caller KEY` keeps a caller
with one variant. The report compares errors on rows whose truth is known by now, and says when to stop. A rollout, the
weekly run's too, ends an experiment: it would compare with another champion. Needs `treering up`.

examples:
  treering experiment start 4 --shadow
  treering experiment start 4 --weight 0.2
  treering experiment report
  treering experiment report --effect 0.1 --json | jq .sentence
  treering experiment promote
  treering experiment drop
"""
_ACTIONS = {
    "start": "test a version in staging, then put it beside the one in service",
    "report": "compare the two, and say whether to stop",
    "promote": "end the experiment and roll the challenger out, in staging first",
    "drop": "end the experiment; the champion serves alone",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    actions = parser.add_subparsers(title="actions", dest="action", metavar="ACTION", required=True)
    parsers = {
        name: actions.add_parser(name, help=does, description=f"{does[0].upper()}{does[1:]}.")
        for name, does in _ACTIONS.items()
    }
    parsers["start"].add_argument(
        "version", metavar="VERSION", help="number of an approved version, ID of the run that made it, or its ARN"
    )
    kind = parsers["start"].add_mutually_exclusive_group()
    kind.add_argument(
        "--weight", type=float, default=0.1, metavar="SHARE", help="share of the requests it answers (default: 0.1)"
    )
    kind.add_argument("--shadow", action="store_true", help="it gets a copy of each request and answers nobody")
    plan = Plan()
    for name, default, what in (
        ("effect", plan.effect, "smallest difference worth seeing, as a share of the champion's error"),
        ("power", plan.power, "chance to see it if it is there"),
        ("confidence", plan.confidence, "of the difference's interval"),
    ):
        parsers["report"].add_argument(
            f"--{name}", type=float, default=default, metavar="SHARE", help=f"{what} (default: %(default)s)"
        )
    options.add_advance_clock(parsers["promote"])
    for name, action in parsers.items():
        options.add_json(action, "the report" if name in ("report", "promote") else "what is on")
        options.add_state(action)


def execute(given: argparse.Namespace) -> int:
    """Do it, print what came of it, and return the exit code."""
    return {"start": _start, "report": _report, "promote": _promote, "drop": _drop}[given.action](given)


def _start(given: argparse.Namespace) -> int:
    weight = None if given.shadow else _share(given.weight, "--weight")
    found = application(given.state)
    version = registry.find(registry.versions(found), given.version)
    experiments.require_startable(found, version)
    try:
        with board(to_stderr=given.json) as shown:
            with step(shown, "Staging") as say:
                arn = rollouts.start(found, version, "staging", datetime.now(UTC))
                say(f"version {version.version} is tested there first: {arn.rpartition(':')[2]}")
            tested = executions.follow(found.cloud, arn, shown)
            if tested.status != "succeeded":
                said = render.failure(failures.of_execution(found.cloud, tested))
                sys.stderr.write(
                    f"\nVersion {version.version} did not pass in staging, so it meets no caller.\n\n{said}\n"
                )
                return FAILURE
            with step(shown, "Start") as say:
                begun = experiments.start(found, version, weight)
                say(f"version {version.version} beside version {begun.champion.version}: {begun.name}")
    except Interrupted:
        sys.stderr.write("Interrupted. What SageMaker has begun goes on; `treering status` shows it.\n")
        raise
    if given.json:
        print(json.dumps(_described(begun) | {"staging_execution": arn}, indent=2))
    return 0


def _report(given: argparse.Namespace) -> int:
    from cli import experiment_report  # here, since NumPy takes a while and only the report needs it

    plan = Plan(*(_share(getattr(given, name), f"--{name}") for name in ("effect", "power", "confidence")))
    found = application(given.state)
    with experiments.explained():
        report = experiment_report.collect(found, experiments.on(found), plan)
    print(report.model_dump_json(indent=2) if given.json else experiment_report.text(report))
    return 0


def _promote(given: argparse.Namespace) -> int:
    """The rollout's guardrails need the same variants before and after, so the champion serves alone in between."""
    found = application(given.state)
    challenger = experiments.on(found).challenger
    _end(given, found)
    return rollout.roll_out(given, found, challenger, "rollout")


def _drop(given: argparse.Namespace) -> int:
    found = application(given.state)
    dropped = experiments.on(found)
    _end(given, found)
    if given.json:
        print(json.dumps(_described(dropped) | {"dropped": True}, indent=2))
    return 0


def _end(given: argparse.Namespace, found: Application) -> None:
    rollouts.require_none(found)
    with board(to_stderr=given.json) as shown, step(shown, "End") as say:
        ended = experiments.end(found)
        if ended is None:
            raise CommandError("The experiment has just been ended by somebody else.")
        say(f"{ended.champion_config_name} serves alone again")


def _described(experiment: Experiment) -> dict[str, object]:
    return {
        "experiment": experiment.name,
        "kind": experiment.trial.variant,
        "champion": experiment.champion.version,
        "challenger": experiment.challenger.version,
        "weight": experiment.trial.weight,
        "captures": experiment.trial.capture_uri,
    }


def _share(value: float, option: str) -> float:
    if not 0 < value < 1:
        raise UsageError(f"{option} {value}: expected a share above 0 and below 1, such as 0.1.")
    return value

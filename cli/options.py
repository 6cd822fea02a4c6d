"""Options that several commands share, and what they mean."""

import argparse
import re
from pathlib import Path

from cli.cloud import REPOSITORY
from cli.errors import UsageError
from cli.prepare import USE_CASE, Settings
from cli.source import check
from cli.stack import DEFAULT_NAME
from local_cloud.template_file import TemplateError, read_template
from treering.errors import ConfigurationError

STATE = Path(".treering")
# https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CreateStack.html
_STACK_NAME = re.compile("[a-zA-Z][-a-zA-Z0-9]{0,127}")


def add_state(parser: argparse.ArgumentParser) -> None:
    """`--state`."""
    parser.add_argument(
        "--state",
        type=_folder,
        default=STATE,
        metavar="DIR",
        help="folder that keeps everything local (default: .treering)",
    )


def _folder(text: str) -> Path:
    if not text:
        raise argparse.ArgumentTypeError("expected a folder, got an empty text")
    return Path(text)


def add_cloud(parser: argparse.ArgumentParser, *, last: bool = True) -> None:
    """`--state` and `--cloud`, for commands that find the cloud themselves; with `last` also one that has ended."""
    add_state(parser)
    parser.add_argument(
        "--cloud",
        type=Path,
        metavar="DIR",
        help="folder of one cloud, such as one of .treering/runs (default: that of `treering up`, else of a run under "
        f"way{', else of the last run' if last else ''})",
    )


def add_advance_clock(parser: argparse.ArgumentParser) -> None:
    """`--advance-clock`."""
    parser.add_argument(
        "--advance-clock",
        action="store_true",
        help="in the cloud of `treering up`: while the endpoint's update bakes (TrafficWaitSeconds), move the cloud's "
        "clock on instead of waiting; what else is due by then happens, too",
    )


def add_json(parser: argparse.ArgumentParser | argparse._MutuallyExclusiveGroup, what: str) -> None:
    """`--json`."""
    parser.add_argument("--json", action="store_true", help=f"print {what} as JSON on stdout; progress goes to stderr")


def add_deployment(parser: argparse.ArgumentParser) -> None:
    """What decides which application is deployed, and what it reads."""
    parser.add_argument(
        "--source",
        metavar="SOURCE",
        help="where the data come from: 'ames' (public data, the default), 'kaggle' (your Kaggle credentials), or a "
        "folder or zip with the competition's files",
    )
    parser.add_argument(
        "--parameter",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a parameter of the template, such as Schedule or DataSourceBaseUrl; may be given several times",
    )
    parser.add_argument(
        "--template", type=Path, default=REPOSITORY / "template.yaml", metavar="FILE", help="SAM template to deploy"
    )
    parser.add_argument(
        "--stack-name", default=DEFAULT_NAME, metavar="NAME", help="name of the stack (default: %(default)s)"
    )
    parser.add_argument(
        "--containers",
        action="store_true",
        help="run functions, jobs and endpoint in real containers, of images that Docker or Podman builds from the "
        "Dockerfiles",
    )


def settings(options: argparse.Namespace) -> Settings:
    """The settings in the parsed options. Raises UsageError."""
    parameters: dict[str, str] = {}
    for given in options.parameter:
        name, equals, value = given.partition("=")
        if not equals or not name.isalnum():
            raise UsageError(f"--parameter {given}: expected NAME=VALUE, such as ScheduleState=DISABLED.")
        parameters[name] = value
    if not options.template.is_file():
        raise UsageError(f"--template {options.template}: there is no such file.")
    try:
        known = read_template(options.template).get("Parameters") or {}
    except TemplateError as error:
        raise UsageError(f"--template {options.template}: {error}") from error
    if unknown := sorted(parameters.keys() - known.keys()):
        raise UsageError(f"--parameter: the template has no {', '.join(unknown)}; it has {', '.join(sorted(known))}.")
    if USE_CASE in parameters:
        from treering import use_case  # here, since most commands that share these options need none

        try:
            use_case.load(parameters[USE_CASE])
        except ConfigurationError as error:
            raise UsageError(f"--parameter {USE_CASE}={parameters[USE_CASE]}: {error}") from error
    if not _STACK_NAME.fullmatch(options.stack_name):
        raise UsageError(
            f"--stack-name {options.stack_name!r}: expected a letter, then letters, digits and hyphens, 128 at most."
        )
    return Settings(
        state=options.state.resolve(),
        template=options.template.resolve(),
        stack_name=options.stack_name,
        source=check(options.source) if options.source is not None else None,
        parameters=parameters,
        containers=options.containers,
    )

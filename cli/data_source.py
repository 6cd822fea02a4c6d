"""The process that serves the data source of a local cloud: `python -m cli.data_source`, started by `cli.source`.

It is a process of its own so that it lives exactly as long as the cloud: it ends when the cloud's process does.
Its time is the cloud's, so that a moved clock moves the data.
"""

import argparse
import json
import os
import select
import signal
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from cli import cloud as clouds
from local_cloud.kaggle import Feed, FeedDescription, FeedError, FolderFeed, KaggleServer, RdatasetsFeed
from treering import use_case
from treering.errors import ConfigurationError

READY_FILE = "source.json"


def main(arguments: list[str] | None = None) -> int:
    """Serve until the cloud ends or SIGTERM arrives. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m cli.data_source", description=__doc__)
    parser.add_argument("--cloud", type=Path, required=True, help="state folder of the cloud")
    parser.add_argument("--cloud-pid", type=int, required=True, help="process that the cloud is")
    parser.add_argument("--use-case", required=True)
    parser.add_argument("--source", required=True, help="'ames', or a folder or zip with the competition's files")
    parser.add_argument("--by-date", action="store_true", help="serve only the rows known by the cloud's time")
    parser.add_argument("--cache", type=Path, required=True, help="folder that speeds up the next start")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        case = use_case.load(options.use_case)
        feed = make_feed(case, options.source, by_date=options.by_date, cache=options.cache)
        server = KaggleServer(case.source.competition, feed, _clock(options.cloud)).start()
    except (FeedError, ConfigurationError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    days = getattr(feed, "days", ())
    ready = {
        "pid": os.getpid(),
        "source": options.source,
        "by_date": options.by_date,
        "base_url": server.base_url,
        "username": server.username,
        "key": server.key,
        "api_token": server.token,
        "last_day": days[-1].isoformat() if days else None,
    }
    file = options.cloud / READY_FILE
    unfinished = file.with_suffix(".tmp")
    unfinished.write_text(json.dumps(ready), "utf-8")
    unfinished.chmod(0o600)
    unfinished.replace(file)
    _wait_for_end_of(options.cloud_pid)
    server.close()
    return 0


def make_feed(case: use_case.UseCase, source: str, *, by_date: bool, cache: Path) -> Feed:
    """The feed of a source. Raises FeedError for one that cannot be served."""
    description = None
    if case.feed is not None:
        description = FeedDescription(
            package=case.feed.package,
            dataset=case.feed.dataset,
            key=case.columns.key,
            target=case.target.column,
            labelled_file=case.source.labelled_file,
            year_column=case.feed.year_column,
            month_column=case.feed.month_column,
            unlabelled_share=case.feed.unlabelled_share,
            rename=case.feed.rename,
            drop=case.feed.drop,
        )
    if source != "ames":
        return FolderFeed(Path(source), by_date=by_date and description is not None, description=description)
    if description is None:
        raise FeedError(f"The use case {case.name} names no public data set ([feed]); give --source a folder or zip.")
    return RdatasetsFeed(description, cache=cache)


def _clock(folder: Path) -> Callable[[], datetime]:
    """The cloud's time, asked of the cloud at each call; real time until the cloud answers."""

    def now() -> datetime:
        cloud = clouds.load(folder)
        return cloud.now() if cloud else datetime.now(UTC)

    return now


def _wait_for_end_of(pid: int) -> None:
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    except OSError:  # no pidfd here: look now and then
        while clouds.alive(pid):
            time.sleep(0.5)
        return
    select.select([process], [], [])


if __name__ == "__main__":
    sys.exit(main())

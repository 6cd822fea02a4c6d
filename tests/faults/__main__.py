"""`make faults`: plays every scenario and prints a table; exit code 1 where any was not as expected."""

import argparse
import logging
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from tests.faults import document, table
from tests.faults.runner import play_all
from tests.faults.scenarios import ALL


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit code: 0 as expected, 1 not, 2 for arguments that choose nothing, 130 after Ctrl-C."""
    options = _parser().parse_args(arguments)
    chosen = [s for s in ALL if not options.names or any(part in s.name for part in options.names)]
    if options.list:
        _say("\n".join(f"{s.name:32} {s.where}: {s.fault}" for s in chosen))
        return 0
    if not chosen:
        sys.stderr.write(f"No scenario is named {' or '.join(options.names)}. --list shows all.\n")
        return 2
    logging.getLogger("botocore").setLevel(logging.ERROR)
    started = time.monotonic()
    try:
        results = play_all(chosen, options.workers, _report, options.keep)
    except KeyboardInterrupt:
        _report("Interrupted. The clouds have ended; nothing is left running.")
        return 128 + signal.SIGINT
    _say(table.as_text(results))
    differ = sum(not result.ok for result in results)
    _say(f"\n{len(results)} faults in {time.monotonic() - started:.0f} s, {differ or 'none'} not as expected")
    for difference in table.differences(results):
        _say(f"  {difference}")
    if options.json:
        options.json.write_text(table.as_json(results), "utf-8")
    if options.markdown:
        options.markdown.write_text(table.as_markdown(results), "utf-8")
    if options.document:
        document.write(results, datetime.now(UTC).date())
    return 1 if differ else 0


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def _report(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make faults", description="Make things go wrong and see what comes of it.")
    parser.add_argument("-k", dest="names", action="append", default=[], metavar="NAME", help="only names with this")
    parser.add_argument("--list", action="store_true", help="list the scenarios, play none")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results as JSON")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table as Markdown")
    parser.add_argument("--document", action="store_true", help="write the table into docs/faults.md")
    parser.add_argument("--workers", type=int, default=3, metavar="N", help="scenarios at the same time (default 3)")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep the clouds' state and logs there")
    return parser


if __name__ == "__main__":
    sys.exit(main())

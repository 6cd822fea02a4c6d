"""One ingestion through the application's own code, measured: `split`, `check` (validate and split), or `whole`.

    python -m tests.benchmarks.ingest_once WHAT TABLE-OR-ZIP FOLDER

`whole` is what the function does with a download: unpack, validate, split, store, start; a folder stands for the
bucket, and the zip lies on the disk already. The use case's limit is raised to the most that any may have.
"""

import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path

from tests.benchmarks.folder_bucket import Executions, Folder
from tests.benchmarks.peers.usage import report
from treering import use_case
from treering.clock import Deadline
from treering.contracts import ScheduledEvent
from treering.kaggle import Download
from treering.steps.hashing import sha256_of
from treering.steps.ingestion import Ingestion
from treering.steps.splitting import write_splits
from treering.steps.validation import validate

_HOUSES = use_case.load("house_prices")
CASE = _HOUSES.model_copy(
    update={"source": _HOUSES.source.model_copy(update={"maximum_megabytes": use_case.LARGEST_DOWNLOAD})}
)


class OnDisk:
    """A data source whose zip was downloaded before."""

    def __init__(self, archive: Path) -> None:
        self._archive = archive

    def download(self, competition: str, target: Path, maximum_bytes: int, deadline: Deadline) -> Download:
        """Copy it."""
        shutil.copyfile(self._archive, target)
        return Download(f"file:{competition}", target.stat().st_size, sha256_of(target))


def main() -> None:
    """Do it, and report."""
    what, source, folder = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    if what == "whole":
        result = Ingestion(
            use_case=CASE,
            competition=CASE.source.competition,
            source=OnDisk(source),
            bucket=Folder(folder / "bucket"),
            executions=Executions(),
            workspace=folder / "ingest",
            retrain_on_unchanged_data=True,
        ).run(ScheduledEvent(id="benchmark", time=datetime.now(UTC)), Deadline.after(900))
        report(message=result.message)
        return
    if what == "check":
        validate(CASE, dict.fromkeys(CASE.source.files, source))
    splits = write_splits(source, CASE, folder)
    report(rows={name: split.rows for name, split in splits.items()})


if __name__ == "__main__":
    main()

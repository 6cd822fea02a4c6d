"""A small use case and its data, which tests of ingestion bend until something breaks."""

import csv
import functools
import gc
import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass

import botocore.session
import pytest

from treering import use_case
from treering.use_case import Columns, Source, SplitRule, Target, UseCase

Row = dict[str, str]

gc.disable()  # until all tests are collected: what is imported stays
# All sessions share what they read of AWS's services: many a test has one of its own, and SageMaker's alone takes
# longer to read than such a test to run.
botocore.session.create_loader = functools.cache(botocore.session.create_loader)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest: at the end, it would keep one process waiting and the others idle."""
    items.sort(key=lambda item: [item.get_closest_marker(name) is None for name in ("longest", "slow")])


def pytest_collection_finish() -> None:
    """From now on there is garbage."""
    gc.freeze()
    gc.enable()


@dataclass(frozen=True)
class Flats:
    """Rents of flats: five columns, of each type one. Everything not said here is as in the house prices."""

    use_case: UseCase

    def rows(self, count: int) -> list[Row]:
        """That many valid rows."""
        return [
            {
                "id": f"flat-{i}",
                "rooms": str(1 + i % 5),
                "area": "" if i % 7 == 0 else f"{30 + i % 70}.5",
                "district": "NA" if i % 11 == 0 else "north, by the river" if i % 2 else "south",
                "rent": str(400 + 7 * (i % 90)),
            }
            for i in range(count)
        ]

    def table(self, rows: list[Row], columns: list[str] | None = None) -> bytes:
        """The rows as CSV."""
        text = io.StringIO()
        writer = csv.DictWriter(text, columns or list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        return text.getvalue().encode()

    def files(self, count: int) -> dict[str, bytes]:
        """All files of the download, with that many labelled rows."""
        return {"flats.csv": self.table(self.rows(count)), "readme.txt": b"Rents, per month.\n"}


@pytest.fixture(scope="session")
def flats() -> Flats:
    """The use case `flats`."""
    houses = use_case.load("house_prices")
    source = Source(
        competition="rents-of-flats", labelled_file="flats.csv", files=("flats.csv", "readme.txt"), maximum_megabytes=2
    )
    columns = Columns(key="id", integer=("rooms",), number=("area",), category=("district",), minimum_rows=20)
    return Flats(
        houses.model_copy(
            update={
                "name": "flats",
                "source": source,
                "split": SplitRule(salt="flats-1", shares={"train": 0.7, "validation": 0.15, "test": 0.15}),
                "target": Target(column="rent", unit="EUR", log_scale=True),
                "columns": columns,
            }
        )
    )


def zipped(files: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip of the files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@pytest.fixture(name="zipped", scope="session")
def zipped_fixture() -> object:
    """The function `zipped`: files → bytes of a zip."""
    return zipped

"""The suite of faults itself: every scenario can be told, and the checker sees what it is there to see."""

import hashlib
import io
import tarfile
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from tests.faults import document
from tests.faults.bucket import Bucket
from tests.faults.checker import told_once
from tests.faults.houses import CASE, Table, encrypted, zipped
from tests.faults.people import Message
from tests.faults.runner import Result
from tests.faults.scenarios import ALL
from tests.faults.table import as_markdown, as_text, differences
from treering.contracts import DatasetManifest, FileRecord
from treering.errors import DownloadError
from treering.steps.archive import unpack
from treering.steps.validation import validate

VERSION = "0123456789abcdef"


def test_every_scenario_has_a_name_of_its_own_and_says_what_is_expected() -> None:
    """The table has no empty cell, and -k can choose each scenario."""
    names = [scenario.name for scenario in ALL]

    assert len(set(names)) == len(names)
    for scenario in ALL:
        assert all((scenario.group, scenario.fault, scenario.where, scenario.expected)), scenario.name


def test_the_good_data_are_good(tmp_path: Path) -> None:
    """What scenarios start from fits the use case; each week is another."""
    for name, content in Table.make(1).files().items():
        (tmp_path / name).write_bytes(content)

    assert validate(CASE, {path.name: path for path in tmp_path.iterdir()}).rows == 200
    assert Table.make(1) == Table.make(1)
    assert Table.make(1) != Table.make(2)


def test_an_archive_can_say_that_it_is_encrypted(tmp_path: Path) -> None:
    """Both headers of each member say so; without that, the same archive is read."""
    files = Table.make().files()
    good, bad = tmp_path / "good.zip", tmp_path / "bad.zip"
    good.write_bytes(zipped(files))
    bad.write_bytes(encrypted(files))

    assert set(unpack(good, CASE.source.files, tmp_path / "out", 10**7)) == set(files)
    with pytest.raises(DownloadError, match="encrypted"):
        unpack(bad, CASE.source.files, tmp_path / "out", 10**7)


def test_a_difference_is_seen_in_every_form_of_the_table(tmp_path: Path) -> None:
    """Text, Markdown and the page show what was different, and count it."""
    results = [Result(ALL[0], "ok", 1.0), Result(ALL[-1], "the endpoint | is gone", 2.0)]
    page = tmp_path / "faults.md"
    page.write_text(f"# Faults\n\n{document.HEADING}\nan older table\n")
    document.write(results, date(2026, 1, 1), page)

    assert "is gone" in as_text(results)
    assert "the endpoint \\| is gone" in as_markdown(results)
    assert page.read_text().startswith("# Faults\n")
    assert "2 faults on 2026-01-01, 1 with another outcome" in page.read_text()
    assert "an older table" not in page.read_text()


def test_what_differs_is_told_once_for_those_that_share_it() -> None:
    """With the name of the first, so that it can be played alone."""
    seen = ["ok", "no model", "no model", "no answer"]
    told = differences([Result(scenario, text, 1.0) for scenario, text in zip(ALL, seen, strict=False)])

    assert told == [f"{ALL[1].name} and 1 more: no model", f"{ALL[3].name}: no answer"]


@pytest.mark.parametrize("read", [[], ["failed", "failed"], ["failed", "succeeded"], ["succeeded"]])
def test_people_who_were_not_told_once_are_noticed(read: list[str]) -> None:
    """Nothing, twice, or something else is a difference."""
    messages = [Message("subject", {"outcome": outcome}) for outcome in read]

    assert list(told_once(messages, "failed"))
    assert not list(told_once([Message("subject", {"outcome": "failed"})], "failed"))


class Bench:
    """A bucket with one dataset version that is whole, as the checker needs a bench."""

    def __init__(self) -> None:
        self.outputs = {"DataBucketName": "data"}
        self._s3: Any = boto3.client("s3", region_name="us-east-1")
        self._s3.create_bucket(Bucket="data")
        self.add(VERSION)

    def client(self, _service: str) -> Any:
        """S3, whatever is asked for."""
        return self._s3

    def put(self, key: str, content: bytes) -> None:
        """Write an object."""
        self._s3.put_object(Bucket="data", Key=key, Body=content)

    def remove(self, key: str) -> None:
        """Delete an object."""
        self._s3.delete_object(Bucket="data", Key=key)

    def add(self, version: str) -> None:
        """Write a dataset version of one row."""
        splits = {name: f"datasets/d/{version}/{name}.csv" for name in ("train", "validation", "test")}
        for key in splits.values():
            self.put(key, b"a\n1\n")
        digest = hashlib.sha256(b"a\n1\n").hexdigest()
        manifest = DatasetManifest(
            dataset="d",
            version=version,
            use_case="u",
            source="https://example.com",
            competition="c",
            scheduled_at=datetime(2026, 1, 1, tzinfo=UTC),
            downloaded_at=datetime(2026, 1, 1, tzinfo=UTC),
            rows=dict.fromkeys(splits, 1),
            columns=(),
            split_salt="s",
            split_shares=dict.fromkeys(splits, 0.3),
            raw=(FileRecord(key=splits["train"], bytes=4, sha256=digest),),
            splits={name: FileRecord(key=key, bytes=4, sha256=digest, rows=1) for name, key in splits.items()},
        )
        self.put(f"datasets/d/{version}/manifest.json", manifest.to_json().encode())


@pytest.fixture
def bench() -> Iterator[Bench]:
    """The bench, in an S3 of its own."""
    with mock_aws():
        yield Bench()


def _half_an_archive() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        info = tarfile.TarInfo("model")
        info.size = 100_000
        archive.addfile(info, io.BytesIO(bytes(range(256)) * 400))
    return buffer.getvalue()[:-200]


BROKEN: dict[str, tuple[Callable[[Bench], None], str]] = {
    "a file is gone": (lambda bench: bench.remove(f"datasets/d/{VERSION}/test.csv"), "which is not there"),
    "a file is another": (lambda bench: bench.put(f"datasets/d/{VERSION}/test.csv", b"a\n2\n"), "is not the file"),
    "a file is shorter": (lambda bench: bench.put(f"datasets/d/{VERSION}/test.csv", b"a"), "1 bytes"),
    "half a manifest": (lambda bench: bench.put("datasets/d/fedcba9876543210/manifest.json", b'{"data'), "cannot be"),
    "half a result": (lambda bench: bench.put("runs/r/preprocess/result.json", b"{}"), "cannot be read"),
    "half an archive": (lambda bench: bench.put("runs/r/train/j/output/model.tar.gz", _half_an_archive()), "cannot be"),
    "twice the same": (lambda bench: bench.add("fedcba9876543210"), "have the same content"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_what_is_not_whole_is_seen(bench: Bench, what: str) -> None:
    """The whole bucket has no problem; each way of breaking it is told, also after it was once found in order."""
    bucket = Bucket(bench)  # type: ignore[arg-type]
    before = list(bucket.problems())
    break_it, said = BROKEN[what]
    break_it(bench)

    assert not before
    assert any(said in problem for problem in bucket.problems())

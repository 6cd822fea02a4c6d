"""Looking up where a model comes from: what is compared, and what is said of what does not fit."""

import hashlib
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cli.application import Application
from cli.commands import lineage
from cli.errors import UsageError
from cli.lineage import Walk
from cli.lineage_data import DataWalk, Node
from tests.fakes.application import BUCKET, WEEKLY, FakeCloud, application
from treering import keys, names, use_case
from treering.contracts import DatasetManifest, FileRecord
from treering.steps.hashing import dataset_version

AT = datetime(2026, 11, 23, 6, tzinfo=UTC)
CASE = use_case.load("house_prices")
RAW = {name: f"content of {name}".encode() for name in CASE.source.files}
SPLITS: dict[keys.Split, bytes] = {name: f"rows for {name}".encode() for name in keys.SPLITS}
VERSION = dataset_version(CASE, {name: hashlib.sha256(content).hexdigest() for name, content in RAW.items()})
MANIFEST_URI = keys.uri(BUCKET, keys.manifest_key(CASE.dataset, VERSION))


def record(key: str, content: bytes) -> FileRecord:
    """A file as the manifest describes it."""
    return FileRecord(key=key, bytes=len(content), sha256=hashlib.sha256(content).hexdigest())


@pytest.fixture
def found(tmp_path: Path) -> Application:
    """A bucket with a whole dataset version."""
    built = application(tmp_path)
    assert isinstance(built.cloud, FakeCloud)
    objects = built.cloud.s3.objects
    objects |= {keys.raw_prefix(CASE.dataset, VERSION) + name: content for name, content in RAW.items()}
    objects |= {keys.split_key(CASE.dataset, VERSION, name): content for name, content in SPLITS.items()}
    manifest = DatasetManifest(
        dataset=CASE.dataset,
        version=VERSION,
        use_case=CASE.name,
        source="https://example.com/download",
        competition="flats",
        scheduled_at=AT,
        downloaded_at=AT,
        rows=dict.fromkeys(keys.SPLITS, 10),
        columns=(),
        split_salt=CASE.split.salt,
        split_shares=CASE.split.shares,
        raw=tuple(record(keys.raw_prefix(CASE.dataset, VERSION) + name, content) for name, content in RAW.items()),
        splits={n: record(keys.split_key(CASE.dataset, VERSION, n), content) for n, content in SPLITS.items()},
    )
    objects[keys.manifest_key(CASE.dataset, VERSION)] = manifest.to_json().encode()
    return built


def objects_of(found: Application) -> dict[str, bytes]:
    """The bucket's content."""
    assert isinstance(found.cloud, FakeCloud)
    return found.cloud.s3.objects


def problems(node: Node) -> list[str]:
    """All that do not fit."""
    return [problem for one in node.all() for problem in one.problems]


def test_a_whole_dataset_version_fits_down_to_its_hashes(found: Application) -> None:
    """Manifest, splits, raw files and source are there; the version is the hash of its raw files."""
    node = DataWalk(found, verify=True).dataset(VERSION, MANIFEST_URI)

    assert problems(node) == []
    assert [child.what for child in node.made_of] == ["split"] * 3 + ["raw file"] * len(RAW) + ["source"]
    assert "it is the hash of its raw files" in node.checked
    assert node.made_of[-1].name == "https://example.com/download"


def test_without_verify_no_file_is_read(found: Application) -> None:
    """Size and presence are compared, content is not: that is said, and costs no download."""
    key = keys.split_key(CASE.dataset, VERSION, "train")
    objects_of(found)[key] = bytes(len(SPLITS["train"]))

    assert problems(DataWalk(found, verify=False).dataset(VERSION, MANIFEST_URI)) == []
    [problem] = problems(DataWalk(found, verify=True).dataset(VERSION, MANIFEST_URI))
    assert problem.startswith("has the SHA-256")


def test_missing_and_cut_files_are_found(found: Application) -> None:
    """A raw file that is gone, and a split that is shorter than its manifest says."""
    objects = objects_of(found)
    del objects[keys.raw_prefix(CASE.dataset, VERSION) + CASE.source.files[0]]
    objects[keys.split_key(CASE.dataset, VERSION, "test")] = b"x"

    node = DataWalk(found, verify=False).dataset(VERSION, MANIFEST_URI)

    assert problems(node) == [f"has 1 bytes, not {len(SPLITS['test'])}", "is not there"]


def test_a_manifest_of_another_version_or_none_at_all_is_said(found: Application) -> None:
    """The version that the execution names and the one that the manifest names must be the same."""
    other = DataWalk(found, verify=True).dataset("0" * 16, MANIFEST_URI)
    none = DataWalk(found, verify=True).dataset(VERSION, keys.uri(BUCKET, "nowhere/manifest.json"))

    assert f"its manifest is of version {VERSION}" in problems(other)
    assert f"the hash of its raw files is {VERSION}" in problems(other)
    assert problems(none) == [f"its manifest s3://{BUCKET}/nowhere/manifest.json is not there"]


def test_a_run_is_found_by_its_id_also_if_its_model_was_rejected(found: Application) -> None:
    """The ID follows from the execution's ARN and start; an ID of no execution is refused."""
    assert isinstance(found.cloud, FakeCloud)
    prefix = keys.uri(BUCKET, keys.dataset_prefix(CASE.dataset, VERSION))
    reference = {"name": CASE.dataset, "version": VERSION, "prefix_uri": prefix, "manifest_uri": MANIFEST_URI}
    states = found.cloud.states
    arn = states.add(WEEKLY, "week", "SUCCEEDED", {"dataset": reference, "scheduled_at": AT.isoformat()}, {})
    run_id = names.run_id(arn, states.executions[arn]["startDate"])
    states.happen(arn, "TaskStateEntered", stateEntered={"name": "Create Run ID"})
    output = f'{{"run": {{"run_id": "{run_id}"}}}}'
    states.happen(arn, "TaskStateExited", stateExited={"name": "Create Run ID", "output": output})
    walk = Walk(found, verify=False)

    node = walk.run(run_id)

    assert problems(node) == []
    assert VERSION in {one.name for one in node.all() if one.what == "dataset version"}
    with pytest.raises(UsageError, match="20261123-060000-00000000"):
        walk.run("20261123-060000-00000000")


def test_the_tree_marks_what_does_not_fit_and_counts() -> None:
    """A person sees where it breaks, without reading every line."""
    root = Node("endpoint", "flats", {"status": "InService"}, checked=["is in service"])
    root.made_of.append(Node("configuration", "c-1", problems=["was deleted"]))

    shown = lineage.text(root, verified=False)

    assert shown.splitlines()[:3] == [
        "endpoint flats  (status InService)",
        "└─ !configuration c-1",
        "      ! was deleted",
    ]
    assert "2 things were looked up and compared: 1 does not fit; --verify reads" in shown

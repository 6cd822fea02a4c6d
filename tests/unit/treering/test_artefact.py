"""The artefact as it is loaded: whatever its files hold, a model that can be asked or an error that names the file."""

import hashlib
import io
import json
import math
import tarfile
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sagemaker_jobs.serve.answers import answer
from tests.fuzz.model import Grown
from treering.errors import InvalidDataError
from treering.steps.artefact import Artefact
from treering.steps.csv_columns import format_columns

FILES = ("model.json", "preprocessing.json", "forest.npz")


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """The files of a small model, and two raw rows as a request's body."""
    folder = tmp_path_factory.mktemp("model")
    grown = Grown.in_folder(folder)
    names = grown.artefact.preprocessing.raw_columns
    body = format_columns({name: grown.columns[name][:2] for name in names}).encode()
    return {name: (folder / name).read_bytes() for name in FILES}, body


def write(folder, files):
    """Write the files, and in model.json the hashes they now have: an attacker would do so as well."""
    folder.mkdir(exist_ok=True)
    card = json.loads(files["model.json"])
    card["sha256"] = {name: hashlib.sha256(files[name]).hexdigest() for name in FILES[1:]}
    for name in FILES:
        (folder / name).write_bytes(files[name])
    (folder / "model.json").write_text(json.dumps(card))
    return folder


def forest_with(stored_forest, name, array):
    """The forest's file with another array, or raw bytes, under a name."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(stored_forest)) as old, zipfile.ZipFile(out, "w") as new:
        for entry in old.namelist():
            content = old.read(entry)
            if entry == f"{name}.npy":
                if not isinstance(array, bytes):
                    written = io.BytesIO()
                    np.lib.format.write_array(written, np.asarray(array), allow_pickle=True)
                    array = written.getvalue()
                content = array
            new.writestr(entry, content)
    return out.getvalue()


def enormous():
    """The head of an array of 7 TiB, and nothing of it."""
    written = io.BytesIO()
    np.lib.format.write_array_header_1_0(written, {"descr": "<f8", "fortran_order": False, "shape": (10**12,)})
    return written.getvalue()


class Trap:
    """Code in a pickle."""

    def __reduce__(self):
        """What would be called."""
        return (pytest.fail, ("an artefact's code ran",))


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("features", np.array([3, 4], np.int32)),
        ("features", np.array(math.nan)),
        ("features", np.array(["x"])),
        ("number", enormous()),
        ("number", np.array([Trap()], object)),
        ("number", b""),
        ("right", b"\x93NUMPY\x01\x00\xff\xff"),
    ],
    ids=["two widths", "no width", "width in words", "enormous", "pickled code", "empty", "head cut"],
)
def test_arrays_of_another_kind_are_refused(stored, tmp_path, name, array):
    """Whatever stands in the place of an array, it is refused, and no code of it runs."""
    files = {**stored[0], "forest.npz": forest_with(stored[0]["forest.npz"], name, array)}

    with pytest.raises(InvalidDataError, match=r"forest\.npz"):
        Artefact.load(write(tmp_path / "model", files))


def test_predictions_that_add_up_to_infinity_are_refused(stored, tmp_path):
    """Each leaf is a number, but no mean of them would be."""
    with np.load(io.BytesIO(stored[0]["forest.npz"])) as arrays:
        number = np.full_like(arrays["number"], 1e308)
    preprocessing = json.loads(stored[0]["preprocessing.json"]) | {"log_scale": False}
    forest = forest_with(stored[0]["forest.npz"], "number", number)
    files = {**stored[0], "forest.npz": forest, "preprocessing.json": json.dumps(preprocessing).encode()}

    with pytest.raises(InvalidDataError, match="no number"):
        Artefact.load(write(tmp_path / "model", files))


def _without_a_column(document):
    document["raw_columns"] = [c for c in document["raw_columns"] if c != document["features"][0]["name"]]
    document["features"][0] = {**document["features"][0], "name": "Elsewhere"}


def _twice_the_same(document):
    document["features"][1] = document["features"][0]


def _sum_of_nothing(document):
    document["features"][0] = {"kind": "sum", "name": "Nothing", "columns": []}


def _column_twice(document):
    document["raw_columns"].append(document["raw_columns"][0])


@pytest.mark.parametrize("change", [_without_a_column, _twice_the_same, _sum_of_nothing, _column_twice])
def test_features_of_no_raw_column_are_refused(stored, tmp_path, change):
    """They would be read from memory that nothing was written to."""
    document = json.loads(stored[0]["preprocessing.json"])
    change(document)
    files = {**stored[0], "preprocessing.json": json.dumps(document).encode()}

    with pytest.raises(InvalidDataError, match=r"preprocessing\.json"):
        Artefact.load(write(tmp_path / "model", files))


@pytest.mark.parametrize("shape", [b"(\x00\x00", b"((((", b"(1 2", b"(1,)]", b'"""', b"\n\n(", b"\xff\xff"])
def test_a_damaged_header_of_an_array_is_an_error(stored, tmp_path, shape):
    """numpy reads it as Python's syntax, and lets through what Python's tokenizer raises."""
    with zipfile.ZipFile(io.BytesIO(stored[0]["forest.npz"])) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    feature = entries["feature.npy"]
    at = feature.index(b"'shape': (") + len(b"'shape': ")
    entries["feature.npy"] = feature[:at] + shape + feature[at + len(shape) :]
    damaged = io.BytesIO()
    with zipfile.ZipFile(damaged, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    write(tmp_path / "model", {**stored[0], "forest.npz": damaged.getvalue()})

    with pytest.raises(InvalidDataError, match=r"forest\.npz is (no forest|damaged)"):
        Artefact.load(tmp_path / "model")


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    name=st.sampled_from(FILES[1:]),
    changes=st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=8)), min_size=1, max_size=4),
    packed=st.booleans(),
)
def test_changed_files_are_a_model_or_an_error(stored, tmp_path, name, changes, packed):
    """Bytes changed anywhere, with hashes that fit: the error names the file, or the model answers with numbers."""
    files = dict(stored[0])
    content = bytearray(files[name])
    for where, piece in changes:
        at = int(where * (len(content) - len(piece)))
        content[at : at + len(piece)] = piece
    files[name] = bytes(content)
    write(tmp_path / "model", files)
    try:
        if packed:
            with tarfile.open(tmp_path / "model.tar.gz", "w:gz", compresslevel=1) as archive:
                archive.add(tmp_path / "model", arcname=".")
            artefact = Artefact.load_archive(tmp_path / "model.tar.gz")
        else:
            artefact = Artefact.load(tmp_path / "model")
    except InvalidDataError as error:
        reason = str(error)
    else:
        reason = ""
    if reason:
        assert name in reason
        return
    answered = answer(artefact, "POST", "/invocations", {"content-type": "text/csv"}, stored[1])

    assert answered.status in (200, 400)
    if answered.status == 200:
        assert np.isfinite(json.loads(answered.body)["predictions"]).all()


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(where=st.floats(0, 1), piece=st.binary(min_size=1, max_size=8))
def test_changed_archives_are_a_model_or_an_error(stored, tmp_path, where, piece):
    """The same of the archive as a whole."""
    write(tmp_path / "model", stored[0])
    with tarfile.open(tmp_path / "whole.tar.gz", "w:gz", compresslevel=1) as archive:
        archive.add(tmp_path / "model", arcname=".")
    content = bytearray((tmp_path / "whole.tar.gz").read_bytes())
    at = int(where * (len(content) - len(piece)))
    content[at : at + len(piece)] = piece
    (tmp_path / "model.tar.gz").write_bytes(content)
    try:
        artefact = Artefact.load_archive(tmp_path / "model.tar.gz")
    except InvalidDataError:
        return

    assert answer(artefact, "POST", "/invocations", {"content-type": "text/csv"}, stored[1]).status == 200

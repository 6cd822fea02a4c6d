"""The forest as flat arrays: the same predictions as scikit-learn's, and nothing but checked data."""

import io
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import RandomForestRegressor

from treering.errors import ConfigurationError, InvalidDataError
from treering.steps.forest import Forest


@pytest.fixture(scope="module")
def grown():
    """A small forest of scikit-learn's and what it was grown on; some values are ties, large or negative."""
    chance = np.random.default_rng(1)
    matrix = np.column_stack([
        chance.integers(0, 5, 300),
        chance.normal(size=300),
        chance.normal(size=300) * 1e9,
        np.full(300, 3.0),
    ]).astype(float)  # fmt: skip
    target = matrix[:, 0] + matrix[:, 1] ** 2 + chance.normal(scale=0.1, size=300)
    return RandomForestRegressor(25, random_state=3).fit(matrix, target), matrix


@pytest.fixture
def forest(grown):
    """The same as flat arrays."""
    return Forest.from_sklearn(grown[0])


def test_predicts_as_scikit_learn(grown, forest):
    """Predictions are scikit-learn's to the last bit, on rows it knows and on others, few and many."""
    model, matrix = grown
    others = np.random.default_rng(2).normal(size=(2000, 4)) * [3, 1, 1e9, 3]

    for rows in (matrix, others, others[:1], others[:7], others[:9]):
        assert forest.predict(rows).tolist() == model.predict(rows).tolist()


def test_value_on_a_threshold_goes_left_in_single_precision(grown, forest):
    """A row is compared as a float32, as scikit-learn does: values that only a float64 tells apart are the same."""
    model, _ = grown
    thresholds = forest.number[forest.right != np.arange(len(forest.right))][:200]
    for offset in (0.0, 1e-12, -1e-12):
        rows = np.repeat(thresholds[:, None] + offset, 4, axis=1)
        assert forest.predict(rows).tolist() == model.predict(rows).tolist()


@settings(max_examples=30, deadline=None)
@given(rows=st.integers(1, 1100), start=st.integers(0, 100))
def test_a_row_is_answered_alone_as_among_others(rows, start):
    """The number of rows never changes a row's prediction, to the last bit."""
    chance = np.random.default_rng(5)
    model = RandomForestRegressor(7, random_state=0).fit(chance.normal(size=(60, 3)), chance.normal(size=60))
    forest = Forest.from_sklearn(model)
    matrix = np.random.default_rng(6).normal(size=(1200, 3))

    some = forest.predict(matrix[start : start + rows])
    assert some.tobytes() == forest.predict(matrix)[start : start + rows].tobytes()


def test_a_forest_too_large_to_be_loaded_is_not_made(grown, monkeypatch):
    """Training says so itself, with what to change, instead of the jobs after it."""
    monkeypatch.setattr("treering.steps.forest.LARGEST_FILE", 1000)

    with pytest.raises(ConfigurationError, match=r"nodes, which take .* Raise min_samples_leaf"):
        Forest.from_sklearn(grown[0])


def test_no_rows_have_no_predictions(forest):
    """An empty table is answered by an empty array."""
    assert forest.predict(np.empty((0, 4))).shape == (0,)


def test_wrong_number_of_values_is_refused(forest):
    """Rows of another width are a defect of the caller."""
    with pytest.raises(ValueError, match="rows of 4 values"):
        forest.predict(np.zeros((2, 3)))


def test_tree_of_a_single_leaf():
    """A target that never varies gives trees without a question."""
    model = RandomForestRegressor(3, random_state=0).fit(np.arange(6.0)[:, None], np.full(6, 2.5))

    assert Forest.from_sklearn(model).predict(np.zeros((2, 1))).tolist() == [2.5, 2.5]


def test_what_was_saved_is_loaded(forest, grown, tmp_path):
    """Saving and loading changes nothing, and the same forest has the same file."""
    forest.save(tmp_path / "a.npz")
    forest.save(tmp_path / "b.npz")

    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    assert Forest.load(tmp_path / "a.npz").predict(grown[1]).tobytes() == forest.predict(grown[1]).tobytes()


def _save(path, forest, **changes):
    arrays = {
        "feature": forest.feature,
        "number": forest.number,
        "right": forest.right,
        "roots": forest.roots,
        "features": np.array(forest.features, np.int32),
    }
    np.savez(path, **{name: value for name, value in {**arrays, **changes}.items() if value is not None})


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("right", lambda a: np.where(np.arange(len(a)) == 0, len(a), a).astype(a.dtype)),
        ("right", lambda a: np.where(np.arange(len(a)) == 3, 0, a).astype(a.dtype)),
        ("right", lambda a: np.where(np.arange(len(a)) == 0, -1, a).astype(a.dtype)),
        ("right", lambda a: a[:-1]),
        ("right", lambda a: a.astype(np.int64)),
        ("number", lambda a: np.where(np.arange(len(a)) == 5, np.nan, a)),
        ("number", lambda a: a.reshape(1, -1)),
        ("feature", lambda a: np.full_like(a, 4)),
        ("roots", lambda a: a[1:]),
        ("roots", lambda a: a[::-1].copy()),
        ("roots", lambda a: a[:0]),
        ("features", lambda _: np.array(0, np.int32)),
        ("features", lambda _: None),
        ("number", lambda a: a.astype(object)),
    ],
)
def test_arrays_that_are_no_forest_are_refused(forest, tmp_path, name, change):
    """Whatever could leave the arrays, run for ever or give no number is refused when it is loaded."""
    original = getattr(forest, name)
    _save(tmp_path / "forest.npz", forest, **{name: change(original)})

    with pytest.raises(InvalidDataError, match=r"forest\.npz"):
        Forest.load(tmp_path / "forest.npz")


@pytest.mark.parametrize("content", [b"", b"no zip", None])
def test_files_that_are_no_arrays_are_refused(tmp_path, content):
    """A file of another kind is named."""
    path = tmp_path / "forest.npz"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(InvalidDataError, match=r"forest\.npz"):
        Forest.load(path)


def test_bomb_is_not_unpacked(tmp_path, monkeypatch):
    """A small file that unpacks to more than the limit is refused before it is unpacked."""
    monkeypatch.setattr("treering.steps.forest.LARGEST_FILE", 10_000)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("number.npy", bytes(1_000_000))
    (tmp_path / "forest.npz").write_bytes(buffer.getvalue())

    with pytest.raises(InvalidDataError, match="more than the 10,000"):
        Forest.load(tmp_path / "forest.npz")

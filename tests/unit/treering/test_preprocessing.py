"""The fitted preprocessing: raw values in, numbers out, the same everywhere."""

import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from treering.errors import InvalidDataError
from treering.steps import fitting
from treering.steps.encoded_column import ColumnEncoder
from treering.steps.number_range import LARGEST_NUMBER
from treering.steps.preprocessing import CategoryFeature, NumberFeature, Preprocessing, SumFeature, parse_numbers
from treering.use_case import Columns, Features, Target, load

HOUSES = load("house_prices")


@pytest.fixture
def case():
    """A use case with a column of each kind."""
    columns = Columns(
        key="id",
        integer=("rooms",),
        number=("area", "garden"),
        category=("district", "garage"),
        missing_means_none=("garage",),
        minimum_rows=3,
    )
    features = Features(keep=9, category_smoothing=0, sums={"ground": ("area", "garden")})
    return HOUSES.model_copy(
        update={"columns": columns, "features": features, "target": Target(column="rent", unit="EUR", log_scale=False)}
    )


@pytest.fixture
def columns():
    """Raw training rows: six, five times over, which is enough to tell relation from chance."""
    six = {
        "id": ["a", "b", "c", "d", "e", "f"],
        "rooms": ["1", "2", "3", "3", "2", "1"],
        "area": ["10", "NA", "30", "40", "", "20.0"],
        "garden": ["0", "5", "NA", "1", "2", "1"],
        "district": ["N", "N", "S", "S", "NA", "S"],
        "garage": ["NA", "brick", "brick", "brick", "NA", "NA"],
        "rent": ["100", "200", "300", "340", "200", "120"],
    }
    return {name: values * 5 for name, values in six.items()}


@pytest.fixture
def fitted(case, columns):
    """The preprocessing fitted on them."""
    return fit(case, columns)[0]


def fit(case, columns):
    """Fit with fixed names."""
    return fitting.fit(columns, case, run_id="20240101-060000-0a1b2c3d", dataset_version="0123456789abcdef")


def values_of(preprocessing, columns):
    """Transformed values by feature."""
    return dict(zip(preprocessing.feature_names, preprocessing.transform(columns).T.tolist(), strict=True))


def test_each_kind_of_feature(fitted, columns):
    """Missing numbers are the mean, in sums 0; a level is its mean target; missing is a level of its own."""
    values = values_of(fitted, columns)

    assert values["area"][:6] == [10, 25, 30, 40, 25, 20]
    assert values["ground"][:6] == [10, 5, 30, 41, 2, 21]
    assert values["district"][:6] == pytest.approx([150, 150, 760 / 3, 760 / 3, 200, 760 / 3])
    assert values["garage"][:6] == pytest.approx([140, 280, 280, 280, 140, 140])


def test_levels_of_few_rows_are_drawn_to_the_mean(case, columns):
    """With smoothing m, a level's code is (sum + m * mean) / (rows + m)."""
    smoothed = case.model_copy(update={"features": case.features.model_copy(update={"category_smoothing": 4.0})})
    codes = next(f.codes for f in fit(smoothed, columns)[0].features if f.name == "district")

    mean = 1260 / 6
    assert codes["N"] == pytest.approx((1500 + 4 * mean) / 14)
    assert codes["missing"] == pytest.approx((1000 + 4 * mean) / 9)


@pytest.mark.parametrize("encoded", [False, True])
def test_a_long_level_takes_no_memory_but_its_own(case, columns, encoded):
    """A level is kept once, as it is, whatever the others' length."""
    many = {name: values * 10 for name, values in columns.items()}
    many["district"] = [f"N{row}" for row in range(300)]
    many["district"][7] = "x" * 100_000
    if encoded:
        encoder = ColumnEncoder()
        encoder.extend(many["district"])
        many["district"] = encoder.column()
    tracemalloc.start()
    try:
        fit(case, many)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 10_000_000


def test_levels_that_end_in_nul_are_levels_of_their_own(case, columns):
    """A text is not cut where C would cut it."""
    columns["district"] = ["A", "A", "A\0", "A\0", "A", "A\0"] * 5
    codes = next(f.codes for f in fit(case, columns)[0].features if f.name == "district")

    assert codes == {"A": pytest.approx(500 / 3), "A\0": pytest.approx(760 / 3)}


def test_unseen_level_has_its_own_code(fitted):
    """A level that training never saw gets the mean of all rows, whatever it is."""
    row = {"rooms": [1], "area": [1], "garden": [1], "district": ["moon"], "garage": ["Brick"]}
    values = values_of(fitted, row)

    assert values["district"] == values["garage"] == pytest.approx([210])


def test_text_and_json_values_are_the_same(fitted):
    """A value means the same as text of a CSV and as JSON."""
    text = {"rooms": ["2"], "area": [" 30.0 "], "garden": ["NA"], "district": [" N"], "garage": [""]}
    typed = {"rooms": [2], "area": [30], "garden": [None], "district": ["N"], "garage": [None]}

    assert fitted.transform(text).tolist() == fitted.transform(typed).tolist()


def test_codes_that_are_numbers_are_levels(case, columns):
    """A category whose levels are digits may come as a number."""
    columns["district"] = ["20", "20", "60", "60", "60", "20"] * 5
    preprocessing, _, _ = fit(case, columns)
    rest = {"rooms": [1, 1, 1], "area": [1, 1, 1], "garden": [1, 1, 1], "garage": ["brick"] * 3}
    values = values_of(preprocessing, {**rest, "district": [20, "20", 20.0]})["district"]

    unseen = next(f.unseen for f in preprocessing.features if f.name == "district")
    assert values[0] == values[1] == values[2] != unseen


def test_stored_and_read_again_it_is_the_same(fitted, columns):
    """JSON keeps every number to the last bit."""
    again = Preprocessing.from_json(fitted.to_json(), "stored")

    assert again == fitted
    assert again.transform(columns).tobytes() == fitted.transform(columns).tobytes()


def test_only_the_most_relevant_are_kept(case, columns):
    """As many features as the use case says are kept, and a record of each says why."""
    few = case.model_copy(update={"features": case.features.model_copy(update={"keep": 2})})
    preprocessing, kept, dropped = fit(few, columns)

    assert preprocessing.feature_names == tuple(record.name for record in kept)
    assert len(kept) == 2
    assert min(r.relevance for r in kept) >= max(r.relevance for r in dropped)
    assert {r.name: r.missing for r in (*kept, *dropped)} == {
        "rooms": 0, "area": 10, "garden": 5, "district": 5, "garage": 15, "ground": 15,
    }  # fmt: skip


def test_features_that_say_nothing_are_never_kept(case, columns):
    """A column that never varies is left out, even where there is room for it."""
    columns["garden"] = ["1"] * 30
    preprocessing, _, dropped = fit(case, columns)

    assert "garden" not in preprocessing.feature_names
    assert {r.name: r.relevance for r in dropped}["garden"] == 0


def test_nothing_relevant_is_an_error(case, columns):
    """A target that no feature says anything about is not learnt."""
    columns["rent"] = ["100"] * 30

    with pytest.raises(InvalidDataError, match="None of the 6 features"):
        fit(case, columns)


def test_column_without_any_value_does_not_stop_the_fit(case, columns):
    """A number that is missing in all rows is left out."""
    columns["garden"] = ["NA"] * 30

    assert "garden" not in fit(case, columns)[0].feature_names


def test_missing_columns_are_named_together(fitted):
    """All columns that are missing stand in one error; those that no feature needs are not asked for."""
    with pytest.raises(InvalidDataError, match=r"missing: .*area.*garage"):
        fitted.transform({"rooms": ["1"], "garden": ["1"], "district": ["N"]})


@pytest.mark.parametrize("value", ["twelve", "1_000", "nan", "inf", "-Infinity", "1e39", True, [1], {"a": 1}, 10**400])
def test_what_is_no_number_is_refused_with_its_place(value):
    """Row, column and value are in the error; what only Python reads as a number is none."""
    with pytest.raises(InvalidDataError, match=r"row 2, column area: expected a number"):
        parse_numbers("area", ["1", value], frozenset({"", "NA"}))


def test_a_number_has_no_more_than_single_precision():
    """The limit for ingestion, too, which has no numpy."""
    assert np.finfo(np.float32).max == LARGEST_NUMBER


@pytest.mark.parametrize("sign", ["", "-"])
def test_a_sum_stays_a_number_that_the_forest_takes(fitted, sign):
    """Though each of its parts is one, the sum might not be, and scikit-learn would refuse to learn from it."""
    row = {"rooms": ["1"], "area": [f"{sign}3e38"], "garden": [f"{sign}3e38"], "district": ["N"], "garage": ["NA"]}

    assert abs(values_of(fitted, row)["ground"][0]) == LARGEST_NUMBER


def test_missing_tokens_may_be_numbers():
    """A data set may write a missing value as -1."""
    values = parse_numbers("area", ["-1", "2"], frozenset({"-1"}))

    assert math.isnan(values[0])
    assert values[1] == 2


@given(st.lists(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8), min_size=1, max_size=5))
def test_any_values_become_finite_numbers_or_an_error(cells):
    """Whatever JSON holds, the forest sees only finite numbers of single precision."""
    preprocessing = Preprocessing(
        use_case="x",
        run_id="20240101-060000-0a1b2c3d",
        dataset_version="0123456789abcdef",
        key="id",
        target="y",
        unit="EUR",
        log_scale=True,
        raw_columns=("n", "c"),
        missing_tokens=("", "NA"),
        features=(
            NumberFeature(name="n", fill=1.5),
            SumFeature(name="s", columns=("n", "n")),
            CategoryFeature(name="c", missing_level="None", codes={"A": 1.0, "None": 2.0}, unseen=3.0),
        ),
    )
    refusal = ""
    matrix = np.zeros((len(cells), 3))
    try:
        matrix = preprocessing.transform({"n": cells, "c": cells})
    except InvalidDataError as error:
        refusal = str(error)

    assert not refusal or refusal.startswith("row ")
    assert matrix.shape == (len(cells), 3)
    assert np.isfinite(matrix).all()
    assert np.isfinite(matrix[:, [0, 2]].astype(np.float32)).all()

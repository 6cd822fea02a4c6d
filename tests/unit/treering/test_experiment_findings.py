"""Captured requests, the truth of their rows, and what the variants' answers say."""

import base64
import json
import math

import pytest

from treering.steps import captures
from treering.steps.captures import Captured, Unreadable
from treering.steps.experiment_findings import Answers, disagreement, evidence
from treering.steps.experiment_plan import Plan
from treering.steps.known_truth import KnownTruth


def line(asked, answered, content_type="text/csv", encoding="CSV"):
    """A line of a capture file."""
    part = {"observedContentType": content_type, "encoding": encoding}
    return json.dumps({
        "captureData": {
            "endpointInput": {**part, "mode": "INPUT", "data": asked},
            "endpointOutput": {**part, "mode": "OUTPUT", "data": answered},
        },
        "eventMetadata": {"eventId": "1", "inferenceTime": "2026-11-23T06:00:00Z"},
        "eventVersion": "0",
    })  # fmt: skip


def packed(text):
    """As SageMaker writes a content type that it was not told of."""
    return base64.b64encode(text.encode()).decode()


ROWS = [{"rooms": "3", "area": "50.5"}, {"rooms": "4", "area": ""}]
CSV_ROWS = "rooms,area\n3,50.5\n4,\n"


@pytest.mark.parametrize(
    "text",
    [
        line(CSV_ROWS, "700.0\n800.0\n"),
        line(packed(CSV_ROWS), packed("700.0\n800.0\n"), encoding="BASE64"),
        line(json.dumps({"instances": ROWS}), '{"predictions":[700,800]}', "application/json", "JSON"),
        line(json.dumps(ROWS), '{"predictions":[700,800]}', "application/json", "JSON"),
        line(
            json.dumps({"columns": ["rooms", "area"], "rows": [["3", "50.5"], ["4", ""]]}),
            '{"predictions":[700,800]}',
            "application/json",
            "JSON",
        ),
    ],
)
def test_every_form_of_a_request_is_read(text):
    """CSV with a header and each form of JSON, plain or as Base64."""
    unreadable = Unreadable()
    [found] = captures.read(text + "\n\n", unreadable)

    assert found == Captured(ROWS, [700.0, 800.0])
    assert unreadable.count == 0


@pytest.mark.parametrize(
    "text",
    [
        "not json",
        line(CSV_ROWS, "700.0\n"),
        line("[1, 2]", '{"predictions":[1,2]}', "application/json", "JSON"),
        json.dumps({"captureData": {}}),
        line("rooms,rooms\n3,4\n", "700.0\n"),
    ],
)
def test_what_cannot_be_read_is_counted_and_the_rest_is_read(text):
    """One broken line does not hide the others, and the reason is kept."""
    unreadable = Unreadable()
    good = line(CSV_ROWS, "700.0\n800.0\n")
    found = list(captures.read(f"{text}\n{good}\n", unreadable))

    assert len(found) == 1
    assert unreadable.count == 1
    assert unreadable.first


@pytest.fixture
def truth(flats):
    """Four labelled flats, of which `b` was learnt from, and `c` and `d` look the same."""
    columns = {
        "id": ["a", "b", "c", "d"],
        "rooms": ["3", "4", "2", "2"],
        "area": ["50.5", "NA", "30", "30.0"],
        "district": ["north", "south", "NA", ""],
        "rent": ["700", "800", "400", "500"],
    }
    return KnownTruth(flats.use_case, columns, {"b"})


def test_a_row_is_found_by_its_values_however_they_are_written(truth):
    """Numbers as text or number, missing values in each form; a column that is no feature does not matter."""
    for row in (
        {"rooms": "3", "area": "50.5", "district": "north"},
        {"rooms": 3, "area": 50.50, "district": "north", "colour": "red"},
        {"district": "north", "rooms": "3.0"},
    ):
        assert truth.find(row).key == "a"
    assert truth.find({"rooms": 4, "area": None, "district": "south"}).learnt is True
    assert truth.find({"rooms": 9, "area": 50.5, "district": "north"}) is None
    assert truth.find({"colour": "red"}) is None


def test_of_rows_that_look_the_same_only_the_key_tells_which_it_is(truth):
    """Without the key it would be a guess."""
    row = {"rooms": 2, "area": 30, "district": ""}

    assert truth.find(row) is None
    assert truth.find(row | {"id": "d"}).target == 500


def test_a_row_counts_once_and_rows_learnt_from_do_not(truth):
    """Asked three times it is one observation; its error is on the scale that the model learns."""
    answers = Answers(truth, log_scale=True)
    known, learnt, unknown = {"rooms": 3}, {"rooms": 4}, {"rooms": 9}

    answers.add([Captured([known, learnt], [770.0, 800.0]), Captured([known, unknown], [770.0, 1.0])])

    assert (answers.requests, answers.rows) == (2, 4)
    assert answers.errors == {"a": pytest.approx(math.log(1.1))}
    assert answers.learnt == {"b"}
    assert answers.rmse == pytest.approx(math.log(1.1))
    assert len(answers.predictions) == 3


def test_a_shadow_is_compared_on_the_rows_that_both_predicted(flats):
    """Rows that only one of them answered are left out; the disagreement needs no truth."""
    count = 60
    columns = {
        "id": [str(at) for at in range(count)],
        "rooms": [str(at) for at in range(count)],
        "area": ["1"] * count,
        "district": ["x"] * count,
        "rent": ["1000"] * count,
    }
    truth = KnownTruth(flats.use_case, columns, set())
    champion, challenger = Answers(truth, log_scale=True), Answers(truth, log_scale=True)
    champion.add([Captured([{"rooms": at}], [1200.0 + at]) for at in range(count)])
    challenger.add([Captured([{"rooms": at}], [1100.0 + at]) for at in range(20, count)])

    found = evidence(challenger, champion, Plan(), shadow=True)

    assert found.rows == 40
    assert found.difference.high < 0
    rows, median, largest = disagreement(challenger, champion)
    assert rows == 40
    assert median <= largest == pytest.approx(100 / 1220)
    assert disagreement(Answers(truth, log_scale=True), champion) is None

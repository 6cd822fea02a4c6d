"""The compiled model: for a plain body it says what the rules say, and for any other nothing."""

import json

import pytest
import treering_native
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.bodies import CSV, bodies
from tests.fuzz.model import Grown
from treering.errors import TreeringError
from treering.steps.csv_columns import format_columns
from treering.steps.payload import body_format, parse_request

NUMBERS = ["0", "-0", "007", "+5", "1.50", ".5", "5.", "-.5", "123456789012345", "0.123456789012345", "-1.0"]


@pytest.fixture(scope="module")
def grown(tmp_path_factory):
    """A model and rows."""
    return Grown.in_folder(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def rows(grown):
    """Ten of the rows, by column, all that a row may have."""
    return {name: grown.columns[name][:10] for name in grown.artefact.preprocessing.raw_columns}


def by_the_rules(artefact, body, content_type):
    """Predictions as the rules have it, none where they refuse the body."""
    try:
        return artefact.predict(parse_request(body, content_type, artefact.preprocessing)).tolist()
    except TreeringError:
        return None


def plainly(artefact, body, content_type):
    """Predictions of the compiled model, none where it does not say."""
    return artefact.compiled.predict(body, body_format(content_type))


def as_objects(rows):
    """The rows as JSON objects."""
    return [dict(zip(rows, values, strict=True)) for values in zip(*rows.values(), strict=True)]


def plain_bodies(rows):
    """The same rows in each plain form."""
    table = format_columns(rows)
    objects = as_objects(rows)
    typed = [{k: None if v == "NA" else int(v) if v.isdigit() else v for k, v in row.items()} for row in objects]
    backwards = {name: rows[name] for name in reversed(rows)}
    quoted = "\n".join(",".join(f'"{cell}"' for cell in line.split(",")) for line in table.splitlines())
    return {
        "header": ("text/csv", table),
        "header said": ("text/csv; header=present", table),
        "other order": ("text/csv", format_columns(backwards)),
        "more columns": ("text/csv; charset=utf-8", format_columns({**rows, "another": ["x y"] * 10})),
        "no header": ("text/csv", table.partition("\n")[2]),
        "no header said": ("text/csv;header=absent", table.partition("\n")[2]),
        "other line ends": ("Text/CSV", "\r\n\n" + table.replace("\n", "\r\n").rstrip() + "\n\n"),
        "quotes": ("text/csv", quoted),
        "spaces": ("text/csv", table.replace(",", " ,\t")),
        "instances": ("application/json", json.dumps({"instances": objects})),
        "list": ("application/json", json.dumps(objects, indent=2)),
        "typed": ("application/json; charset=utf-8", json.dumps(typed)),
        "more names": ("application/json", json.dumps([{"another": 1.5, **row} for row in objects])),
        "table": ("application/json", json.dumps({"columns": list(rows), "rows": [list(r.values()) for r in typed]})),
    }


def test_every_plain_form_is_read(grown, rows):
    """Rows that most callers send are answered by the compiled model, to the last bit as by the rules."""
    expected = grown.artefact.predict(rows).tolist()

    for form, (content_type, body) in plain_bodies(rows).items():
        assert plainly(grown.artefact, body.encode(), content_type) == expected, form
        assert by_the_rules(grown.artefact, body.encode(), content_type) == expected, form


@pytest.mark.parametrize("count", [1, 7, 8, 9, 1023, 1024, 1025, 2500])
def test_any_number_of_rows(grown, count):
    """Rows are answered in their order, however many; a row alone as among others, to the last bit."""
    names = grown.artefact.preprocessing.raw_columns
    rows = {name: (grown.columns[name] * 13)[:count] for name in names}
    first = range(min(count, 20))
    alone = [grown.artefact.predict({name: [values[row]] for name, values in rows.items()})[0] for row in first]
    predictions = plainly(grown.artefact, format_columns(rows).encode(), CSV)

    assert predictions == grown.artefact.predict(rows).tolist()
    assert predictions[:20] == alone


@pytest.mark.parametrize("text", NUMBERS)
def test_numbers_are_read_as_python_reads_them(grown, rows, text):
    """A number in any plain notation is the double that Python makes of it."""
    number = next(f.name for f in grown.artefact.preprocessing.features if f.kind == "number")
    body = format_columns({**rows, number: [text] * 10}).encode()

    assert plainly(grown.artefact, body, CSV) == by_the_rules(grown.artefact, body, CSV) is not None


@pytest.mark.parametrize(
    "body",
    [
        b"", b"\n", b"{}", b"[]", b"[{}]", b"[{},]", b'{"instances": []}', b'{"columns": [], "rows": []}', b"null",
        b'{"columns": ["a"], "rows": [[1],]}', b'"', b"[", b"{", b'{"', b'{"a"', b'{"a":', b'{"a":1', b'{"a":-',
        b"\x00", b'{"a":1.', b"-", b"\xff",
    ],
)  # fmt: skip
def test_what_is_no_row_is_left_to_the_rules(grown, body):
    """Bodies that end early, or hold nothing, are not plain in any format."""
    for body_kind in range(4):
        assert grown.artefact.compiled.predict(body, body_kind) is None


def test_a_comma_at_the_end_of_an_object_is_left_to_the_rules(grown, rows):
    """It is no JSON, though every value is there."""
    body = json.dumps(as_objects(rows)[0])[:-1].encode()

    assert plainly(grown.artefact, body + b"}", "application/json") is not None
    assert plainly(grown.artefact, body + b",}", "application/json") is None


@settings(max_examples=600, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_the_compiled_model_and_the_rules_never_disagree(grown, data):
    """Whatever the body, the compiled model says nothing, or to the last bit what the rules say."""
    names = grown.artefact.preprocessing.raw_columns
    kind, body = data.draw(bodies({name: grown.columns[name] for name in names}))
    said = plainly(grown.artefact, body, kind)

    assert said is None or said == by_the_rules(grown.artefact, body, kind)


@settings(max_examples=600, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_nearly_plain_bodies_neither(grown, rows, data):
    """The same of plain bodies in which one thing was changed."""
    content_type, text = data.draw(st.sampled_from(list(plain_bodies(rows).values())))
    at = data.draw(st.integers(0, len(text)))
    piece = data.draw(st.sampled_from([*'",\n\r \t.-0:}]xé', "e5", "null"]))
    body = (text[:at] + piece + text[at + data.draw(st.integers(0, 2)) :]).encode()
    said = plainly(grown.artefact, body, content_type)

    assert said is None or said == by_the_rules(grown.artefact, body, content_type)


def test_rows_beyond_the_capacity_are_not_plain(grown):
    """The number of rows is known from line breaks and brackets, so that no body can write beyond the answer."""
    names = ",".join(grown.artefact.preprocessing.raw_columns)
    body = f"{names}\r{names}".encode()

    assert grown.artefact.compiled.predict(body, treering_native.CSV) is None

"""Serve: what the endpoint's container answers, and how the server that carries the answers behaves."""

import csv
import http.client
import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from treering_native import Model

from local_cloud.ports import ReservedPort
from sagemaker_jobs.serve.answers import LARGEST_BODY, answer

ROOT = Path(__file__).parents[3]
CSV, JSON = "text/csv", "application/json"


def post(artefact, body, content_type=CSV, accept="", **more):
    """Answer to a POST of `body`."""
    headers = {"content-type": content_type, "accept": accept, **more}
    return answer(artefact, "POST", "/invocations", headers, body if isinstance(body, bytes) else body.encode())


def predictions(given_answer):
    """Predictions of a JSON answer."""
    assert given_answer.status == 200, given_answer.body
    return json.loads(given_answer.body)["predictions"]


def reason(given_answer):
    """The error that an answer holds."""
    return json.loads(given_answer.body)["error"]


def as_csv(columns, names, header=True):
    """The named columns as CSV."""
    text = io.StringIO()
    writer = csv.writer(text)
    if header:
        writer.writerow(names)
    writer.writerows(zip(*(columns[name] for name in names), strict=True))
    return text.getvalue()


@pytest.fixture(scope="module")
def rows(run):
    """Five raw rows of the test split."""
    return {name: values[:5] for name, values in run.splits["test"].items()}


@pytest.fixture(scope="module")
def expected(artefact, rows):
    """The artefact's own predictions for them."""
    return artefact.predict(rows).tolist()


def objects(rows, names):
    """The rows as JSON objects."""
    return [dict(zip(names, values, strict=True)) for values in zip(*(rows[n] for n in names), strict=True)]


def test_ping_is_healthy(artefact):
    """A health check gets 200 with no body."""
    assert answer(artefact, "GET", "/ping", {}, b"") == answer(artefact, "GET", "/ping", {}, b"ignored")
    assert answer(artefact, "GET", "/ping", {}, b"").status == 200


@pytest.mark.parametrize("accept", ["", "*/*", JSON, "text/html, application/json;q=0.5"])
def test_csv_with_header_goes_by_name(artefact, rows, expected, accept):
    """Columns may stand in any order, and those that no model knows are ignored."""
    names = sorted(artefact.preprocessing.raw_columns, reverse=True)
    with_extra = {**rows, "colour, of the door": ["red"] * 5}

    assert predictions(post(artefact, as_csv(with_extra, ["colour, of the door", *names]), accept=accept)) == expected


def test_csv_without_header_has_the_documented_order(artefact, rows, expected):
    """Rows without a header have all raw columns, in the order of the use case."""
    body = as_csv(rows, artefact.preprocessing.raw_columns, header=False)

    assert predictions(post(artefact, body)) == expected
    assert predictions(post(artefact, body, "text/csv; header=absent")) == expected


def test_only_columns_that_the_model_uses_are_needed(artefact, rows, expected):
    """A feature that preprocess left out need not be sent."""
    needed = artefact.preprocessing.required_columns

    assert len(needed) < len(artefact.preprocessing.raw_columns)
    assert predictions(post(artefact, as_csv(rows, needed))) == expected


@pytest.mark.parametrize("shape", ["instances", "list", "table"])
def test_json_shapes(artefact, rows, expected, shape):
    """Rows come as instances, as a list, or as columns and rows."""
    names = artefact.preprocessing.raw_columns
    body = {
        "instances": {"instances": objects(rows, names)},
        "list": objects(rows, names),
        "table": {"columns": names, "rows": list(zip(*(rows[n] for n in names), strict=True))},
    }[shape]

    assert predictions(post(artefact, json.dumps(body), JSON)) == expected


def test_single_json_object_is_one_row(artefact, rows, expected):
    """One object is one row."""
    row = objects(rows, artefact.preprocessing.raw_columns)[3]

    assert predictions(post(artefact, json.dumps(row), "Application/JSON; charset=UTF-8")) == expected[3:4]


def test_json_values_are_as_good_as_text(artefact, rows, expected):
    """Numbers as numbers and missing values as null give what their text gives."""

    def typed(value):
        return None if value in ("", "NA") else int(value) if value.isdigit() else value

    body = [{n: typed(v) for n, v in row.items()} for row in objects(rows, artefact.preprocessing.raw_columns)]

    assert predictions(post(artefact, json.dumps(body), JSON)) == expected


def test_csv_answer_is_one_number_a_line(artefact, rows, expected):
    """Accept decides the answer's type; numbers survive to the last bit."""
    given_answer = post(artefact, as_csv(rows, artefact.preprocessing.raw_columns), accept=CSV)

    assert given_answer.headers["content-type"] == CSV
    assert [float(line) for line in given_answer.body.decode().splitlines()] == expected


def test_one_row_alone_gets_the_same_answer(artefact, rows, expected):
    """A row's prediction does not depend on the rows sent with it, to the last bit."""
    names = artefact.preprocessing.raw_columns
    alone = [predictions(post(artefact, as_csv({n: [v[i]] for n, v in rows.items()}, names)))[0] for i in range(5)]

    assert alone == expected


def test_unseen_and_missing_values_are_answered(artefact, rows):
    """A category never seen, and a row in which every value is missing, get finite predictions."""
    names = artefact.preprocessing.raw_columns
    categories = {f.name for f in artefact.preprocessing.features if f.kind == "category"}
    unseen = {n: ["never seen, ☃"] * 5 if n in categories else rows[n] for n in names}
    empty = {n: [""] for n in names}

    assert np.isfinite(predictions(post(artefact, as_csv(unseen, names)))).all()
    assert np.isfinite(predictions(post(artefact, as_csv(empty, names)))).all()


@pytest.mark.parametrize(
    ("content_type", "status"),
    [("text/plain", 415), ("", 415), ("application/x-npy", 415), ("text/csv; charset=latin-1", 415), ("text/csv", 400)],
)
def test_other_content_types_are_refused(artefact, content_type, status):
    """Only CSV and JSON in UTF-8 are read; the refusal names what is."""
    given_answer = post(artefact, "", content_type)

    assert given_answer.status == status
    assert given_answer.headers["content-type"] == JSON


@pytest.mark.parametrize("accept", ["image/png", "application/json;q=0", "text/html, application/xml"])
def test_other_answers_are_refused(artefact, rows, accept):
    """Who accepts neither CSV nor JSON gets 406."""
    assert post(artefact, as_csv(rows, artefact.preprocessing.raw_columns), accept=accept).status == 406


def test_missing_columns_are_named(artefact, rows):
    """A column that the model uses must be there, and the error names those that are not."""
    first, second, *others = artefact.preprocessing.required_columns

    for given_answer in (
        post(artefact, as_csv(rows, others)),
        post(artefact, json.dumps(objects(rows, others)), JSON),
        post(artefact, json.dumps({"columns": others, "rows": [[None] * len(others)]}), JSON),
    ):
        assert given_answer.status == 400
        assert first in reason(given_answer)
        assert second in reason(given_answer)


def test_wrong_number_says_row_and_column(artefact, rows):
    """What is no number is quoted with its row and column."""
    number = next(f.name for f in artefact.preprocessing.features if f.kind == "number")
    broken = {**rows, number: [*rows[number][:2], "twelve", *rows[number][3:]]}
    given_answer = post(artefact, as_csv(broken, artefact.preprocessing.raw_columns))

    assert given_answer.status == 400
    assert f'row 3, column {number}: expected a number, got "twelve"' in reason(given_answer)


@pytest.mark.parametrize(
    ("body", "content_type", "said"),
    [
        ("", CSV, "no row"),
        ("\n\n", CSV, "no row"),
        (b"\xff\xfe", CSV, "not UTF-8"),
        ("1,2,3\n", CSV, "line 1: 3 values"),
        ('"never closed', CSV, "quote"),
        ("", JSON, "no JSON"),
        ("[]", JSON, "no row"),
        ("[1]", JSON, "row 1"),
        ("3", JSON, "expected a row"),
        ("[" * 100_000, JSON, "no JSON"),
        ('{"instances": 3}', JSON, "expected a row"),
        ('[{"a": NaN}]', JSON, "NaN"),
        ('{"columns": ["a", "a"], "rows": [[1, 2]]}', JSON, "twice"),
        ('{"columns": ["a"], "rows": [[1, 2]]}', JSON, "row 1"),
        ('{"columns": 3, "rows": []}', JSON, "columns"),
        ("9" * 5000, JSON, "no JSON"),
    ],
)
def test_bad_requests_say_what_and_where(artefact, body, content_type, said):
    """Each bad request gets 400 and a reason, never a stack trace."""
    given_answer = post(artefact, body, content_type)

    assert given_answer.status == 400
    assert said in reason(given_answer)


def test_header_with_a_column_twice_is_refused(artefact, rows):
    """It would not be clear which of the two counts."""
    name = artefact.preprocessing.raw_columns[0]

    assert "twice" in reason(post(artefact, f"{name},{name}\n1,2\n"))


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/invocations", 405), ("POST", "/ping", 405), ("GET", "/", 404), ("POST", "/models", 404)],
)
def test_other_paths_and_methods(artefact, method, path, status):
    """Only the two paths that SageMaker asks for are there."""
    assert answer(artefact, method, path, {}, b"").status == status


def test_defect_in_the_model_shows_no_stack_trace(artefact, rows, monkeypatch, caplog):
    """What should not happen is a 500 that says nothing of the inside; the log has it all."""

    def broken(*_):
        raise ZeroDivisionError("inside")

    monkeypatch.setattr(Model, "predict", broken)
    given_answer = post(artefact, as_csv(rows, artefact.preprocessing.raw_columns))

    assert given_answer.status == 500
    assert "inside" not in reason(given_answer)
    assert "ZeroDivisionError" in caplog.text


_cells = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.lists(st.integers(), max_size=2)
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_json_is_answered_or_refused_with_a_reason(artefact, data):
    """Whatever values a row has, the answer is finite predictions or a 400 with a reason."""
    names = artefact.preprocessing.required_columns
    row = {name: data.draw(_cells) for name in data.draw(st.permutations(names))[:3]}
    body = json.dumps([{**dict.fromkeys(names), **row}])
    given_answer = post(artefact, body, JSON)

    assert given_answer.status in (200, 400)
    if given_answer.status == 200:
        assert np.isfinite(predictions(given_answer)).all()
    else:
        assert reason(given_answer)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=300) | st.text(max_size=300).map(str.encode), kind=st.sampled_from([CSV, JSON]))
def test_any_bytes_are_a_bad_request(artefact, body, kind):
    """Bytes that are no rows get 400 with a reason."""
    given_answer = post(artefact, body, kind)

    assert given_answer.status == 400
    assert reason(given_answer)


@pytest.fixture(scope="module")
def server(run):
    """The real program's server on a free port, in a process of its own, on the run's model."""
    reserved = ReservedPort()
    port = reserved.number
    code = (
        "from pathlib import Path; import os, sys; from sagemaker_jobs.runner import Job; "
        "from sagemaker_jobs.serve.__main__ import main; main(Job(Path(sys.argv[1])))"
    )
    environ = {**os.environ, "SAGEMAKER_BIND_TO_PORT": str(port)}
    process = subprocess.Popen([sys.executable, "-c", code, str(run.train_job.root)], cwd=ROOT, env=environ)
    try:
        for _ in range(300):
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert process.poll() is None
                time.sleep(0.1)
        yield port, process
    finally:
        process.kill()
        process.wait()
        reserved.release()


def request(port, method, path, body=b"", headers=None):
    """Status and body of one request to the server."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, body, headers or {})
        given_answer = connection.getresponse()
        return given_answer.status, given_answer.read()
    finally:
        connection.close()


def test_server_answers_over_http(server, artefact, rows, expected):
    """The program on the port that SageMaker names: healthy, right, and polite about errors."""
    port, _ = server
    body = as_csv(rows, artefact.preprocessing.raw_columns)

    assert request(port, "GET", "/ping") == (200, b"")
    status, answered = request(port, "POST", "/invocations", body, {"Content-Type": CSV})
    assert (status, json.loads(answered)["predictions"]) == (200, expected)
    assert request(port, "POST", "/invocations", b"x", {"Content-Type": "text/plain"})[0] == 415


def test_server_answers_a_large_batch(server, run, artefact):
    """Thousands of rows are answered in order, one prediction each."""
    port, _ = server
    many = {name: values * 40 for name, values in run.splits["test"].items()}
    body = as_csv(many, artefact.preprocessing.raw_columns)
    status, answered = request(port, "POST", "/invocations", body, {"Content-Type": CSV, "Accept": CSV})

    assert status == 200
    assert [float(line) for line in answered.splitlines()] == artefact.predict(run.splits["test"]).tolist() * 40


def test_server_refuses_too_large_a_body(server):
    """A body larger than SageMaker may send is refused, announced or not, and the server goes on."""
    port, _ = server
    body = b"x" * (LARGEST_BODY + 1)

    status, answered = request(port, "POST", "/invocations", body, {"Content-Type": CSV})
    assert status == 413
    assert "rows" in json.loads(answered)["error"]
    assert request(port, "GET", "/ping")[0] == 200


def test_server_ends_cleanly_on_sigterm(server):
    """SIGTERM ends the program with exit code 0."""
    _, process = server
    process.send_signal(signal.SIGTERM)

    assert process.wait(20) == 0


def test_server_without_a_model_says_why():
    """A container without a model ends at once, with the reason in its log."""
    code = (
        "from pathlib import Path; from sagemaker_jobs.runner import Job; "
        "from sagemaker_jobs.serve.__main__ import main; main(Job(Path('/nowhere')))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )

    assert ended.returncode == 1
    assert "model.json" in ended.stdout
    assert "Traceback" not in ended.stdout + ended.stderr

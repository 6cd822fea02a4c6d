"""The endpoint's content types: a request's body to raw columns, predictions to an answer's body.

Requests
    text/csv            one row a line, RFC 4180, UTF-8. With a header, columns go by name, in any order, and those that
                        the model does not know are ignored. Without, a row has all raw columns in their documented
                        order. The first line is a header if one of its cells is the name of a raw column; the content
                        type's parameter `header=present` or `header=absent` (RFC 4180, section 3) says so outright.
    application/json    {"instances": [{column: value}, …]}, a list of such objects, or one of them; or
                        {"columns": [name, …], "rows": [[value, …], …]}. Values are text, numbers or null.
A column that the model uses must be there, its value may be missing (empty, NA, null).

Answers
    text/csv            one prediction a line
    application/json    {"predictions": [number, …]}
A prediction is written so that reading it gives the same float.
"""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from numpy.typing import NDArray

from treering.errors import InvalidRequestError, UnsupportedMediaTypeError
from treering.steps.preprocessing import Cell, Preprocessing, shortened

CSV, JSON = "text/csv", "application/json"
Columns = dict[str, Sequence[Cell]]


class NotAcceptableError(UnsupportedMediaTypeError):
    """None of the content types that the caller accepts can be written."""


def parse_request(body: bytes, content_type: str, model: Preprocessing) -> Columns:
    """Raw columns of the rows in `body`, at least one row, with every column that `model` uses.

    Raises UnsupportedMediaTypeError for another content type, InvalidRequestError that says what is wrong and where.
    """
    kind, parameters = _split_header(content_type)
    if kind not in (CSV, JSON):
        given = f"the content type {kind!r}" if kind else "a request without Content-Type"
        raise UnsupportedMediaTypeError(f"{given} is not supported; send {CSV} or {JSON}")
    charset = parameters.get("charset", "utf-8").lower()
    if charset not in ("utf-8", "utf8", "us-ascii"):
        raise UnsupportedMediaTypeError(f"the charset {charset!r} is not supported; send UTF-8")
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidRequestError(f"the body is not UTF-8: byte {error.start} ({error.reason})") from error
    columns = _from_csv(text, parameters.get("header"), model) if kind == CSV else _from_json(text, model)
    missing = [name for name in model.required_columns if name not in columns]
    if missing:
        raise InvalidRequestError(
            f"columns are missing: {', '.join(missing)}; a value may be missing, a column that the model uses may not"
        )
    return columns


def choose_answer(accept: str) -> str:
    """Content type to answer with, the first supported one of those the caller prefers (RFC 9110, section 12.5.1).

    JSON where anything will do. Raises NotAcceptableError where nothing does.
    """
    ranges = []
    for entry in accept.split(","):
        kind, parameters = _split_header(entry)
        if kind:
            try:
                quality = float(parameters.get("q", "1"))
            except ValueError:
                quality = 0.0
            ranges.append((kind, quality))
    if not ranges:
        return JSON
    for kind, quality in sorted(ranges, key=lambda entry: -entry[1]):
        if quality > 0:
            if kind in (JSON, "*/*", "application/*"):
                return JSON
            if kind in (CSV, "text/*"):
                return CSV
    raise NotAcceptableError(f"cannot answer with {accept!r}; accept {JSON} or {CSV}")


def format_answer(predictions: NDArray[Any], content_type: str) -> bytes:
    """Body of an answer with the predictions of each row, in the order of the request."""
    values = [float(value) for value in predictions]
    if content_type == CSV:
        return ("\n".join(map(repr, values)) + "\n").encode()
    return json.dumps({"predictions": values}, separators=(",", ":")).encode()


def parse_answer(body: bytes, content_type: str) -> list[float]:
    """Predictions in an answer that `format_answer` wrote. Raises ValueError for anything else."""
    if _split_header(content_type)[0] == CSV:
        return [float(line) for line in body.decode().splitlines()]
    answer = json.loads(body)
    if not isinstance(answer, dict) or not isinstance(answer.get("predictions"), list):
        raise ValueError(f"expected an object with predictions, got {shortened(answer)}")
    return [float(value) for value in answer["predictions"]]


def _split_header(value: str) -> tuple[str, dict[str, str]]:
    """Media type in lower case, and its parameters."""
    kind, *rest = value.split(";")
    pairs = (part.partition("=") for part in rest)
    return kind.strip().lower(), {name.strip().lower(): given.strip().strip('"') for name, _, given in pairs}


def _from_csv(text: str, header: str | None, model: Preprocessing) -> Columns:
    if header not in (None, "present", "absent"):
        raise InvalidRequestError(f"the content type's parameter header is present or absent, not {header!r}")
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    records: list[tuple[int, list[str]]] = []
    try:
        records.extend((reader.line_num, record) for record in reader if record)
    except csv.Error as error:
        raise InvalidRequestError(f"line {reader.line_num}: {error} (is a quote not closed?)") from error
    known = frozenset(model.raw_columns)
    names: Sequence[str] = model.raw_columns
    explained = "raw columns there are, which a row without header must have all"
    if records and (header == "present" or (header is None and not known.isdisjoint(map(str.strip, records[0][1])))):
        names = [name.strip() for name in records.pop(0)[1]]
        _refuse_doubles(names)
        explained = "columns of the header"
    if not records:
        raise InvalidRequestError("the body has no row")
    for line, record in records:
        if len(record) != len(names):
            raise InvalidRequestError(f"line {line}: {len(record)} values for the {len(names)} {explained}")
    return dict(zip(names, zip(*(record for _, record in records), strict=True), strict=True))


def _from_json(text: str, model: Preprocessing) -> Columns:
    try:
        document = json.loads(text, parse_constant=_refuse_constant)
    except RecursionError as error:
        raise InvalidRequestError("the body is no JSON that can be read: nested too deeply") from error
    except ValueError as error:
        raise InvalidRequestError(f"the body is no JSON that can be read: {error}") from error
    if isinstance(document, dict):
        if "instances" in document:
            document = document["instances"]
        elif "columns" in document and "rows" in document:
            return _from_table(document["columns"], document["rows"])
        else:
            document = [document]
    if not isinstance(document, list):
        raise InvalidRequestError(
            f"expected a row as an object, a list of rows, or them as 'instances', got {shortened(document)}"
        )
    if not document:
        raise InvalidRequestError("the body has no row")
    for number, row in enumerate(document, 1):
        if not isinstance(row, dict):
            raise InvalidRequestError(f"row {number}: expected an object of column and value, got {shortened(row)}")
    required = model.required_columns
    for number, row in enumerate(document, 1):
        missing = [name for name in required if name not in row]
        if missing:
            raise InvalidRequestError(
                f"row {number}: columns are missing: {', '.join(missing)}; "
                "a value may be null, a column that the model uses may not be left out"
            )
    return {name: [row[name] for row in document] for name in required}


def _from_table(names: Any, rows: Any) -> Columns:
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InvalidRequestError("'columns' must be a list of names")
    _refuse_doubles(names)
    if not isinstance(rows, list) or not rows:
        raise InvalidRequestError("'rows' must be a list of rows, at least one")
    for number, row in enumerate(rows, 1):
        if not isinstance(row, list) or len(row) != len(names):
            raise InvalidRequestError(f"row {number}: expected a list of {len(names)} values, got {shortened(row)}")
    return dict(zip(names, zip(*rows, strict=True), strict=True))


def _refuse_doubles(names: Sequence[str]) -> None:
    if len(set(names)) != len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise InvalidRequestError(f"columns stand twice: {', '.join(twice)}")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number; send null for a missing value")


def rows_as_json(columns: Mapping[str, Sequence[Cell]], row: int) -> bytes:
    """One row (from 0) of raw columns as a request body of type application/json."""
    return json.dumps({"instances": [{name: values[row] for name, values in columns.items()}]}).encode()

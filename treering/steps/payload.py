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
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NoReturn

import treering_native

from treering.errors import InvalidRequestError, UnsupportedMediaTypeError
from treering.steps.preprocessing import Cell, Preprocessing, shortened

if TYPE_CHECKING:
    from _csv import Reader  # the type of csv.reader's results, which no module that can be imported names

CSV, JSON = "text/csv", "application/json"
_CHARSETS = ("utf-8", "utf8", "us-ascii")
_CSV_FORMATS = {
    None: treering_native.CSV,
    "present": treering_native.CSV_WITH_HEADER,
    "absent": treering_native.CSV_WITHOUT_HEADER,
}
_MOST_NAMES = 10  # in a message
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
    if charset not in _CHARSETS:
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


@lru_cache(maxsize=64)
def body_format(content_type: str) -> int | None:
    """How treering_native calls a content type, none if it does not read it."""
    kind, parameters = _split_header(content_type)
    if not parameters.keys() <= {"charset", "header"} or parameters.get("charset", "utf-8").lower() not in _CHARSETS:
        return None
    if kind == JSON:
        return treering_native.JSON
    return _CSV_FORMATS.get(parameters.get("header")) if kind == CSV else None


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


def format_answer(predictions: Sequence[float], content_type: str) -> bytes:
    """Body of an answer with the predictions of each row, in the order of the request."""
    if content_type == CSV:
        return ("\n".join(map(repr, predictions)) + "\n").encode()
    return json.dumps({"predictions": predictions}, separators=(",", ":")).encode()


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
    try:
        return _columns_of(reader, header, model)
    except csv.Error as error:
        raise InvalidRequestError(f"line {reader.line_num}: {error} (is a quote not closed?)") from error


def _columns_of(reader: "Reader", header: str | None, model: Preprocessing) -> Columns:
    """Rows of a CSV by column; refuses the first row that does not fit before it reads on."""
    names: Sequence[str] = model.raw_columns
    explained = "raw columns there are, which a row without header must have all"
    first = next(filter(None, reader), [])
    rows = []
    if first and (header == "present" or (header is None and not set(names).isdisjoint(map(str.strip, first)))):
        names = [name.strip() for name in first]
        _refuse_doubles(names)
        explained = "columns of the header"
    elif first:
        rows.append(_fitting(first, names, explained, reader.line_num))
    rows.extend(_fitting(record, names, explained, reader.line_num) for record in reader if record)
    if not rows:
        raise InvalidRequestError("the body has no row")
    return dict(zip(names, zip(*rows, strict=True), strict=True))


def _fitting(record: list[str], names: Sequence[str], explained: str, line: int) -> list[str]:
    if len(record) != len(names):
        raise InvalidRequestError(f"line {line}: {len(record)} values for the {len(names)} {explained}")
    return record


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
    twice = [shortened(name) for name, times in Counter(names).items() if times > 1]
    if twice:
        more = f" and {len(twice) - _MOST_NAMES} more" if len(twice) > _MOST_NAMES else ""
        raise InvalidRequestError(f"columns stand twice: {', '.join(twice[:_MOST_NAMES])}{more}")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number; send null for a missing value")


def rows_as_json(columns: Mapping[str, Sequence[Cell]], row: int) -> bytes:
    """One row (from 0) of raw columns as a request body of type application/json."""
    return json.dumps({"instances": [{name: values[row] for name, values in columns.items()}]}).encode()

"""What an endpoint was asked and what a variant of it answered, as SageMaker's data capture writes it to S3.

One JSON object a line, in `<destination>/<endpoint>/<variant>/yyyy/mm/dd/hh/<name>.jsonl`
(https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-data-capture-endpoint.html).
"""

import base64
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from treering.errors import InvalidDataError
from treering.steps.csv_columns import parse_columns
from treering.steps.payload import CSV, JSON, parse_answer

Row = Mapping[str, Any]  # column → value as the caller sent it: text, number or none


@dataclass(frozen=True)
class Captured:
    """One request to one variant: its rows, and a prediction for each."""

    rows: Sequence[Row]
    predictions: Sequence[float]


@dataclass
class Unreadable:
    """How many captured requests could not be read, such as rows without names, and why the first could not."""

    count: int = 0
    first: str = ""

    def note(self, reason: str) -> None:
        """Count one more."""
        self.count += 1
        self.first = self.first or reason


def read(lines: str, unreadable: Unreadable) -> Iterator[Captured]:
    """The requests in a capture file. A request that cannot be read is counted in `unreadable` and left out."""
    for line in lines.splitlines():
        if not line.strip():
            continue
        try:
            yield _captured(json.loads(line)["captureData"])
        except (ValueError, KeyError, TypeError, InvalidDataError) as error:
            unreadable.note(f"{type(error).__name__}: {error}")


def _captured(data: Mapping[str, Any]) -> Captured:
    asked, answered = data["endpointInput"], data["endpointOutput"]
    rows = _rows(_body(asked), str(asked.get("observedContentType", CSV)))
    predictions = parse_answer(_body(answered), str(answered.get("observedContentType", CSV)))
    if len(rows) != len(predictions):
        raise ValueError(f"{len(predictions)} predictions for {len(rows)} rows")
    return Captured(rows, predictions)


def _body(part: Mapping[str, Any]) -> bytes:
    """The body; BASE64 is what SageMaker writes for content types that the configuration does not name."""
    text = str(part["data"])
    return base64.b64decode(text, validate=True) if part.get("encoding") == "BASE64" else text.encode()


def _rows(body: bytes, content_type: str) -> list[Row]:
    if not content_type.startswith(JSON):
        columns = parse_columns(io.StringIO(body.decode(), newline=""), "the captured request")
        return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    document = json.loads(body)
    if isinstance(document, dict) and "columns" in document and "rows" in document:
        return [dict(zip(document["columns"], values, strict=True)) for values in document["rows"]]
    rows = document.get("instances", [document]) if isinstance(document, dict) else document
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError("rows without names of columns")
    return list(rows)

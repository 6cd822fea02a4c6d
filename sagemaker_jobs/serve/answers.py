"""What the endpoint answers to a request, without any server: method, path, headers and body in, answer out."""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from treering.errors import InvalidDataError, InvalidRequestError, UnsupportedMediaTypeError
from treering.steps.artefact import Artefact
from treering.steps.payload import (
    JSON,
    NotAcceptableError,
    body_format,
    choose_answer,
    format_answer,
    parse_request,
)

LARGEST_BODY = 6 * 1024**2  # bytes; SageMaker sends no more (InvokeEndpoint, API reference: 6,291,456)
_LONG_HEADER = 200  # characters; longer ones are not worth remembering
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Answer:
    """Status, body, and headers."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


def answer(model: Artefact, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
    """Answer one request. `headers` has lower-case names. Never raises; a caller's fault is a 4xx that says so."""
    if path == "/ping":
        return Answer(200) if method in ("GET", "HEAD") else _not_allowed("GET")
    if path != "/invocations":
        return refusal(404, f"there is no {path[:100]}; POST rows to /invocations")
    if method != "POST":
        return _not_allowed("POST")
    try:
        answered_type = choose_answer(headers.get("accept", ""))
        predictions = _predictions(model, headers.get("content-type", ""), body)
    except NotAcceptableError as error:
        return refusal(406, str(error))
    except UnsupportedMediaTypeError as error:
        return refusal(415, str(error))
    except (InvalidRequestError, InvalidDataError) as error:
        return refusal(400, str(error))
    except Exception:
        log.exception("Could not answer a request of %d bytes", len(body))
        return refusal(500, "the model could not answer; the endpoint's log says why")
    return Answer(200, format_answer(predictions, answered_type), {"content-type": answered_type})


def _predictions(model: Artefact, content_type: str, body: bytes) -> Sequence[float]:
    """Predictions for the rows of a body: quick if it is plain and right, else by the rules that say what is wrong."""
    kind = body_format(content_type) if len(content_type) <= _LONG_HEADER else None
    if kind is not None:
        predictions = model.compiled.predict(body, kind)
        if predictions is not None:
            return predictions
    found: list[float] = model.predict(parse_request(body, content_type, model.preprocessing)).tolist()
    return found


def too_large() -> Answer:
    """Answer to a body of more than LARGEST_BODY bytes."""
    return refusal(413, f"the body is larger than {LARGEST_BODY:,} bytes; send fewer rows at once")


def refusal(status: int, reason: str, headers: Mapping[str, str] | None = None) -> Answer:
    """An error as JSON: what is wrong, and where."""
    return Answer(status, json.dumps({"error": reason}).encode(), {"content-type": JSON, **(headers or {})})


def _not_allowed(method: str) -> Answer:
    return refusal(405, f"only {method} is allowed here", {"allow": method})

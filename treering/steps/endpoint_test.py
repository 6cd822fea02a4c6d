"""Asks the live endpoint about the test split, and compares its answers with the artefact's own and with the truth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from treering.clock import Clock
from treering.contracts import ExamplePrediction, Latency, RegressionMetrics
from treering.errors import EndpointError
from treering.steps.artefact import Artefact
from treering.steps.csv_columns import format_columns
from treering.steps.deployment import EndpointState
from treering.steps.metrics import regression_metrics
from treering.steps.payload import CSV, JSON, parse_answer, rows_as_json
from treering.steps.preprocessing import Cell

LARGEST_DIFFERENCE = 1e-6  # relative, between the endpoint and the artefact: rounding, but no other model
ROWS_IN_A_BATCH = 250  # some 100 kB; SageMaker takes 6 MB
WARM_UP, SINGLE_ROWS, EXAMPLES = 3, 60, 5


class DescribesEndpoints(Protocol):
    """The part of SageMaker that knows endpoints."""

    def find_endpoint(self, name: str) -> EndpointState | None: ...  # noqa: D102


class InvokesEndpoints(Protocol):
    """The part of SageMaker that sends requests to them: body and content type of the answer."""

    def invoke(self, endpoint_name: str, body: bytes, content_type: str, accept: str) -> tuple[bytes, str]: ...  # noqa: D102


@dataclass(frozen=True)
class Findings:
    """What the live endpoint said of the test split."""

    metrics: RegressionMetrics
    largest_relative_difference: float
    latency: Latency
    examples: tuple[ExamplePrediction, ...]


def require_config(hosting: DescribesEndpoints, endpoint_name: str, config_name: str) -> None:
    """Raises EndpointError unless the endpoint is in service with this configuration."""
    state = hosting.find_endpoint(endpoint_name)
    if state is None:
        raise EndpointError(f"There is no endpoint {endpoint_name}. Deploy it first.")
    if state.status != "InService" or state.config_name != config_name:
        reason = f": {state.failure_reason}" if state.failure_reason else ""
        raise EndpointError(
            f"Endpoint {endpoint_name} is {state.status} with configuration {state.config_name}, expected InService "
            f"with {config_name}{reason}. Was it changed by somebody else, or rolled back? Deploy again."
        )


def run(
    endpoint_name: str,
    runtime: InvokesEndpoints,
    artefact: Artefact,
    columns: Mapping[str, Sequence[Cell]],
    actual: NDArray[np.float64],
    clock: Clock,
) -> Findings:
    """Send the raw test split: in batches as CSV, and some rows alone as JSON, which are timed.

    `columns` holds the raw rows, with key and target; neither is sent. `actual` is the target, one per row. Raises
    EndpointError if an answer is wrong or further than LARGEST_DIFFERENCE from the artefact's own prediction.
    """
    features = {name: columns[name] for name in artefact.preprocessing.raw_columns}
    keys = [str(key) for key in columns[artefact.preprocessing.key]]
    offline = artefact.predict(features)
    live = np.concatenate([_ask_batch(runtime, endpoint_name, features, batch) for batch in _batches(len(keys))])
    singles = list(range(min(SINGLE_ROWS, len(keys))))
    alone, seconds = [], []
    for row in [singles[0]] * WARM_UP + singles:
        body = rows_as_json(features, row)
        started = clock.monotonic()
        answer = _ask(runtime, endpoint_name, body, JSON, 1)
        seconds.append(clock.monotonic() - started)
        alone.append(float(answer[0]))
    alone, seconds = alone[WARM_UP:], seconds[WARM_UP:]
    difference = relative_difference(live, offline)
    difference[singles] = np.maximum(difference[singles], relative_difference(np.array(alone), offline[singles]))
    worst = int(np.argmax(difference))
    if not difference[worst] <= LARGEST_DIFFERENCE:
        raise EndpointError(
            f"Endpoint {endpoint_name} does not answer as the artefact does: {(difference > LARGEST_DIFFERENCE).sum()} "
            f"of {len(keys)} test rows differ, most of all row {keys[worst]}: {live[worst]:.6g} from the endpoint "
            f"(CSV), {offline[worst]:.6g} from the artefact. Is another model in service?"
        )
    p50, p99 = np.quantile(seconds, [0.5, 0.99]) * 1000
    return Findings(
        metrics=regression_metrics(actual, live, log_scale=artefact.preprocessing.log_scale),
        largest_relative_difference=float(difference[worst]),
        latency=Latency(requests=len(seconds), p50_ms=float(p50), p99_ms=float(p99)),
        examples=tuple(
            ExamplePrediction(key=keys[row], predicted=float(live[row]), actual=float(actual[row]))
            for row in np.linspace(0, len(keys) - 1, min(EXAMPLES, len(keys))).astype(int)
        ),
    )


def relative_difference(live: NDArray[np.float64], offline: NDArray[np.float64]) -> NDArray[np.float64]:
    """|live - offline| / |offline|, one per row; 0 where both are 0."""
    return np.abs(live - offline) / np.maximum(np.abs(offline), np.finfo(np.float64).tiny)


def _batches(rows: int) -> list[range]:
    return [range(start, min(start + ROWS_IN_A_BATCH, rows)) for start in range(0, rows, ROWS_IN_A_BATCH)]


def _ask_batch(
    runtime: InvokesEndpoints, endpoint_name: str, columns: Mapping[str, Sequence[Cell]], batch: range
) -> NDArray[np.float64]:
    rows = {name: values[batch.start : batch.stop] for name, values in columns.items()}
    return _ask(runtime, endpoint_name, format_columns(rows).encode(), CSV, len(batch))


def _ask(
    runtime: InvokesEndpoints, endpoint_name: str, body: bytes, content_type: str, rows: int
) -> NDArray[np.float64]:
    answer, answered_type = runtime.invoke(endpoint_name, body, content_type, content_type)
    try:
        predictions = np.array(parse_answer(answer, answered_type or content_type), np.float64)
    except (ValueError, TypeError) as error:
        raise EndpointError(f"Endpoint {endpoint_name} answered what is no list of predictions: {error}") from error
    if predictions.shape != (rows,) or not np.isfinite(predictions).all():
        raise EndpointError(
            f"Endpoint {endpoint_name} answered {predictions.shape[0]} predictions for {rows} rows, or no numbers."
        )
    return predictions

"""Handler of the run-ID function: the state machine's first state invokes it.

It calls nothing that could be traced below the segment that Lambda itself writes, so it spares the tracer's import.
"""

from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from treering.contracts import CreateRunIdInput, CreateRunIdResult, parse_event
from treering.names import run_id

logger = Logger(service="create_run_id")
metrics = Metrics(namespace="Treering", service="create_run_id")


@logger.inject_lambda_context
@metrics.log_metrics(capture_cold_start_metric=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001  # Lambda passes both
    """Answer the CreateRunIdResult of an execution; for the same execution the same, however often it is asked."""
    execution = parse_event(CreateRunIdInput, event)
    result = CreateRunIdResult(run_id=run_id(execution.execution_arn, execution.started_at))
    metrics.add_metric("RunIdsCreated", MetricUnit.Count, 1)
    logger.info("Run ID created", run_id=result.run_id, execution_arn=execution.execution_arn)
    return result.model_dump(mode="json")

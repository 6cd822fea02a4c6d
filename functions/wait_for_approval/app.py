"""Handler of the function that the state `Wait For Approval` invokes with its task token."""

from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.wait_for_approval.settings import adapters
from treering.contracts import ApprovalRequest, parse_event
from treering.steps import approval

logger = Logger(service="wait_for_approval")
metrics = Metrics(namespace="Treering", service="wait_for_approval")


@logger.inject_lambda_context
@metrics.log_metrics(capture_cold_start_metric=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001  # Lambda passes both
    """Keep the token; answers an ApprovalResult, which the waiting task does not read."""
    request = parse_event(ApprovalRequest, event)
    result = approval.wait(request, *adapters())
    metrics.add_metric("ApprovalsAsked", MetricUnit.Count, 1)
    logger.info(result.message, run_id=request.run_id, resumed=result.resumed)
    return result.model_dump(mode="json")

"""Handler of the function that a change of approval in the model registry invokes, at least once."""

from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.resume_approval.settings import adapters
from treering.contracts import ModelPackageEvent, parse_event
from treering.steps import approval

logger = Logger(service="resume_approval")
metrics = Metrics(namespace="Treering", service="resume_approval")


@logger.inject_lambda_context
@metrics.log_metrics(capture_cold_start_metric=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001  # Lambda passes both
    """Resume the execution that waits for this decision; answers an ApprovalResult."""
    change = parse_event(ModelPackageEvent, event)
    result = approval.resume(change.detail, *adapters())
    metrics.add_metric("ExecutionsResumed", MetricUnit.Count, int(result.resumed))
    logger.info(result.message, model_package_arn=change.detail.model_package_arn, resumed=result.resumed)
    return result.model_dump(mode="json")

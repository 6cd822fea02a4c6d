"""Handler of the ingest function: the weekly rule invokes it, asynchronously and at least once."""

from typing import Any

from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.logging.utils import copy_config_to_registered_loggers
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.ingest.settings import ingestion
from treering.clock import Deadline
from treering.contracts import ScheduledEvent, parse_event

SECONDS_TO_STORE = 60.0  # of the function's time are kept for what follows the download

logger = Logger(service="ingest")
tracer = Tracer(service="ingest")
metrics = Metrics(namespace="Treering", service="ingest")
copy_config_to_registered_loggers(logger, include={"treering"})


@logger.inject_lambda_context
@tracer.capture_lambda_handler(capture_response=False)
@metrics.log_metrics(capture_cold_start_metric=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Handle one scheduled event; answers an IngestResult. Whatever is raised, the same event can be handled again."""
    scheduled = parse_event(ScheduledEvent, event)
    deadline = Deadline.after(context.get_remaining_time_in_millis() / 1000 - SECONDS_TO_STORE)
    result = ingestion().run(scheduled, deadline)
    metrics.add_metric("NewDatasetVersions", MetricUnit.Count, int(result.new_version))
    metrics.add_metric("ExecutionsStarted", MetricUnit.Count, int(result.execution_started))
    logger.info(result.message, dataset_version=result.dataset.version, execution_arn=result.execution_arn)
    return result.model_dump(mode="json")

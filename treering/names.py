"""Names that AWS sees: unique, valid, sortable by time, and the same again when a step is tried again.

SageMaker job, model and endpoint names match `[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}` (CreateTrainingJob, API reference);
Step Functions execution names have 1 to 80 characters of `[0-9A-Za-z-_]` (StartExecution, API reference).
"""

import hashlib
import re
from datetime import UTC, datetime

SAGEMAKER_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
EXECUTION_NAME = re.compile(r"[0-9A-Za-z_-]{1,80}")
RUN_ID = re.compile(r"\d{8}-\d{6}-[0-9a-f]{8}")


def run_id(execution_arn: str, started_at: datetime) -> str:
    """Run ID of an execution: `YYYYMMDD-HHMMSS-<8 hex>`, 24 characters.

    The time is that of the execution's start in UTC, so IDs sort by time; the digits come from the execution's ARN,
    so two executions differ and a retried call gives the same ID. `started_at` must carry a time zone.
    """
    if started_at.tzinfo is None:
        raise ValueError(f"the start of the execution needs a time zone, got {started_at.isoformat()}")
    digest = hashlib.sha256(execution_arn.encode()).hexdigest()[:8]
    return f"{started_at.astimezone(UTC):%Y%m%d-%H%M%S}-{digest}"


def execution_name(dataset_version: str, scheduled_at: datetime) -> str:
    """Name of the execution that a schedule's event starts for a dataset version.

    The same event delivered twice gives the same name, and Step Functions starts a name only once.
    """
    if scheduled_at.tzinfo is None:
        raise ValueError(f"the time of the schedule needs a time zone, got {scheduled_at.isoformat()}")
    name = f"{dataset_version}-{scheduled_at.astimezone(UTC):%Y%m%dT%H%M%SZ}"
    if not EXECUTION_NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no valid execution name (StartExecution: 1 to 80 of 0-9 A-Z a-z - _)")
    return name

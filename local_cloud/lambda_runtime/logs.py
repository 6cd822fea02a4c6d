"""Puts a function's lines into its log group, if the function's role may.

On AWS Lambda writes with the function's own role: without ``logs:CreateLogStream`` and ``logs:PutLogEvents`` nothing
appears, and without ``logs:CreateLogGroup`` nothing does unless the group is there
(https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs.html).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Any

from ministack.core.responses import get_account_id, get_region
from ministack.services import cloudwatch_logs

from local_cloud.iam import AccessDeniedError, check_allowed
from local_cloud.lambda_runtime.function import Function
from local_cloud.lambda_runtime.output import Line

_logger = logging.getLogger(__name__)


def write_logs(function: Function, stream: str, lines: Sequence[Line], access_key_id: str) -> None:
    """Append lines to a log stream; call it in the scope of the function's account and region. Never raises."""
    try:
        _write(function.log_group, stream, lines, access_key_id)
    except AccessDeniedError as denied:
        _logger.warning("the log of function %s is lost: %s", function.name, denied)
    except Exception:
        _logger.exception("the log of function %s is lost", function.name)


def _write(group: str, stream: str, lines: Sequence[Line], access_key_id: str) -> None:
    arn = f"arn:aws:logs:{get_region()}:{get_account_id()}:log-group:{group}"
    groups = cloudwatch_logs._log_groups
    if group not in groups:
        check_allowed(access_key_id, "logs:CreateLogGroup", f"{arn}:*")
        _accept(cloudwatch_logs._create_log_group({"logGroupName": group}))
    if stream not in groups[group]["streams"]:
        check_allowed(access_key_id, "logs:CreateLogStream", f"{arn}:*")
        _accept(cloudwatch_logs._create_log_stream({"logGroupName": group, "logStreamName": stream}))
    check_allowed(access_key_id, "logs:PutLogEvents", f"{arn}:log-stream:{stream}")
    received = time.time_ns() // 1_000_000
    events = [{"timestamp": line.milliseconds, "message": line.text, "ingestionTime": received} for line in lines]
    cloudwatch_logs._append_log_events(groups[group]["streams"][stream], events)
    cloudwatch_logs._fanout_to_subscription_filters(group, stream, events)


def _accept(response: tuple[int, Any, bytes]) -> None:
    status, _, body = response
    if status >= 400 and b"ResourceAlreadyExists" not in body:
        raise RuntimeError(body.decode(errors="replace"))

"""What AWS checks about a state machine's role when the state machine is created or updated."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from local_cloud.step_functions.dependencies import Dependencies
from local_cloud.step_functions.errors import ApiError

#: Step Functions Developer Guide, "IAM policies for logging to CloudWatch Logs": all on every resource.
LOG_DELIVERY_ACTIONS = (
    "logs:CreateLogDelivery",
    "logs:GetLogDelivery",
    "logs:UpdateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:DescribeResourcePolicies",
    "logs:DescribeLogGroups",
)
#: Step Functions Developer Guide, "IAM policies for integrated services": for `.sync` on the rule that AWS manages.
MANAGED_RULE_ACTIONS = ("events:PutTargets", "events:PutRule", "events:DescribeRule")

_ROLE_ARN = re.compile(r"^arn:aws[a-z-]*:iam::\d{12}:role/.+$")


def check_role(dependencies: Dependencies, role_arn: str) -> None:
    """Refuse a role that Step Functions cannot assume, in AWS's words."""
    if not _ROLE_ARN.match(role_arn):
        raise ApiError("InvalidArn", f"Invalid Role Arn: '{role_arn}'")
    try:
        dependencies.credentials_for_role(role_arn, "StepFunctions")
    except (PermissionError, LookupError) as error:
        raise ApiError(
            "AccessDeniedException",
            "Neither the global service principal states.amazonaws.com, nor the regional one is authorized to "
            f"assume the provided role. ({role_arn}: {error})",
        ) from error


def check_logging(dependencies: Dependencies, role_arn: str, configuration: Mapping[str, Any]) -> None:
    """Refuse logging whose destination is malformed, or that the role may not set up."""
    level = configuration.get("level", "OFF")
    if level not in ("ALL", "ERROR", "FATAL", "OFF"):
        raise ApiError("InvalidLoggingConfiguration", f"Invalid Logging Configuration: unknown level '{level}'.")
    if level == "OFF":
        return
    log_group_name(configuration)
    missing = [action for action in LOG_DELIVERY_ACTIONS if not dependencies.is_allowed(role_arn, action, "*")]
    if missing:
        raise ApiError(
            "AccessDeniedException",
            "The state machine IAM Role is not authorized to access the Log Destination "
            f"({role_arn} lacks {', '.join(missing)} on *)",
        )


def log_group_name(configuration: Mapping[str, Any]) -> str:
    """Name the one log group that a logging configuration writes to."""
    destinations = configuration.get("destinations") or []
    if len(destinations) != 1:
        raise ApiError(
            "InvalidLoggingConfiguration",
            "Invalid Logging Configuration: Must specify exactly one Log Destination.",
        )
    arn = str((destinations[0].get("cloudWatchLogsLogGroup") or {}).get("logGroupArn", ""))
    match = re.match(r"^arn:aws[a-z-]*:logs:[^:]+:\d{12}:log-group:([^:*]+):\*$", arn)
    if not match:
        raise ApiError(
            "InvalidLoggingConfiguration",
            f"Invalid Logging Configuration: Log Destination '{arn}' is no log group's ARN; it must end with ':*'.",
        )
    return match[1]


def check_managed_rules(dependencies: Dependencies, role_arn: str, rules: Iterable[str]) -> None:
    """Refuse a role that may not manage the rules through which a `.sync` task learns that its job has ended."""
    for rule in rules:
        arn = f"arn:aws:events:{dependencies.region}:{dependencies.account_id}:rule/{rule}"
        missing = [action for action in MANAGED_RULE_ACTIONS if not dependencies.is_allowed(role_arn, action, arn)]
        if missing:
            raise ApiError(
                "AccessDeniedException",
                f"'{role_arn}' is not authorized to create managed-rule. (it lacks {', '.join(missing)} on {arn})",
            )

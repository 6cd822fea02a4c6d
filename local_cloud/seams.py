"""The places where the local cloud reaches into ministack, in one list, looked up at every start.

ministack's version is pinned; were another one installed all the same, the cloud would fail at its first request, far
from the cause. So each symbol is looked up before anything starts, and what is gone is named.
"""

from __future__ import annotations

import importlib
from importlib.metadata import PackageNotFoundError, version

_PREFIX = "ministack"
CLOUDFORMATION = "services.cloudformation"

# Module below ministack → attributes that the local cloud calls, replaces or reads.
SYMBOLS: dict[str, tuple[str, ...]] = {
    "app": (
        "app",
        "AUTH",
        "SERVICE_HANDLERS",
        "_MAIN_LOOP",
        "_build_persistence_save_dict",
        "_state_map",
        "SERVICE_REGISTRY",
        "_authenticate_only",
        "_get_module",
    ),
    "core.arn": ("parse_arn", "ArnParseError"),
    "core.persistence": ("_json_default", "_json_object_hook", "_state_format_version"),
    "core.responses": (
        "error_response_json",
        "get_account_id",
        "get_region",
        "set_request_account_id",
        "set_request_region",
    ),
    "core.router": ("SERVICE_PATTERNS",),
    "core.iam_actions": (
        "SERVICE_TO_IAM_NAMESPACE",
        "_BOTOCORE_SERVICE_MAP",
        "_REST_ROUTE_CACHE",
        "_S3_BUCKET_QUERY_ACTIONS",
        "_TAG_OPERATIONS",
        "_UNSIGNED_OPERATIONS",
        "_s3_action",
        "_s3_source_object",
        "access_denied_response",
        "extract_resource_arn",
        "identity_denial_message",
        "request_tag_context",
        "s3_additional_checks",
    ),
    "core.iam_evaluator": (
        "CredentialResolutionError",
        "EvalContext",
        "EvalResult",
        "ParsedStatement",
        "_ALWAYS_ALLOWED_ACTIONS",
        "_gather_role_policies",
        "_gather_user_policies",
        "_permissions_boundary",
        "_request_origin",
        "_resolve_condition_key",
        "_resolve_managed_policy_document",
        "_resource_policy",
        "_signed_request",
        "enforce",
        "evaluate",
        "evaluate_resource_policy",
        "parse_policy_document",
        "pin_request_origin",
        "request_caller_arn",
        "resolve_credential",
        "validate_policy_document",
    ),
    "services.cloudformation.changesets": (
        "_diff_resources",
        "_evaluate_conditions",
        "_find_change_set",
        "_resolve_parameters",
        "validate_template_support",
    ),
    "services.cloudformation.engine": ("_evaluate_conditions", "_resolve_refs"),
    "services.cloudformation.handlers": (
        "_ACTION_HANDLERS",
        "_error",
        "_evaluate_conditions",
        "_imported_export_names",
        "_p",
        "_resolve_parameters",
        "_resolve_stack",
        "_stack_has_no_updates",
        "validate_template_support",
    ),
    "services.cloudformation.provisioners": (
        "_REPLACING_PROPERTIES",
        "_RESOURCE_HANDLERS",
        "_physical_name",
        "_policy_document_json",
        "_s3_delete",
    ),
    "services.cloudformation": ("_exports", "_stack_events", "_stacks"),
    "services.cloudformation.stacks": (
        "_add_event",
        "_delete_resource",
        "_evaluate_conditions",
        "_provision_resource",
        "_resolve_stack_outputs",
        "_runs_on_worker_thread",
        "_update_resource",
    ),
    "services.cloudwatch": (
        "_alarms",
        "_calc_stats",
        "_composite_alarms",
        "_dims_from_list",
        "_dims_key",
        "_dispatch_alarm_actions",
        "_error",
        "_evaluate_alarm",
        "_evaluate_parent_alarms",
        "_is_percentile_stat",
        "_metric_bucket",
        "_metrics",
        "_put_metric_alarm",
        "_put_metric_data",
        "_record_history",
        "_stat_value",
        "record_metric",
    ),
    "services.cloudwatch_logs": (
        "_append_log_events",
        "_create_log_group",
        "_create_log_stream",
        "_fanout_to_subscription_filters",
        "_log_groups",
    ),
    "services.eventbridge": (
        "_EventView",
        "_apply_input_transformer",
        "_cron_next_fire",
        "_ensure_default_bus",
        "_event_bus_name_from_ref",
        "_event_buses",
        "_event_pattern_error",
        "_invoke_target",
        "_parse_cron_fields",
        "_parse_rate_seconds",
        "_pattern_event_view",
        "_put_events",
        "_put_rule",
        "_put_targets",
        "_rule_key",
        "_rules",
        "_targets",
    ),
    "services.iam": (
        "_IAM_HANDLERS",
        "_aws_managed_policies",
        "_error",
        "_make_aws_managed_record",
        "_p",
        "_put_role_policy",
        "_roles",
        "_trust_policy_not_principal_error",
        "_users",
        "policy_known",
    ),
    "services.lambda_svc": (
        "_execute_function_docker",
        "_execute_function_warm",
        "_execute_function_with_config_scope",
        "_execution_record_for_config",
        "_functions",
        "_get_func_record_for_ref",
        "invoke_async_with_retry",
    ),
    "services.s3": (
        "S3_NS",
        "_buckets",
        "_delete_bucket_encryption",
        "_delete_bucket_lifecycle",
        "_delete_bucket_ownership_controls",
        "_delete_bucket_tagging",
        "_delete_objects",
        "_delete_persisted_bucket",
        "_error",
        "_find_xml_tag",
        "_get_object_data",
        "_iter_tag_pairs",
        "_key_history_meta",
        "_lifecycle_rules_error",
        "_object_disk_path",
        "_object_meta_from_record",
        "_object_versions",
        "_persist_object",
        "_put_bucket_encryption",
        "_put_bucket_lifecycle",
        "_put_bucket_ownership_controls",
        "_put_bucket_policy",
        "_put_bucket_tagging",
        "_put_bucket_versioning",
        "_validate_bucket_name",
        "fromstring",
        "object_tags_for_condition",
    ),
    "services.secretsmanager": ("_secrets",),
    "services.sns": (
        "_create_topic",
        "_error",
        "_p",
        "_set_topic_attributes",
        "_topics",
        "publish_internal",
        "topic_policy_for_arn",
    ),
    "services.sqs": (
        "_Err",
        "_HANDLERS",
        "_act_send_message",
        "_queue_by_arn",
        "_queue_name_to_url",
        "_queues",
        "_refresh_counts",
        "queue_policy_allows",
    ),
    "services.sts": (
        "_sessions",
        "register_session",
    ),
}


class SeamsBrokenError(RuntimeError):
    """The installed emulator lacks symbols that the local cloud hooks into."""


def check_seams(below: str = "", but_not: str = "-") -> None:
    """Raise SeamsBrokenError, naming every missing symbol and what to install, unless all of them are there.

    ``below`` and ``but_not`` are prefixes of the modules to look at and to leave out: CloudFormation's, which take a
    second to import, are looked at when CloudFormation starts.
    """
    missing = [
        f"{_PREFIX}.{module}.{attribute}"
        for module, attributes in SYMBOLS.items()
        if module.startswith(below) and not module.startswith(but_not)
        for attribute in _missing(f"{_PREFIX}.{module}", attributes)
    ]
    if missing:
        raise SeamsBrokenError(
            f"{_PREFIX} {_installed()} lacks {', '.join(missing)}, which the local cloud stands on: "
            "install the versions of requirements/dev.txt"
        )


def _missing(module: str, attributes: tuple[str, ...]) -> list[str]:
    try:
        loaded = importlib.import_module(module)
    except ImportError:
        return list(attributes)
    return [attribute for attribute in attributes if not hasattr(loaded, attribute)]


def _installed() -> str:
    try:
        return version(_PREFIX)
    except PackageNotFoundError:
        return "(not installed)"

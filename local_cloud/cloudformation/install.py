"""Puts the checks and the provisioners into the emulator's CloudFormation; called once, before the first request."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from ministack.services import cloudwatch, cloudwatch_logs, eventbridge, iam, lambda_svc, sns, sqs
from ministack.services.cloudformation import changesets, provisioners, stacks
from ministack.services.cloudformation import handlers as requests

from local_cloud.cloudformation import (
    buckets,
    conditions,
    exports,
    model_package_groups,
    notifications,
    parameters,
    replacement,
    roles,
    secrets,
    state_machine,
)
from local_cloud.cloudformation import requests as refusals
from local_cloud.cloudformation.checks import UnsupportedTemplateError, check
from local_cloud.cloudformation.handlers import Handlers, Properties, refuse_taken_names
from local_cloud.cloudformation.structure import check_structure
from local_cloud.cloudformation.updates import Updates
from local_cloud.iam.resource_policies import bucket_arn
from local_cloud.policy_language.kinds import BUCKET, QUEUE, TOPIC

_logger = logging.getLogger(__name__)


def install(
    state_machines: Callable[[], state_machine.StateMachines], sagemaker: Callable[[], model_package_groups.SageMaker]
) -> None:
    """Install the local cloud's table of supported properties and its provisioners."""
    conditions.install()
    _install_checks()
    refusals.install()
    replacement.install()
    exports.install()
    Updates().install()
    roles.install_managed_policies()
    table: dict[str, Handlers] = provisioners._RESOURCE_HANDLERS

    def wrap(type_name: str, wrapper: Callable[..., Handlers], *arguments: Any) -> None:
        table[type_name] = wrapper(table[type_name], *arguments)

    wrap("AWS::S3::Bucket", buckets.bucket_handlers)
    wrap("AWS::S3::BucketPolicy", buckets.policy_handlers)
    wrap("AWS::SecretsManager::Secret", secrets.secret_handlers)
    wrap("AWS::SSM::Parameter", parameters.parameter_handlers)
    wrap("AWS::Lambda::Permission", notifications.permission_handlers)
    wrap("AWS::SQS::Queue", notifications.queue_handlers)
    wrap("AWS::SNS::Topic", notifications.topic_handlers)
    wrap("AWS::SNS::Subscription", notifications.subscription_handlers)
    wrap("AWS::SQS::QueuePolicy", notifications.attached_policy_handlers, "Queues", lambda: sqs._queues)
    wrap("AWS::SNS::TopicPolicy", notifications.attached_policy_handlers, "Topics", lambda: sns._topics)
    wrap("AWS::Events::Rule", notifications.rule_handlers)
    wrap("AWS::CloudWatch::Alarm", notifications.alarm_handlers)
    wrap("AWS::S3::BucketPolicy", roles.resource_policy_handlers, BUCKET, lambda new: [bucket_arn(new["Bucket"])])
    wrap("AWS::SNS::TopicPolicy", roles.resource_policy_handlers, TOPIC, lambda new: new["Topics"])
    wrap("AWS::SQS::QueuePolicy", roles.resource_policy_handlers, QUEUE, lambda new: new["Queues"])
    wrap("AWS::IAM::Role", roles.role_handlers)
    wrap("AWS::IAM::Policy", roles.policy_handlers)
    wrap("AWS::IAM::ManagedPolicy", roles.managed_policy_handlers)
    table["AWS::StepFunctions::StateMachine"] = state_machine.state_machine_handlers(state_machines)
    table["AWS::SageMaker::ModelPackageGroup"] = model_package_groups.model_package_group_handlers(sagemaker)
    _install_worker_thread()
    taken: dict[str, tuple[str, Callable[[str, Properties], bool]]] = {
        "AWS::CloudWatch::Alarm": ("AlarmName", lambda name, _: name in cloudwatch._alarms),
        "AWS::Events::Rule": ("Name", _is_rule),
        "AWS::Logs::LogGroup": ("LogGroupName", lambda name, _: name in cloudwatch_logs._log_groups),
        "AWS::SNS::Topic": ("TopicName", lambda name, _: any(arn.endswith(f":{name}") for arn in sns._topics)),
        "AWS::SQS::Queue": ("QueueName", lambda name, _: name in sqs._queue_name_to_url),
        "AWS::Lambda::Function": ("FunctionName", lambda name, _: name in lambda_svc._functions),
        "AWS::IAM::Role": ("RoleName", lambda name, _: name in iam._roles),
    }
    for type_name, (property_name, is_taken) in taken.items():
        table[type_name] = refuse_taken_names(table[type_name], type_name, property_name, is_taken)


def _is_rule(name: str, properties: Properties) -> bool:
    return eventbridge._rule_key(name, properties.get("EventBusName") or "default") in eventbridge._rules


def _install_worker_thread() -> None:
    """Make on a worker thread what a service of ours makes: it may still be starting, and the port must answer."""
    emulators_own = stacks._runs_on_worker_thread

    def runs_on_worker_thread(type_name: str) -> bool:
        ours = ("AWS::StepFunctions::StateMachine", "AWS::SageMaker::ModelPackageGroup")
        return type_name in ours or bool(emulators_own(type_name))

    stacks._runs_on_worker_thread = runs_on_worker_thread


def _install_checks() -> None:
    """Hold every expanded template against the table where the emulator validates it: before a change set exists."""
    emulators_own = changesets.validate_template_support

    def validate(template: Any, holding: Any, params: Any = None) -> None:
        conditions.check(template)  # ValidateTemplate takes conditions that cannot be evaluated for unknown ones
        check_structure(template, holding)
        emulators_own(template, holding, params)
        if template.get("Transform"):
            return  # ValidateTemplate sees templates before the transform; a deployment comes here after it
        for finding in check(template, holding):
            _logger.info("without local effect: %s", finding)

    changesets.validate_template_support = validate
    requests.validate_template_support = validate


__all__ = ["UnsupportedTemplateError", "install"]

"""For each resource type of a template: properties, others to update to, and how to read them back from the service.

What is read is written as the template would write it; lists of tags and of named things are in the template's order.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

Properties = dict[str, Any]
ACCOUNT = "000000000000"


@dataclass(frozen=True)
class Spec:
    """A resource: as it is made, as it is updated in place, what replaces it, and what reads it."""

    first: Properties
    second: Properties
    read: Callable[[Any, str], Properties]
    #: Values for the properties whose change replaces the resource.
    replaced: Properties = field(default_factory=dict)
    #: Properties that cannot be read back, with what is read instead under this name.
    needs: Mapping[str, Any] = field(default_factory=dict)


def _tags(*pairs: tuple[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in pairs]


def _own(tags: list[dict[str, str]]) -> list[dict[str, str]]:
    return sorted(
        (tag for tag in tags if not tag["Key"].startswith("aws:")), key=lambda tag: (tag["Key"], tag["Value"])
    )


def _of_map(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return _own([{"Key": key, "Value": value} for key, value in tags.items()])


def _document(text: str | Mapping[str, Any]) -> Any:
    return json.loads(unquote(text)) if isinstance(text, str) else text


def _statement(principal: Any, action: str, resource: str, effect: str = "Allow") -> dict[str, Any]:
    one = {"Effect": effect, "Principal": principal, "Action": action, "Resource": resource}
    return {"Version": "2012-10-17", "Statement": [one]}


def _grant(action: str) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, "Resource": "*"}]}


def _trust(service: str) -> dict[str, Any]:
    one = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return {"Version": "2012-10-17", "Statement": [one]}


def read_bucket(cloud: Any, name: str) -> Properties:
    """AWS::S3::Bucket."""
    s3 = cloud.client("s3")
    s3.head_bucket(Bucket=name)
    return {
        "BucketName": name,
        "Tags": _own(s3.get_bucket_tagging(Bucket=name)["TagSet"]),
        "VersioningConfiguration": {"Status": s3.get_bucket_versioning(Bucket=name)["Status"]},
        "PublicAccessBlockConfiguration": s3.get_public_access_block(Bucket=name)["PublicAccessBlockConfiguration"],
        "OwnershipControls": {"Rules": s3.get_bucket_ownership_controls(Bucket=name)["OwnershipControls"]["Rules"]},
    }


def read_bucket_policy(cloud: Any, _physical_id: str) -> Properties:
    """AWS::S3::BucketPolicy."""
    s3 = cloud.client("s3")
    for bucket in ("prop-policy-1", "prop-policy-2"):
        try:
            found = s3.get_bucket_policy(Bucket=bucket)["Policy"]
        except s3.exceptions.ClientError:
            continue
        return {"Bucket": bucket, "PolicyDocument": _document(found)}
    raise LookupError("no bucket has the policy")


def read_secret(cloud: Any, arn: str) -> Properties:
    """AWS::SecretsManager::Secret."""
    secrets = cloud.client("secretsmanager")
    found = secrets.describe_secret(SecretId=arn)
    return {
        "Name": found["Name"],
        "Description": found["Description"],
        "SecretString": secrets.get_secret_value(SecretId=arn)["SecretString"],
        "Tags": _own(found["Tags"]),
    }


def read_parameter(cloud: Any, name: str) -> Properties:
    """AWS::SSM::Parameter."""
    ssm = cloud.client("ssm")
    (found,) = ssm.describe_parameters(ParameterFilters=[{"Key": "Name", "Values": [name]}])["Parameters"]
    tags = ssm.list_tags_for_resource(ResourceType="Parameter", ResourceId=name)["TagList"]
    return {
        "Name": found["Name"],
        "Type": found["Type"],
        "Value": ssm.get_parameter(Name=name)["Parameter"]["Value"],
        "Description": found["Description"],
        "AllowedPattern": found.get("AllowedPattern"),
        "Tags": {tag["Key"]: tag["Value"] for tag in _own(tags)},
    }


def read_queue(cloud: Any, url: str) -> Properties:
    """AWS::SQS::Queue."""
    sqs = cloud.client("sqs")
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    numbers = ("DelaySeconds", "MaximumMessageSize", "MessageRetentionPeriod", "ReceiveMessageWaitTimeSeconds")
    return {
        "QueueName": found["QueueArn"].rpartition(":")[2],
        **{name: int(found[name]) for name in (*numbers, "VisibilityTimeout")},
        **{name: _document(found[name]) for name in ("RedrivePolicy", "RedriveAllowPolicy")},
        "Tags": _of_map(sqs.list_queue_tags(QueueUrl=url).get("Tags", {})),
    }


def read_queue_policy(cloud: Any, _physical_id: str) -> Properties:
    """AWS::SQS::QueuePolicy."""
    url = cloud.client("sqs").get_queue_url(QueueName="prop-target")["QueueUrl"]
    found = cloud.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"])["Attributes"]
    return {"Queues": [url], "PolicyDocument": _document(found["Policy"])}


def read_topic(cloud: Any, arn: str) -> Properties:
    """AWS::SNS::Topic."""
    sns = cloud.client("sns")
    found = sns.get_topic_attributes(TopicArn=arn)["Attributes"]
    subscriptions = sns.list_subscriptions_by_topic(TopicArn=arn)["Subscriptions"]
    return {
        "TopicName": arn.rpartition(":")[2],
        "DisplayName": found["DisplayName"],
        "Subscription": [{"Endpoint": one["Endpoint"], "Protocol": one["Protocol"]} for one in subscriptions],
        "Tags": _own(sns.list_tags_for_resource(ResourceArn=arn)["Tags"]),
    }


def read_topic_policy(cloud: Any, _physical_id: str) -> Properties:
    """AWS::SNS::TopicPolicy."""
    arn = f"arn:aws:sns:us-east-1:{ACCOUNT}:prop-target"
    return {
        "Topics": [arn],
        "PolicyDocument": _document(cloud.client("sns").get_topic_attributes(TopicArn=arn)["Attributes"]["Policy"]),
    }


def read_subscription(cloud: Any, arn: str) -> Properties:
    """AWS::SNS::Subscription."""
    found = cloud.client("sns").get_subscription_attributes(SubscriptionArn=arn)["Attributes"]
    return {
        **{name: found[name] for name in ("TopicArn", "Endpoint", "Protocol", "FilterPolicyScope")},
        "RawMessageDelivery": found["RawMessageDelivery"] == "true",
        **{name: _document(found[name]) for name in ("FilterPolicy", "RedrivePolicy")},
    }


def read_role(cloud: Any, name: str) -> Properties:
    """AWS::IAM::Role."""
    iam = cloud.client("iam")
    found = iam.get_role(RoleName=name)["Role"]
    policies = iam.list_role_policies(RoleName=name)["PolicyNames"]
    return {
        "RoleName": found["RoleName"],
        "Path": found["Path"],
        "Description": found["Description"],
        "AssumeRolePolicyDocument": found["AssumeRolePolicyDocument"],
        "ManagedPolicyArns": [
            one["PolicyArn"] for one in iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
        ],
        "Policies": [
            {
                "PolicyName": policy,
                "PolicyDocument": _document(iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]),
            }
            for policy in policies
        ],
        "Tags": _own(iam.list_role_tags(RoleName=name)["Tags"]),
    }


def read_policy(cloud: Any, _physical_id: str) -> Properties:
    """AWS::IAM::Policy."""
    iam = cloud.client("iam")
    for role in ("prop-plain-1", "prop-plain-2"):
        for name in iam.list_role_policies(RoleName=role)["PolicyNames"]:
            found = iam.get_role_policy(RoleName=role, PolicyName=name)
            return {"PolicyName": name, "PolicyDocument": _document(found["PolicyDocument"]), "Roles": [role]}
    raise LookupError("no role has the policy")


def read_managed_policy(cloud: Any, arn: str) -> Properties:
    """AWS::IAM::ManagedPolicy."""
    iam = cloud.client("iam")
    found = iam.get_policy(PolicyArn=arn)["Policy"]
    version = iam.get_policy_version(PolicyArn=arn, VersionId=found["DefaultVersionId"])["PolicyVersion"]
    roles = iam.list_entities_for_policy(PolicyArn=arn)["PolicyRoles"]
    return {
        "ManagedPolicyName": found["PolicyName"],
        "Description": found["Description"],
        "Path": found["Path"],
        "PolicyDocument": _document(version["Document"]),
        "Roles": [role["RoleName"] for role in roles],
    }


def read_function(cloud: Any, name: str) -> Properties:
    """AWS::Lambda::Function."""
    found = cloud.client("lambda").get_function(FunctionName=name)
    config = found["Configuration"]
    image = config["ImageConfigResponse"]["ImageConfig"]
    return {
        **{key: config[key] for key in ("FunctionName", "Description", "PackageType", "Role", "Timeout", "MemorySize")},
        "Code": {"ImageUri": found["Code"]["ImageUri"]},
        "ImageConfig": {key: image[key] for key in ("Command", "EntryPoint", "WorkingDirectory")},
        "Environment": {"Variables": config["Environment"]["Variables"]},
        "EphemeralStorage": config["EphemeralStorage"],
        "ReservedConcurrentExecutions": found["Concurrency"]["ReservedConcurrentExecutions"],
        "DeadLetterConfig": config["DeadLetterConfig"],
        "LoggingConfig": {"LogGroup": config["LoggingConfig"]["LogGroup"]},
        "Tags": _of_map(found["Tags"]),
    }


def read_permission(cloud: Any, _physical_id: str) -> Properties:
    """AWS::Lambda::Permission."""
    for function in ("sample-fail", "sample-keep"):
        try:
            policy = json.loads(cloud.client("lambda").get_policy(FunctionName=function)["Policy"])
        except cloud.client("lambda").exceptions.ResourceNotFoundException:
            continue
        for statement in policy["Statement"]:
            condition = statement.get("Condition", {})
            if condition.get("ArnLike", {}).get("AWS:SourceArn", "").endswith(("prop-one", "prop-two")):
                return {
                    "Action": statement["Action"],
                    "FunctionName": function,
                    "Principal": statement["Principal"]["Service"],
                    "SourceAccount": condition["StringEquals"]["AWS:SourceAccount"],
                    "SourceArn": condition["ArnLike"]["AWS:SourceArn"],
                }
    raise LookupError("no function has the permission")


def read_invoke_config(cloud: Any, _physical_id: str) -> Properties:
    """AWS::Lambda::EventInvokeConfig."""
    for function in ("sample-fail", "sample-keep"):
        try:
            found = cloud.client("lambda").get_function_event_invoke_config(FunctionName=function, Qualifier="$LATEST")
        except cloud.client("lambda").exceptions.ResourceNotFoundException:
            continue
        return {
            "FunctionName": function,
            "Qualifier": found["FunctionArn"].rpartition(":")[2],
            "MaximumEventAgeInSeconds": found["MaximumEventAgeInSeconds"],
            "MaximumRetryAttempts": found["MaximumRetryAttempts"],
            "DestinationConfig": {"OnFailure": found["DestinationConfig"]["OnFailure"]},
        }
    raise LookupError("no function has the configuration")


def read_log_group(cloud: Any, name: str) -> Properties:
    """AWS::Logs::LogGroup."""
    logs = cloud.client("logs")
    (found,) = logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    return {
        "LogGroupName": found["logGroupName"],
        "LogGroupClass": found["logGroupClass"],
        "Tags": _of_map(logs.list_tags_log_group(logGroupName=name)["tags"]),
    }


def read_rule(cloud: Any, physical_id: str) -> Properties:
    """AWS::Events::Rule."""
    events = cloud.client("events")
    bus, _, name = physical_id.rpartition("|")
    found = events.describe_rule(Name=name, EventBusName=bus or "default")
    return {
        **{key: found.get(key) for key in ("Name", "Description", "EventBusName", "ScheduleExpression", "State")},
        "EventPattern": _document(found["EventPattern"]),
        "Targets": events.list_targets_by_rule(Rule=name, EventBusName=bus or "default")["Targets"],
        "Tags": _own(events.list_tags_for_resource(ResourceARN=found["Arn"])["Tags"]),
    }


def read_alarm(cloud: Any, name: str) -> Properties:
    """AWS::CloudWatch::Alarm."""
    cloudwatch = cloud.client("cloudwatch")
    (found,) = cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"]
    tags = cloudwatch.list_tags_for_resource(ResourceARN=found["AlarmArn"])["Tags"]
    return {**found, "Tags": _own(tags)}


def read_machine(cloud: Any, arn: str) -> Properties:
    """AWS::StepFunctions::StateMachine; the definition is read under each of its names."""
    states = cloud.client("stepfunctions")
    found = states.describe_state_machine(stateMachineArn=arn)
    logging = found["loggingConfiguration"]
    group = logging["destinations"][0]["cloudWatchLogsLogGroup"]["logGroupArn"]
    return {
        "StateMachineName": found["name"],
        "StateMachineType": found["type"],
        "RoleArn": found["roleArn"],
        "DefinitionString": json.loads(found["definition"]),
        "LoggingConfiguration": {
            "Level": logging["level"],
            "IncludeExecutionData": logging["includeExecutionData"],
            "Destinations": [{"CloudWatchLogsLogGroup": {"LogGroupArn": group}}],
        },
        "Tags": _of_map({tag["key"]: tag["value"] for tag in states.list_tags_for_resource(resourceArn=arn)["tags"]}),
    }


def read_package_group(cloud: Any, name: str) -> Properties:
    """AWS::SageMaker::ModelPackageGroup."""
    sagemaker = cloud.client("sagemaker")
    found = sagemaker.describe_model_package_group(ModelPackageGroupName=name)
    return {
        "ModelPackageGroupName": found["ModelPackageGroupName"],
        "ModelPackageGroupDescription": found["ModelPackageGroupDescription"],
        "Tags": _own(sagemaker.list_tags(ResourceArn=found["ModelPackageGroupArn"])["Tags"]),
    }

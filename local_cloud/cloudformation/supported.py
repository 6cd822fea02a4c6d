"""What a template may say in the local cloud: resource types, their properties, and what each does here.

A property is one of

- ``EFFECT``: it does here what it does on AWS;
- ``anything``: it takes effect, and what stands below it is free (policies, tags, event patterns);
- ``NoEffect(reason)``: it is accepted, and the reason says what does not happen here;
- a mapping: a structure (or a list of such structures) with these properties.

Whatever is not in the table stops a deployment before anything is created.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class NoEffect:
    """A property that is accepted without local effect; ``reason`` says what does not happen."""

    reason: str


class _Effect:
    """A property that does here what it does on AWS."""


class _Anything:
    """A property that takes effect whatever stands below it."""


EFFECT = _Effect()
anything = _Anything()

Rule = _Effect | _Anything | NoEffect | Mapping[str, "Rule"]
Properties = Mapping[str, Rule]

_XRAY = NoEffect("X-Ray traces are not recorded")
_AT_REST = NoEffect("files lie unencrypted in the state directory; the setting is stored and answered")
_NOT_AGED = NoEffect("the rules are stored and answered; nothing is removed by age")
_ONE_MACHINE = NoEffect("programs run on this machine's processor")

RESOURCES: Mapping[str, Properties] = {
    "AWS::S3::Bucket": {
        "BucketName": EFFECT,
        "Tags": anything,
        "VersioningConfiguration": {"Status": EFFECT},
        "BucketEncryption": {
            "ServerSideEncryptionConfiguration": {
                "BucketKeyEnabled": _AT_REST,
                "ServerSideEncryptionByDefault": {"SSEAlgorithm": _AT_REST, "KMSMasterKeyID": _AT_REST},
            }
        },
        "PublicAccessBlockConfiguration": {
            "BlockPublicAcls": EFFECT,
            "BlockPublicPolicy": EFFECT,
            "IgnorePublicAcls": EFFECT,
            "RestrictPublicBuckets": EFFECT,
        },
        "OwnershipControls": {"Rules": {"ObjectOwnership": EFFECT}},
        "LifecycleConfiguration": {
            "Rules": {
                "Id": _NOT_AGED,
                "Status": _NOT_AGED,
                "Prefix": _NOT_AGED,
                "ExpirationInDays": _NOT_AGED,
                "ExpiredObjectDeleteMarker": _NOT_AGED,
                "NoncurrentVersionExpiration": {"NoncurrentDays": _NOT_AGED, "NewerNoncurrentVersions": _NOT_AGED},
                "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": _NOT_AGED},
            }
        },
    },
    "AWS::S3::BucketPolicy": {"Bucket": EFFECT, "PolicyDocument": anything},
    "AWS::SecretsManager::Secret": {
        "Name": EFFECT,
        "Description": EFFECT,
        "SecretString": EFFECT,
        "GenerateSecretString": {
            "SecretStringTemplate": EFFECT,
            "GenerateStringKey": EFFECT,
            "PasswordLength": EFFECT,
            "ExcludeCharacters": EFFECT,
        },
        "KmsKeyId": _AT_REST,
        "Tags": anything,
    },
    "AWS::SSM::Parameter": {
        "Name": EFFECT,
        "Type": EFFECT,
        "Value": EFFECT,
        "Description": EFFECT,
        "AllowedPattern": EFFECT,
        "Tags": anything,
    },
    "AWS::SQS::Queue": {
        "QueueName": EFFECT,
        "DelaySeconds": EFFECT,
        "MaximumMessageSize": EFFECT,
        "MessageRetentionPeriod": EFFECT,
        "ReceiveMessageWaitTimeSeconds": EFFECT,
        "VisibilityTimeout": EFFECT,
        "RedrivePolicy": anything,
        "RedriveAllowPolicy": anything,
        "SqsManagedSseEnabled": _AT_REST,
        "KmsMasterKeyId": _AT_REST,
        "KmsDataKeyReusePeriodSeconds": _AT_REST,
        "Tags": anything,
    },
    "AWS::SQS::QueuePolicy": {"Queues": EFFECT, "PolicyDocument": anything},
    "AWS::SNS::Topic": {
        "TopicName": EFFECT,
        "DisplayName": EFFECT,
        "KmsMasterKeyId": _AT_REST,
        "Subscription": {"Endpoint": EFFECT, "Protocol": EFFECT},
        "Tags": anything,
    },
    "AWS::SNS::TopicPolicy": {"Topics": EFFECT, "PolicyDocument": anything},
    "AWS::SNS::Subscription": {
        "TopicArn": EFFECT,
        "Endpoint": EFFECT,
        "Protocol": EFFECT,
        "FilterPolicy": anything,
        "FilterPolicyScope": EFFECT,
        "RawMessageDelivery": EFFECT,
        "RedrivePolicy": anything,
    },
    "AWS::IAM::Role": {
        "RoleName": EFFECT,
        "Path": EFFECT,
        "Description": EFFECT,
        "AssumeRolePolicyDocument": anything,
        "ManagedPolicyArns": EFFECT,
        "Policies": {"PolicyName": EFFECT, "PolicyDocument": anything},
        "MaxSessionDuration": NoEffect("a session of a role lasts twelve hours here"),
        "Tags": anything,
    },
    "AWS::IAM::Policy": {"PolicyName": EFFECT, "PolicyDocument": anything, "Roles": EFFECT},
    "AWS::IAM::ManagedPolicy": {
        "ManagedPolicyName": EFFECT,
        "Description": EFFECT,
        "Path": EFFECT,
        "PolicyDocument": anything,
        "Roles": EFFECT,
    },
    "AWS::Lambda::Function": {
        "FunctionName": EFFECT,
        "Description": EFFECT,
        "PackageType": EFFECT,
        "Code": {"ImageUri": EFFECT},
        "ImageConfig": {"Command": EFFECT, "EntryPoint": EFFECT, "WorkingDirectory": EFFECT},
        "Role": EFFECT,
        "Environment": {"Variables": anything},
        "Timeout": EFFECT,
        "MemorySize": EFFECT,
        "EphemeralStorage": {"Size": EFFECT},
        "ReservedConcurrentExecutions": EFFECT,
        "DeadLetterConfig": {"TargetArn": EFFECT},
        "LoggingConfig": {
            "LogGroup": EFFECT,
            "LogFormat": NoEffect("the platform's own log lines stay text"),
            "ApplicationLogLevel": NoEffect("every log line is kept"),
            "SystemLogLevel": NoEffect("every log line is kept"),
        },
        "TracingConfig": {"Mode": _XRAY},
        "Architectures": _ONE_MACHINE,
        "Tags": anything,
    },
    "AWS::Lambda::Permission": {
        "Action": EFFECT,
        "FunctionName": EFFECT,
        "Principal": EFFECT,
        "SourceAccount": EFFECT,
        "SourceArn": EFFECT,
    },
    "AWS::Lambda::EventInvokeConfig": {
        "FunctionName": EFFECT,
        "Qualifier": EFFECT,
        "MaximumEventAgeInSeconds": EFFECT,
        "MaximumRetryAttempts": EFFECT,
        "DestinationConfig": {"OnFailure": {"Destination": EFFECT}},
    },
    "AWS::Logs::LogGroup": {
        "LogGroupName": EFFECT,
        "LogGroupClass": EFFECT,
        "RetentionInDays": _NOT_AGED,
        "Tags": anything,
    },
    "AWS::Events::Rule": {
        "Name": EFFECT,
        "Description": EFFECT,
        "EventBusName": EFFECT,
        "EventPattern": anything,
        "ScheduleExpression": EFFECT,
        "State": EFFECT,
        "Targets": {
            "Id": EFFECT,
            "Arn": EFFECT,
            "Input": EFFECT,
            "InputPath": EFFECT,
            "InputTransformer": anything,
            "RoleArn": EFFECT,
            "SqsParameters": {"MessageGroupId": EFFECT},
            "RetryPolicy": {"MaximumEventAgeInSeconds": EFFECT, "MaximumRetryAttempts": EFFECT},
            "DeadLetterConfig": {"Arn": EFFECT},
        },
        "Tags": anything,
    },
    "AWS::CloudWatch::Alarm": {
        "AlarmName": EFFECT,
        "AlarmDescription": EFFECT,
        "ActionsEnabled": EFFECT,
        "AlarmActions": EFFECT,
        "OKActions": EFFECT,
        "InsufficientDataActions": EFFECT,
        "ComparisonOperator": EFFECT,
        "DatapointsToAlarm": EFFECT,
        "Dimensions": {"Name": EFFECT, "Value": EFFECT},
        "EvaluationPeriods": EFFECT,
        "MetricName": EFFECT,
        "Namespace": EFFECT,
        "Period": EFFECT,
        "Statistic": EFFECT,
        "ExtendedStatistic": EFFECT,
        "Threshold": EFFECT,
        "TreatMissingData": EFFECT,
        "Unit": EFFECT,
        "Tags": anything,
    },
    "AWS::SageMaker::ModelPackageGroup": {
        "ModelPackageGroupName": EFFECT,
        "ModelPackageGroupDescription": EFFECT,
        "Tags": anything,
    },
    "AWS::StepFunctions::StateMachine": {
        "StateMachineName": EFFECT,
        "StateMachineType": EFFECT,
        "RoleArn": EFFECT,
        "Definition": anything,
        "DefinitionString": EFFECT,
        "DefinitionS3Location": {"Bucket": EFFECT, "Key": EFFECT, "Version": EFFECT},
        "DefinitionSubstitutions": anything,
        "LoggingConfiguration": {
            "Level": EFFECT,
            "IncludeExecutionData": EFFECT,
            "Destinations": {"CloudWatchLogsLogGroup": {"LogGroupArn": EFFECT}},
        },
        "TracingConfiguration": {"Enabled": _XRAY},
        "Tags": anything,
    },
}

# Attributes beside Type and Properties. DependsOn, Condition and both policies take effect; Metadata is for people.
RESOURCE_ATTRIBUTES = frozenset(
    {"Type", "Properties", "DependsOn", "Condition", "Metadata", "DeletionPolicy", "UpdateReplacePolicy"}
)

# Values that mean something the local cloud does not do, by resource type and path.
_UNDELIVERED = "nothing is delivered there from here"
_NO_DELIVERY: Mapping[object, str] = dict.fromkeys(("sms", "application", "firehose"), _UNDELIVERED)
UNSUPPORTED_VALUES: Mapping[tuple[str, str], Mapping[object, str]] = {
    ("AWS::SNS::Subscription", "Protocol"): _NO_DELIVERY,
    ("AWS::SNS::Topic", "Subscription.Protocol"): _NO_DELIVERY,
    ("AWS::Lambda::Function", "PackageType"): {"Zip": "functions run from container images here"},
    ("AWS::StepFunctions::StateMachine", "StateMachineType"): {"EXPRESS": "only STANDARD state machines run here"},
}

# Values that are accepted without local effect.
_NO_EMAIL = "no e-mail is sent; the subscription stays unconfirmed"
VALUES_WITHOUT_EFFECT: Mapping[tuple[str, str], Mapping[object, str]] = {
    ("AWS::SNS::Subscription", "Protocol"): {"email": _NO_EMAIL, "email-json": _NO_EMAIL},
    ("AWS::SNS::Topic", "Subscription.Protocol"): {"email": _NO_EMAIL, "email-json": _NO_EMAIL},
}

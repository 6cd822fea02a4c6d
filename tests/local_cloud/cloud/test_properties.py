"""Every property that a template may have takes effect: what it says is what the service answers, made or updated."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_cloud.cloudformation.supported import RESOURCES, NoEffect
from tests.local_cloud.cloud import property_specs as read
from tests.local_cloud.cloud.property_specs import ACCOUNT, Spec, _grant, _statement, _tags, _trust
from tests.local_cloud.cloud.stack import Stack

ARN = "arn:aws:{}:us-east-1:" + ACCOUNT + ":{}"
QUEUE = ARN.format("sqs", "prop-target")
TOPIC, OTHER_TOPIC = ARN.format("sns", "prop-target"), ARN.format("sns", "prop-other")
DEAD = ARN.format("sqs", "prop-dead")
ROLE = f"arn:aws:iam::{ACCOUNT}:role/prop-"
RULE = ARN.format("events", "rule/")
READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"
LOG_GROUP = ARN.format("logs", "log-group:/prop/machine{}:*")
SENDER = {"Service": "sns.amazonaws.com"}
ALARM = {
    "AlarmDescription": "d1",
    "ActionsEnabled": True,
    "AlarmActions": [TOPIC],
    "OKActions": [TOPIC],
    "InsufficientDataActions": [TOPIC],
    "ComparisonOperator": "GreaterThanThreshold",
    "DatapointsToAlarm": 1,
    "Dimensions": [{"Name": "a", "Value": "1"}],
    "EvaluationPeriods": 2,
    "MetricName": "m",
    "Namespace": "n",
    "Period": 60,
    "Statistic": "Sum",
    "Threshold": 1.0,
    "TreatMissingData": "ignore",
    "Unit": "Count",
    "Tags": _tags(("a", "1")),
}


def _definition(result: str) -> str:
    return json.dumps({"StartAt": "A", "States": {"A": {"Type": "Pass", "Result": result, "End": True}}})


def specs(image: str) -> dict[str, Spec]:
    """The resources, by type; `image` is the URI of a function's image that has been built."""
    return {
        "AWS::S3::Bucket": Spec(
            {
                "BucketName": "prop-bucket-1",
                "Tags": _tags(("a", "1")),
                "VersioningConfiguration": {"Status": "Enabled"},
                "PublicAccessBlockConfiguration": dict.fromkeys(
                    ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"), True
                ),
                "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
            },
            {
                "Tags": _tags(("a", "2"), ("b", "3")),
                "VersioningConfiguration": {"Status": "Suspended"},
                "PublicAccessBlockConfiguration": dict.fromkeys(
                    ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"), False
                ),
                "OwnershipControls": {"Rules": [{"ObjectOwnership": "ObjectWriter"}]},
            },
            read.read_bucket,
            {"BucketName": "prop-bucket-2"},
        ),
        "AWS::S3::BucketPolicy": Spec(
            {
                "Bucket": "prop-policy-1",
                "PolicyDocument": _statement("*", "s3:GetObject", "arn:aws:s3:::prop-policy-1/*", "Deny"),
            },
            {"PolicyDocument": _statement("*", "s3:PutObject", "arn:aws:s3:::prop-policy-1/*", "Deny")},
            read.read_bucket_policy,
            {
                "Bucket": "prop-policy-2",
                "PolicyDocument": _statement("*", "s3:PutObject", "arn:aws:s3:::prop-policy-2/*", "Deny"),
            },
        ),
        "AWS::SecretsManager::Secret": Spec(
            {"Name": "prop-1", "Description": "d1", "SecretString": "s1", "Tags": _tags(("a", "1"))},
            {"Description": "d2", "SecretString": "s2", "Tags": _tags(("a", "2"))},
            read.read_secret,
            {"Name": "prop-2"},
        ),
        "AWS::SSM::Parameter": Spec(
            {
                "Name": "/prop/1",
                "Type": "String",
                "Value": "v1",
                "Description": "d1",
                "AllowedPattern": "v.*",
                "Tags": {"a": "1"},
            },
            {"Type": "StringList", "Value": "w,2", "Description": "d2", "AllowedPattern": "w.*", "Tags": {"a": "2"}},
            read.read_parameter,
            {"Name": "/prop/2"},
        ),
        "AWS::SQS::Queue": Spec(
            {
                "QueueName": "prop-queue-1",
                "DelaySeconds": 1,
                "MaximumMessageSize": 2048,
                "MessageRetentionPeriod": 100,
                "ReceiveMessageWaitTimeSeconds": 3,
                "VisibilityTimeout": 4,
                "RedrivePolicy": {"deadLetterTargetArn": DEAD, "maxReceiveCount": 5},
                "RedriveAllowPolicy": {"redrivePermission": "denyAll"},
                "Tags": _tags(("a", "1")),
            },
            {
                "DelaySeconds": 11,
                "MaximumMessageSize": 4096,
                "MessageRetentionPeriod": 200,
                "ReceiveMessageWaitTimeSeconds": 13,
                "VisibilityTimeout": 14,
                "RedrivePolicy": {"deadLetterTargetArn": DEAD, "maxReceiveCount": 15},
                "RedriveAllowPolicy": {"redrivePermission": "allowAll"},
                "Tags": _tags(("b", "2")),
            },
            read.read_queue,
            {"QueueName": "prop-queue-2"},
        ),
        "AWS::SQS::QueuePolicy": Spec(
            {"Queues": ["{queue_url}"], "PolicyDocument": _statement(SENDER, "sqs:SendMessage", QUEUE)},
            {"PolicyDocument": _statement(SENDER, "sqs:ReceiveMessage", QUEUE)},
            read.read_queue_policy,
        ),
        "AWS::SNS::Topic": Spec(
            {
                "TopicName": "prop-topic-1",
                "DisplayName": "d1",
                "Subscription": [{"Endpoint": QUEUE, "Protocol": "sqs"}],
                "Tags": _tags(("a", "1")),
            },
            {
                "DisplayName": "d2",
                "Subscription": [{"Endpoint": DEAD, "Protocol": "sqs"}],
                "Tags": _tags(("a", "2")),
            },
            read.read_topic,
            {"TopicName": "prop-topic-2"},
        ),
        "AWS::SNS::TopicPolicy": Spec(
            {"Topics": [TOPIC], "PolicyDocument": _statement(SENDER, "sns:Publish", TOPIC)},
            {"PolicyDocument": _statement({"AWS": ACCOUNT}, "sns:Publish", TOPIC)},
            read.read_topic_policy,
        ),
        "AWS::SNS::Subscription": Spec(
            {
                "TopicArn": TOPIC,
                "Endpoint": QUEUE,
                "Protocol": "sqs",
                "FilterPolicy": {"kind": ["a"]},
                "FilterPolicyScope": "MessageAttributes",
                "RawMessageDelivery": True,
                "RedrivePolicy": {"deadLetterTargetArn": DEAD},
            },
            {
                "FilterPolicy": {"kind": ["b"]},
                "FilterPolicyScope": "MessageBody",
                "RawMessageDelivery": False,
                "RedrivePolicy": {"deadLetterTargetArn": QUEUE},
            },
            read.read_subscription,
            {"TopicArn": OTHER_TOPIC, "Endpoint": DEAD, "Protocol": "sqs"},
        ),
        "AWS::IAM::Role": Spec(
            {
                "RoleName": "prop-role-1",
                "Path": "/one/",
                "Description": "d1",
                "AssumeRolePolicyDocument": _trust("lambda.amazonaws.com"),
                "ManagedPolicyArns": [READ_ONLY],
                "Policies": [{"PolicyName": "p1", "PolicyDocument": _grant("s3:ListAllMyBuckets")}],
                "Tags": _tags(("a", "1")),
            },
            {
                "Description": "d2",
                "AssumeRolePolicyDocument": _trust("states.amazonaws.com"),
                "ManagedPolicyArns": ["arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"],
                "Policies": [{"PolicyName": "p2", "PolicyDocument": _grant("sns:ListTopics")}],
                "Tags": _tags(("b", "2")),
            },
            read.read_role,
            {"RoleName": "prop-role-2", "Path": "/two/"},
        ),
        "AWS::IAM::Policy": Spec(
            {"PolicyName": "p1", "PolicyDocument": _grant("s3:ListAllMyBuckets"), "Roles": ["prop-plain-1"]},
            {"PolicyName": "p2", "PolicyDocument": _grant("sns:ListTopics"), "Roles": ["prop-plain-2"]},
            read.read_policy,
        ),
        "AWS::IAM::ManagedPolicy": Spec(
            {
                "ManagedPolicyName": "prop-managed-1",
                "Description": "d1",
                "Path": "/one/",
                "PolicyDocument": _grant("s3:ListAllMyBuckets"),
                "Roles": ["prop-plain-1"],
            },
            {"PolicyDocument": _grant("sns:ListTopics"), "Roles": ["prop-plain-2"]},
            read.read_managed_policy,
            {"ManagedPolicyName": "prop-managed-2", "Description": "d2", "Path": "/two/"},
        ),
        "AWS::Lambda::Function": Spec(
            {
                "FunctionName": "prop-function-1",
                "Description": "d1",
                "PackageType": "Image",
                "Code": {"ImageUri": image},
                "ImageConfig": {"Command": ["handlers.keep"], "EntryPoint": ["/one"], "WorkingDirectory": "/opt"},
                "Role": ROLE + "function-1",
                "Environment": {"Variables": {"ONE": "1"}},
                "Timeout": 11,
                "MemorySize": 256,
                "EphemeralStorage": {"Size": 1024},
                "ReservedConcurrentExecutions": 2,
                "DeadLetterConfig": {"TargetArn": QUEUE},
                "LoggingConfig": {"LogGroup": "/prop/one"},
                "Tags": _tags(("a", "1")),
            },
            {
                "Description": "d2",
                "Code": {"ImageUri": image.replace("keep", "fail")},
                "ImageConfig": {"Command": ["handlers.fail"], "EntryPoint": ["/two"], "WorkingDirectory": "/var"},
                "Role": ROLE + "function-2",
                "Environment": {"Variables": {"TWO": "2"}},
                "Timeout": 12,
                "MemorySize": 512,
                "EphemeralStorage": {"Size": 2048},
                "ReservedConcurrentExecutions": 1,
                "DeadLetterConfig": {"TargetArn": DEAD},
                "LoggingConfig": {"LogGroup": "/prop/two"},
                "Tags": _tags(("b", "2")),
            },
            read.read_function,
            {"FunctionName": "prop-function-2"},
        ),
        "AWS::Lambda::Permission": Spec(
            {
                "Action": "lambda:InvokeFunction",
                "FunctionName": "sample-fail",
                "Principal": "events.amazonaws.com",
                "SourceAccount": ACCOUNT,
                "SourceArn": RULE + "prop-one",
            },
            {},
            read.read_permission,
            {
                "Action": "lambda:*",
                "FunctionName": "sample-keep",
                "Principal": "sns.amazonaws.com",
                "SourceAccount": "111111111111",
                "SourceArn": RULE + "prop-two",
            },
        ),
        "AWS::Lambda::EventInvokeConfig": Spec(
            {
                "FunctionName": "sample-fail",
                "Qualifier": "$LATEST",
                "MaximumEventAgeInSeconds": 100,
                "MaximumRetryAttempts": 1,
                "DestinationConfig": {"OnFailure": {"Destination": QUEUE}},
            },
            {
                "MaximumEventAgeInSeconds": 200,
                "MaximumRetryAttempts": 0,
                "DestinationConfig": {"OnFailure": {"Destination": DEAD}},
            },
            read.read_invoke_config,
        ),
        "AWS::Logs::LogGroup": Spec(
            {"LogGroupName": "/prop/logs/1", "LogGroupClass": "STANDARD", "Tags": _tags(("a", "1"))},
            {"Tags": _tags(("b", "2"))},
            read.read_log_group,
            {"LogGroupName": "/prop/logs/2"},
        ),
        "AWS::Events::Rule": Spec(
            {
                "Name": "prop-rule-1",
                "Description": "d1",
                "EventBusName": "default",
                "EventPattern": {"source": ["prop.one"]},
                "ScheduleExpression": "rate(1 day)",
                "State": "ENABLED",
                "Targets": [
                    {
                        "Id": "a",
                        "Arn": QUEUE,
                        "InputPath": "$.detail",
                        "RoleArn": ROLE + "machine-1",
                        "RetryPolicy": {"MaximumEventAgeInSeconds": 60, "MaximumRetryAttempts": 1},
                        "DeadLetterConfig": {"Arn": DEAD},
                    },
                    {"Id": "b", "Arn": QUEUE, "Input": '"one"'},
                    {"Id": "c", "Arn": QUEUE, "InputTransformer": {"InputTemplate": '"x"'}},
                ],
                "Tags": _tags(("a", "1")),
            },
            {
                "Description": "d2",
                "EventPattern": {"source": ["prop.two"]},
                "ScheduleExpression": "rate(2 days)",
                "State": "DISABLED",
                "Targets": [{"Id": "b", "Arn": DEAD, "Input": '"two"', "SqsParameters": {"MessageGroupId": "g"}}],
                "Tags": _tags(("a", "2")),
            },
            read.read_rule,
            {"Name": "prop-rule-2"},
        ),
        "AWS::CloudWatch::Alarm": Spec(
            {"AlarmName": "prop-alarm-1", **ALARM},
            {
                "AlarmDescription": "d2",
                "ActionsEnabled": False,
                "AlarmActions": [OTHER_TOPIC],
                "OKActions": [OTHER_TOPIC],
                "InsufficientDataActions": [OTHER_TOPIC],
                "ComparisonOperator": "LessThanThreshold",
                "DatapointsToAlarm": 2,
                "Dimensions": [{"Name": "b", "Value": "2"}],
                "EvaluationPeriods": 3,
                "MetricName": "m2",
                "Namespace": "n2",
                "Period": 120,
                "Statistic": None,
                "ExtendedStatistic": "p99.5",
                "Threshold": 2.5,
                "TreatMissingData": "breaching",
                "Unit": "Seconds",
                "Tags": _tags(("a", "2")),
            },
            read.read_alarm,
            {"AlarmName": "prop-alarm-2"},
        ),
        "AWS::SageMaker::ModelPackageGroup": Spec(
            {
                "ModelPackageGroupName": "prop-group-1",
                "ModelPackageGroupDescription": "d1",
                "Tags": _tags(("a", "1")),
            },
            {"Tags": _tags(("a", "2"))},
            read.read_package_group,
            {"ModelPackageGroupName": "prop-group-2", "ModelPackageGroupDescription": "d2"},
        ),
        "AWS::StepFunctions::StateMachine": Spec(
            {
                "StateMachineName": "prop-machine-1",
                "StateMachineType": "STANDARD",
                "RoleArn": ROLE + "machine-1",
                "DefinitionString": _definition("one"),
                "LoggingConfiguration": {
                    "Level": "ALL",
                    "IncludeExecutionData": True,
                    "Destinations": [{"CloudWatchLogsLogGroup": {"LogGroupArn": LOG_GROUP.format(1)}}],
                },
                "Tags": _tags(("a", "1")),
            },
            {
                "RoleArn": ROLE + "machine-2",
                "DefinitionString": _definition("two"),
                "LoggingConfiguration": {
                    "Level": "ERROR",
                    "IncludeExecutionData": False,
                    "Destinations": [{"CloudWatchLogsLogGroup": {"LogGroupArn": LOG_GROUP.format(2)}}],
                },
                "Tags": _tags(("b", "2")),
            },
            read.read_machine,
            {"StateMachineName": "prop-machine-2"},
        ),
    }


#: Properties whose effect another test shows, with its name.
ELSEWHERE = {
    ("AWS::SecretsManager::Secret", "GenerateSecretString"): "test_a_secret_is_generated_by_its_rules",
    ("AWS::StepFunctions::StateMachine", "Definition"): "test_a_definition_may_be_an_object_or_lie_in_s3",
    ("AWS::StepFunctions::StateMachine", "DefinitionS3Location"): "test_a_definition_may_be_an_object_or_lie_in_s3",
    ("AWS::StepFunctions::StateMachine", "DefinitionSubstitutions"): "test_a_definition_may_be_an_object_or_lie_in_s3",
}


@pytest.fixture(scope="module")
def image(cloud: Any) -> str:
    """The URI of an image, by a tag that names it."""
    return str(cloud.client("lambda").get_function(FunctionName="sample-keep")["Code"]["ImageUri"]).partition("@")[
        0
    ] + (":keep")


@pytest.fixture(scope="module")
def helpers(cloud: Any, image: str) -> Iterator[dict[str, str]]:
    """What the resources refer to."""
    sqs, sns, iam, s3 = (cloud.client(name) for name in ("sqs", "sns", "iam", "s3"))
    urls = [sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("prop-target", "prop-dead")]
    topics = [sns.create_topic(Name=name)["TopicArn"] for name in ("prop-target", "prop-other")]
    for name in ("prop-policy-1", "prop-policy-2"):
        s3.create_bucket(Bucket=name)
    for number in ("1", "2"):
        cloud.client("logs").create_log_group(logGroupName=f"/prop/machine{number}")
        for kind, service in (("plain", "lambda"), ("function", "lambda"), ("machine", "states")):
            name, trust = f"prop-{kind}-{number}", json.dumps(_trust(f"{service}.amazonaws.com"))
            iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)
        for kind, actions in (("machine", ["logs:*", "events:*"]), ("function", ["sqs:SendMessage"])):
            document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": actions, "Resource": "*"}]}
            name = f"prop-{kind}-{number}"
            iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=json.dumps(document))
    functions = [cloud.client("lambda").get_function(FunctionName=f"sample-{name}") for name in ("fail", "keep")]
    roles = [function["Configuration"]["Role"].rpartition("/")[2] for function in functions]
    for role in roles:  # whose failed events go to these queues
        iam.put_role_policy(RoleName=role, PolicyName="prop", PolicyDocument=json.dumps(document))
    yield {"queue_url": urls[0]}
    for role in roles:
        iam.delete_role_policy(RoleName=role, PolicyName="prop")
    for url in urls:
        sqs.delete_queue(QueueUrl=url)
    for topic in topics:
        sns.delete_topic(TopicArn=topic)


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Each scalar below a value, with its path; whatever is free (tags, policies) as one."""
    if isinstance(value, Mapping):
        for name, below in value.items():
            yield from _flat(below, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for item in value:
            yield from _flat(item, path)
    else:
        yield path, str(value)


def _written(given: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """The properties whose value was not found as it was given, with both."""
    differing = {}
    for name, value in given.items():
        if value is None:  # taken out of the template
            continue
        wanted = json.loads(value) if name == "DefinitionString" else value
        if sorted(_flat(wanted)) != sorted(_flat(found.get(name))):
            differing[name] = (value, found.get(name))
    return differing


@pytest.mark.parametrize("type_name", sorted(RESOURCES))
def test_every_property_takes_effect(cloud: Any, helpers: dict[str, str], image: str, type_name: str) -> None:
    """Made, updated in place and replaced, the service answers what the template says; then nothing is left."""
    spec = specs(image)[type_name]
    first = json.loads(json.dumps(spec.first).replace("{queue_url}", helpers["queue_url"]))
    stack = Stack(cloud, f"prop-{type_name.replace('::', '-')}")

    def resource(properties: Mapping[str, Any]) -> dict[str, Any]:
        given = {name: value for name, value in properties.items() if value is not None}
        return {"It": {"Type": type_name, "Properties": given}}

    def deploy(properties: Mapping[str, Any], *, update: bool = True) -> tuple[str, dict[str, tuple[Any, Any]]]:
        stack.deploy(resource(properties), update=update)
        return stack.physical("It"), _written(properties, spec.read(cloud, stack.physical("It")))

    made, first_differs = deploy(first, update=False)
    second = {**first, **spec.second}
    updated, second_differs = deploy(second) if spec.second else (made, {})
    third = {**second, **spec.replaced}
    says = {
        name: stack.changes(resource({**second, name: third[name]}))["It"][1]
        for name in spec.replaced
        if third[name] != second[name] and name in _create_only(type_name)
    }
    replaced, third_differs = deploy(third) if spec.replaced else (updated, {})
    stack.delete()

    assert first_differs == {}
    assert second_differs == {}
    assert updated == made
    assert set(says.values()) <= {"True"}, says
    assert third_differs == {}
    assert (replaced != updated) == bool(spec.replaced)
    for gone in {made, replaced}:
        with pytest.raises((LookupError, ValueError, ClientError)):
            spec.read(cloud, gone)


def _create_only(type_name: str) -> set[str]:
    from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER  # 2 s, which each process that collects would spend

    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", type_name).schema
    return {path.split("/")[2] for path in schema.get("createOnlyProperties", [])}


def _effective(rule: Any, path: str = "") -> Iterator[str]:
    """The paths of a type that are said to take effect."""
    if isinstance(rule, Mapping):
        for name, below in rule.items():
            yield from _effective(below, f"{path}.{name}" if path else name)
    elif not isinstance(rule, NoEffect):
        yield path


def test_a_secret_is_generated_by_its_rules(cloud: Any) -> None:
    """Within the template's text, under its key, as long as asked for and without what is excluded."""
    rules = {
        "SecretStringTemplate": '{"user": "somebody"}',
        "GenerateStringKey": "word",
        "PasswordLength": 200,
        "ExcludeCharacters": "abcdefghijklmnopqrstuvwxyz0123456789",
    }
    secret = {"Type": "AWS::SecretsManager::Secret", "Properties": {"GenerateSecretString": rules}}
    stack = Stack(cloud, "generated-secret")
    stack.deploy({"Secret": secret})
    arn = stack.physical("Secret")
    made = json.loads(cloud.client("secretsmanager").get_secret_value(SecretId=arn)["SecretString"])
    stack.delete()

    assert made["user"] == "somebody"
    assert len(made["word"]) == 200
    assert not set(made["word"]) & set(rules["ExcludeCharacters"])


def test_a_definition_may_be_an_object_or_lie_in_s3(cloud: Any, helpers: dict[str, str]) -> None:
    """In the version that is named, and with what is substituted into it."""
    s3 = cloud.client("s3")
    s3.put_bucket_versioning(Bucket="prop-policy-1", VersioningConfiguration={"Status": "Enabled"})
    version = s3.put_object(Bucket="prop-policy-1", Key="machine.json", Body=_definition("${Word}"))["VersionId"]
    s3.put_object(Bucket="prop-policy-1", Key="machine.json", Body=_definition("a later version"))
    place = {"Bucket": "prop-policy-1", "Key": "machine.json", "Version": version}
    common = {"RoleArn": ROLE + "machine-1", "DefinitionSubstitutions": {"Word": "substituted"}}
    stack = Stack(cloud, "definitions")
    stack.deploy(
        {
            name: {"Type": "AWS::StepFunctions::StateMachine", "Properties": {**common, **definition}}
            for name, definition in {
                "InS3": {"DefinitionS3Location": place},
                "Object": {"Definition": json.loads(_definition("${Word}"))},
            }.items()
        }
    )
    states = cloud.client("stepfunctions")
    found = {
        name: states.describe_state_machine(stateMachineArn=stack.physical(name))["definition"]
        for name in ("InS3", "Object")
    }
    stack.delete()

    assert {name: json.loads(definition) for name, definition in found.items()} == {
        "InS3": json.loads(_definition("substituted")),
        "Object": json.loads(_definition("substituted")),
    }


def test_no_property_is_forgotten() -> None:
    """What the table says takes effect is read back above, or by the test that is named."""
    known = specs("image:keep")
    forgotten = []
    for type_name, rule in RESOURCES.items():
        spec = known[type_name]
        shown = {path for given in (spec.first, spec.second, spec.replaced) for path, _ in _flat(given)}
        elsewhere = [path for other, path in ELSEWHERE if other == type_name]
        forgotten += [
            f"{type_name} {path}"
            for path in _effective(rule)
            if not any(one == path or one.startswith(f"{path}.") for one in shown)
            and not any(path == one or path.startswith(f"{one}.") for one in elsewhere)
        ]

    assert forgotten == []


def test_every_property_that_cannot_change_replaces_its_resource() -> None:
    """Those that CloudFormation's schema names are all tried, as far as the local cloud has them."""
    known = specs("image:keep")
    untried = {
        type_name: _create_only(type_name) & set(rule) - set(known[type_name].replaced)
        for type_name, rule in RESOURCES.items()
    }
    one_value = {  # of which there is only one here
        "AWS::Lambda::Function": {"PackageType"},
        "AWS::Lambda::EventInvokeConfig": {"FunctionName", "Qualifier"},
        "AWS::StepFunctions::StateMachine": {"StateMachineType"},
    }

    assert {name: left for name, left in untried.items() if left - one_value.get(name, set())} == {}

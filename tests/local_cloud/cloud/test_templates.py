"""What a template is refused for, or fails with: its frame, its parameters, its values, its policies."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError, WaiterError

from tests.local_cloud.cloud.stack import TRUST, Stack, delay, queue

READS = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
NOBODY = "arn:aws:iam::000000000000:role/nobody"


def document(*statements: dict[str, Any]) -> dict[str, Any]:
    """A policy."""
    return {"Version": "2012-10-17", "Statement": list(statements)}


def policy(kind: str, *statements: dict[str, Any], **properties: Any) -> dict[str, Any]:
    """A policy as a resource."""
    return {"Type": kind, "Properties": {"PolicyDocument": document(*(statements or [READS])), **properties}}


def role(trust: dict[str, Any], *statements: dict[str, Any], name: str = "own") -> dict[str, Any]:
    """A role with an inline policy."""
    inline = [{"PolicyName": name, "PolicyDocument": document(*statements)}] if statements else []
    return {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": trust, "Policies": inline}}


@pytest.mark.parametrize(
    ("resource", "reason"),
    [
        (
            role(document({**TRUST["Statement"][0], "Principal": {"AWS": NOBODY}})),
            f'Invalid principal in policy: "AWS":"{NOBODY}"',
        ),
        (
            role(TRUST, *({**READS, "Resource": f"arn:aws:s3:::{letter * 2600}/*"} for letter in "abcd")),
            "Maximum policy size of 10240 bytes exceeded for role",
        ),
        (role(TRUST, READS, name="reads all"), "The specified value for policyName is invalid."),
        (
            policy("AWS::IAM::ManagedPolicy", {**READS, "Resource": f"arn:aws:s3:::{'a' * 6100}/*"}),
            "Cannot exceed quota for PolicySize: 6144",
        ),
        (policy("AWS::IAM::ManagedPolicy", Roles=["nobody"]), "The role with name nobody cannot be found."),
        (policy("AWS::IAM::Policy", PolicyName="p"), "At least one of [Groups,Roles,Users] must be non-empty."),
        (
            policy(
                "AWS::S3::BucketPolicy",
                {**READS, "Effect": "Deny", "Principal": "*", "Resource": {"Fn::GetAtt": ["Bucket", "Arn"]}},
                Bucket={"Ref": "Bucket"},
            ),
            "Action does not apply to any resource(s) in statement",
        ),
    ],
)
def test_a_policy_that_aws_would_not_keep_fails_its_stack(stack: Stack, resource: dict[str, Any], reason: str) -> None:
    """In the words of the service, once what the template refers to is known."""
    bucket = {"Bucket": {"Type": "AWS::S3::Bucket"}} if "Bucket" in resource["Properties"] else {}
    with pytest.raises(WaiterError):
        stack.deploy({"Strange": resource, **bucket})

    [failed] = [why for name, status, why in stack.events() if (name, status) == ("Strange", "CREATE_FAILED")]
    assert reason in failed


def test_a_policy_of_a_role_is_held_against_what_the_role_keeps(stack: Stack) -> None:
    """The policy that it takes the place of does not count."""
    long = {**READS, "Resource": f"arn:aws:s3:::{'a' * 6100}/*"}
    owned = {"Role": role(TRUST)}
    own = {"PolicyDocument": document(long), "Roles": [{"Ref": "Role"}]}
    stack.deploy({**owned, "Policy": policy("AWS::IAM::Policy", **own, PolicyName="before")})
    stack.deploy({**owned, "Policy": policy("AWS::IAM::Policy", **own, PolicyName="after")}, update=True)

    assert stack.status == "UPDATE_COMPLETE"


PARAMETERS = {
    "Kind": {"Type": "String", "AllowedValues": ["a", "b"]},
    "Count": {"Type": "Number", "MinValue": 2, "MaxValue": 5, "Default": 3},
    "Word": {"Type": "String", "AllowedPattern": "[a-z]+", "MinLength": 2, "MaxLength": 4, "Default": "abc"},
    "Secret": {"Type": "String", "NoEcho": True, "Default": "hush"},
}


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({}, r"Parameters: \[Kind\] must have values"),
        ({"Kind": "a", "Nope": "1"}, r"Parameters: \[Nope\] do not exist in the template"),
        ({"Kind": "c"}, "Kind.*AllowedValues"),
        ({"Kind": "a", "Count": "1"}, "'Count' must be a number not less than 2"),
        ({"Kind": "a", "Count": "6"}, "'Count' must be a number not greater than 5"),
        ({"Kind": "a", "Count": "many"}, "Count"),
        ({"Kind": "a", "Word": "ab1"}, "Word"),
        ({"Kind": "a", "Word": "a"}, "'Word' must contain at least 2 characters"),
        ({"Kind": "a", "Word": "abcde"}, "'Word' must contain at most 4 characters"),
    ],
)
def test_parameters_are_held_against_their_declaration(stack: Stack, given: dict[str, str], reason: str) -> None:
    """Before there is a stack, with the parameter's name."""
    with pytest.raises(ClientError, match=reason):
        stack.deploy({"Queue": queue()}, Parameters=PARAMETERS, Parameters_=given)
    with pytest.raises(ClientError, match="does not exist"):
        _ = stack.status


def test_a_secret_parameter_is_not_shown(stack: Stack) -> None:
    """NoEcho hides a value from whoever describes the stack."""
    stack.deploy({"Queue": queue()}, Parameters=PARAMETERS, Parameters_={"Kind": "a"})
    described = stack.cloudformation.describe_stacks(StackName=stack.name)["Stacks"][0]["Parameters"]

    assert {one["ParameterKey"]: one["ParameterValue"] for one in described} == {
        "Kind": "a",
        "Count": "3",
        "Word": "abc",
        "Secret": "****",
    }


NEVER = {"Conditions": {"C": {"Fn::Equals": ["a", "b"]}}}


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ({"Resources": {}}, "At least one Resources member must be defined"),
        ({"Resources": {"Q": queue()}, "Resourcez": {}}, r"Invalid template property or properties \[Resourcez\]"),
        ({"Resources": {"My-Queue": queue()}}, "Resource name My-Queue is non alphanumeric"),
        (
            {"Resources": {"Q": {"Properties": {}}}},
            r"\[/Resources/Q\] Every Resources object must contain a Type member",
        ),
        (
            {"Resources": {"Q": queue(QueueName={"Fn::Sub": "${Nope}-${AWS::Region}"})}},
            r"Unresolved resource dependencies \[Nope\] in the Resources block",
        ),
        ({"Resources": {"Q": {**queue(), "DependsOn": "Nope"}}}, r"Unresolved resource dependencies \[Nope\]"),
        (
            {"Resources": {"Q": queue()}, "Outputs": {"O": {"Value": {"Fn::GetAtt": ["Nope", "Arn"]}}}},
            r"Unresolved resource dependencies \[Nope\] in the Outputs block",
        ),
        ({"Resources": {"Q": {**queue(), "Condition": "Nope"}}}, "Unresolved condition dependency Nope"),
        (
            {"Resources": {"A": {**queue(), "DependsOn": "B"}, "B": {**queue(), "DependsOn": "A"}}},
            r"Circular dependency between resources: \[A, B\]",
        ),
        (
            {"Resources": {"Q": queue(QueueName={"Ref": "AWS::AccountID"})}},
            r"Unresolved resource dependencies \[AWS::AccountID\] in the Resources block",
        ),
        (
            {"Resources": {"Q": queue()}, "Conditions": {"C": {"Fn::Equals": [{"Ref": "Nope"}, "yes"]}}},
            r"Unresolved dependencies \[Nope\]. Cannot reference resources in the Conditions block",
        ),
        (
            {"Resources": {"Q": queue()}, "Conditions": {"C": {"Fn::Not": [{"Condition": "Nope"}]}}},
            "Unresolved condition dependency Nope in the Conditions block",
        ),
        (
            {"Resources": {"Q": queue()}, "Conditions": {name: {"Fn::Not": [{"Condition": name}]} for name in "C"}},
            r"Found circular condition dependency: \[C\]",
        ),
        (
            {"Resources": {"Q": queue()}, "Conditions": {"C": {"Fn::Equals": ["alone"]}}},
            "every Fn::Equals object requires a list of 2 string parameters",
        ),
        ({"Resources": {"Q": queue()}, "Conditions": {"C": "yes"}}, "Conditions can only be boolean operations"),
        (
            {"Resources": {"Q": {**queue(), "Condition": "C"}}, **NEVER, "Outputs": {"O": {"Value": {"Ref": "Q"}}}},
            r"Unresolved resource dependencies \[Q\] in the Outputs block",
        ),
        (
            {
                "Resources": {
                    "A": {**queue(), "Condition": "C"},
                    "B": queue(QueueName={"Fn::Sub": "of-${A.QueueName}"}),
                },
                **NEVER,
            },
            r"Unresolved resource dependencies \[A\] in the Resources block",
        ),
        (
            {"Resources": {"Q": {**queue(), "DeletionPolicy": "Retian"}}},
            "Unrecognized DeletionPolicy Retian for resour",
        ),
        (
            {"Resources": {"Q": queue()}, "Parameters": {"P": {"Type": "Strng", "Default": "a"}}},
            "Unrecognized parameter type: Strng",
        ),
        (
            {"Resources": {"Q": queue()}, "Parameters": {"P": {"Default": "a"}}},
            "Every Parameters object must contain a Type member",
        ),
        (
            {
                "Resources": {"Q": queue()},
                "Parameters": {"P": {"Type": "String", "Default": "a", "AllowedPatern": "a"}},
            },
            r"Invalid template parameter property or properties \[AllowedPatern\]",
        ),
        (
            {"Resources": {"Q": queue()}, "Parameters": {"Q": {"Type": "String", "Default": "a"}}},
            r"Parameters and Resources share the name\(s\) \[Q\]",
        ),
        (
            {
                "Resources": {"Q": queue(QueueName={"Fn::GetAtt": ["P", "Arn"]})},
                "Parameters": {"P": {"Type": "String", "Default": "a"}},
            },
            "instance of Fn::GetAtt references undefined resource P",
        ),
        ({"Resources": {"Q": queue(QueueName={"Fn::Join": "-"})}}, "every Fn::Join object requires two parameters"),
        ({"Resources": {"Q": queue()}, "AWSTemplateFormatVersion": "2010-09-10"}, "unsupported value for AWSTemplateF"),
        ({"Resources": {"Q": queue()}, "Outputs": {"O-1": {"Value": "a"}}}, "Output name O-1 is non alphanumeric"),
        (
            {"Resources": {"Q": queue()}, "Outputs": {"O": {"Value": "a", "Exports": {"Name": "b"}}}},
            r"Invalid template output property or properties \[Exports\]",
        ),
        (
            {"Resources": {"Q": queue()}, "Outputs": {"O": {"Value": "a", "Export": {"Name": {"Ref": "Q"}}}}},
            r"the Name of an Export cannot depend on resources \[Q\]",
        ),
        (
            {
                "Resources": {"Q": queue()},
                "Outputs": {name: {"Value": "a", "Export": {"Name": "x"}} for name in ("O", "P")},
            },
            "Export names must be unique",
        ),
    ],
)
def test_a_template_that_does_not_hang_together_is_refused(stack: Stack, template: dict[str, Any], reason: str) -> None:
    """Before there is a stack, in CloudFormation's words."""
    with pytest.raises(ClientError, match=reason):
        stack.cloudformation.create_stack(StackName=stack.name, TemplateBody=json.dumps(template))


@pytest.mark.parametrize(
    ("resource", "problem"),
    [
        (queue(DelaySeconds=5000), "#/DelaySeconds: 5000 is not from 0 to 900"),
        ({"Type": "AWS::Logs::LogGroup", "Properties": {"RetentionInDays": 8}}, "8 is not a valid enum value"),
        (
            {"Type": "AWS::Logs::LogGroup", "Properties": {"RetentionInDays": "long"}},
            "#/RetentionInDays: expected type: integer, found: String",
        ),
        ({"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "Bad_Name"}}, "#/BucketName: string [Bad_Name] does"),
        (
            {"Type": "AWS::S3::Bucket", "Properties": {"VersioningConfiguration": {"Status": "On"}}},
            "#/VersioningConfiguration/Status: On is not a valid enum value",
        ),
        (
            {"Type": "AWS::Events::Rule", "Properties": {"ScheduleExpression": "rate(1 day)", "State": "ON"}},
            "#/State: ON is not a valid enum value",
        ),
        ({"Type": "AWS::Lambda::Permission", "Properties": {}}, "#: required key [FunctionName] not found"),
    ],
)
def test_values_that_the_types_schema_refuses_fail_the_resource(
    stack: Stack, resource: dict[str, Any], problem: str
) -> None:
    """Of the wrong kind, outside a range or an enumeration, or missing: before the resource is made."""
    with pytest.raises(WaiterError):
        stack.deploy({"Bad": resource})
    (failed,) = [reason for name, status, reason in stack.events() if (name, status) == ("Bad", "CREATE_FAILED")]

    assert failed.startswith("Properties validation failed for resource Bad with message: [")
    assert problem in failed


@pytest.mark.parametrize(
    ("resource", "problem"),
    [
        (
            {"Type": "AWS::SSM::Parameter", "Properties": {"Type": "String", "Value": "x", "AllowedPattern": "^y$"}},
            "Parameter value, cannot be validated against allowedPattern: ^y$",
        ),
        (
            {"Type": "AWS::SNS::Topic", "Properties": {"Subscription": [{"Protocol": "pigeon", "Endpoint": "x"}]}},
            "Invalid parameter: Does not support this protocol string: pigeon",
        ),
        (
            {"Type": "AWS::Events::Rule", "Properties": {"EventPattern": {"source": "aws.sagemaker"}}},
            'Event pattern is not valid. Reason: "source" must be an object or an array',
        ),
    ],
)
def test_what_the_service_itself_refuses_fails_the_resource(
    stack: Stack, resource: dict[str, Any], problem: str
) -> None:
    """In its words."""
    with pytest.raises(WaiterError):
        stack.deploy({"Bad": resource})

    assert ("Bad", "CREATE_FAILED", problem) in stack.events()


def test_what_cannot_be_delivered_stops_the_deployment(stack: Stack) -> None:
    """Before anything is made, with the property and the value."""
    topic = {
        "Type": "AWS::SNS::Topic",
        "Properties": {"Subscription": [{"Protocol": "sms", "Endpoint": "+10000000000"}]},
    }
    with pytest.raises(
        ClientError, match=r"Topic \(AWS::SNS::Topic\) Subscription.Protocol: 'sms': nothing is delivered"
    ):
        stack.deploy({"Topic": topic})


def test_a_number_may_be_written_as_text(cloud: Any, stack: Stack) -> None:
    """CloudFormation converts what it can, such as a parameter's value."""
    stack.deploy({"Queue": queue(DelaySeconds="7")})

    assert delay(cloud, stack.physical("Queue")) == "7"

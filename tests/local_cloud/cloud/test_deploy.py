"""Deploying: what `sam deploy` would do, and what it would say."""

import json
from pathlib import Path

import pytest

from local_cloud.deploy import Deployment, DeploymentError, deploy

APPLICATION = Path(__file__).parent / "application"
ROLE = "arn:aws:iam::000000000000:role/x"


def _deploy(cloud, folder: Path, template: dict, **options) -> Deployment:
    path = folder / "template.json"
    path.write_text(json.dumps(template))
    return deploy(path, cloud.running.file, cloud.state, **{"stack_name": folder.name.replace("_", "-"), **options})


def test_every_resource_of_the_template_is_made(cloud) -> None:
    """Each logical ID of the expanded template is reported as created, after its images were built."""
    made = {step.resource for step in cloud.progress if step.status == "CREATE_COMPLETE"}
    stack = cloud.client("cloudformation").describe_stack_resources(StackName="sample")["StackResources"]

    assert {resource["LogicalResourceId"] for resource in stack} <= made
    assert {"Bucket", "KeepFunction", "KeepFunctionWeekly", "KeepFunctionWeeklyPermission", "Machine"} <= made
    assert {(step.resource, step.status) for step in cloud.progress} >= {("keepfunction", "BUILT")}


def test_what_takes_no_effect_is_named(cloud) -> None:
    """Accepted properties without local effect are listed with the reason, once for each resource."""
    notes = cloud.deployment.without_effect

    assert "Machine (AWS::StepFunctions::StateMachine) TracingConfiguration: X-Ray traces are not recorded" in notes
    assert any(note.startswith("Topic (AWS::SNS::Topic) Subscription: 'email': no e-mail is sent") for note in notes)
    assert len(set(notes)) == len(notes)


def test_deploying_the_same_again_changes_nothing(cloud) -> None:
    """The outputs are the same, and nothing is reported as updated."""
    steps = []
    again = deploy(
        APPLICATION / "template.yaml", cloud.running.file, cloud.state, stack_name="sample", report=steps.append
    )

    assert not again.changed
    assert again.outputs == cloud.deployment.outputs
    assert {step.type for step in steps} == {"image"}


def test_a_changed_parameter_updates_what_depends_on_it(cloud) -> None:
    """The function gets the new value; parameters that are not given keep theirs."""
    changed = deploy(
        APPLICATION / "template.yaml",
        cloud.running.file,
        cloud.state,
        stack_name="sample",
        parameters={"Greeting": "good morning"},
    )
    configuration = cloud.client("lambda").get_function_configuration(FunctionName="sample-keep")
    stack = cloud.client("cloudformation").describe_stacks(StackName="sample")["Stacks"][0]
    parameters = {item["ParameterKey"]: item["ParameterValue"] for item in stack["Parameters"]}

    assert changed.changed
    assert configuration["Environment"]["Variables"]["GREETING"] == "good morning"
    assert parameters["Email"] == "somebody@example.com"


def test_an_unknown_parameter_is_refused_with_the_known_ones(cloud) -> None:
    """Before anything is built."""
    with pytest.raises(DeploymentError, match=r"no parameter Colour; it has Email, Greeting, Name, Schedule"):
        deploy(
            APPLICATION / "template.yaml",
            cloud.running.file,
            cloud.state,
            stack_name="sample",
            parameters={"Colour": "green"},
        )


@pytest.mark.parametrize(
    ("resource", "named"),
    [
        ({"Type": "AWS::DynamoDB::Table", "Properties": {}}, r"Bad \(AWS::DynamoDB::Table\): this resource type"),
        (
            {"Type": "AWS::S3::Bucket", "Properties": {"AccelerateConfiguration": {"AccelerationStatus": "Enabled"}}},
            r"Bad \(AWS::S3::Bucket\) AccelerateConfiguration: this property is not supported",
        ),
        (
            {
                "Type": "AWS::Events::Rule",
                "Properties": {
                    "ScheduleExpression": "rate(1 day)",
                    "Targets": [{"Id": "a", "Arn": "b", "EcsParameters": {"TaskDefinitionArn": "c"}}],
                },
            },
            r"Bad \(AWS::Events::Rule\) Targets.EcsParameters: this property is not supported",
        ),
        (
            {"Type": "AWS::Lambda::Function", "Properties": {"PackageType": "Zip", "Role": ROLE}},
            r"Bad \(AWS::Lambda::Function\) PackageType: 'Zip': functions run from container images",
        ),
        (
            {"Type": "AWS::SQS::Queue", "CreationPolicy": {"ResourceSignal": {"Count": 1}}},
            r"Bad \(AWS::SQS::Queue\) CreationPolicy: this resource attribute is not supported",
        ),
    ],
)
def test_what_cannot_be_done_stops_the_deployment_before_anything_is_made(
    cloud, tmp_path: Path, resource: dict, named: str
) -> None:
    """The message names logical ID, type and property; no stack and no other resource of the template is left."""
    good = {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "good"}}
    template = {"Resources": {"Good": good, "Bad": resource}}

    with pytest.raises(DeploymentError, match=named):
        _deploy(cloud, tmp_path, template)

    assert not any(url.endswith("/good") for url in cloud.client("sqs").list_queues().get("QueueUrls", []))


def test_a_property_in_a_branch_that_is_not_taken_does_no_harm(cloud, tmp_path: Path) -> None:
    """Conditions and Fn::If are evaluated before the check."""
    template = {
        "Conditions": {"Never": {"Fn::Equals": ["a", "b"]}},
        "Resources": {
            "Queue": {
                "Type": "AWS::SQS::Queue",
                "Properties": {"Fn::If": ["Never", {"Colour": "green"}, {"DelaySeconds": 0}]},
            },
            "Table": {"Type": "AWS::S3::Bucket", "Condition": "Never", "Properties": {"Colour": "green"}},
        },
    }
    template["Resources"]["Queue"]["Properties"] = {"DelaySeconds": {"Fn::If": ["Never", 1, 0]}}

    assert _deploy(cloud, tmp_path, template).changed


def test_a_failed_deployment_names_the_first_failure_and_is_rolled_back(cloud, tmp_path: Path) -> None:
    """And the corrected template deploys under the same name."""
    definition = '{"StartAt": "A", "States": {"A": {"Type": "Pass", "Result": "${Missing}", "End": true}}}'
    machine = {
        "Type": "AWS::StepFunctions::StateMachine",
        "Properties": {"DefinitionString": definition, "RoleArn": ROLE},
    }
    queue = {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "rolled-back"}}

    with pytest.raises(DeploymentError, match="DefinitionSubstitutions does not name: Missing") as failed:
        _deploy(cloud, tmp_path, {"Resources": {"Machine": {**machine, "DependsOn": "Queue"}, "Queue": queue}})

    assert failed.value.resource == "Machine"
    assert not cloud.client("sqs").list_queues(QueueNamePrefix="rolled-back").get("QueueUrls")
    assert _deploy(cloud, tmp_path, {"Resources": {"Queue": queue}}).changed


def test_a_role_that_does_not_trust_the_service_stops_the_deployment(cloud, tmp_path: Path) -> None:
    """As on AWS, in the words of the service."""
    trust = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
    }
    template = {
        "Resources": {
            "Role": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": trust}},
            "Machine": {
                "Type": "AWS::StepFunctions::StateMachine",
                "Properties": {
                    "Definition": {"StartAt": "A", "States": {"A": {"Type": "Pass", "End": True}}},
                    "RoleArn": {"Fn::GetAtt": ["Role", "Arn"]},
                },
            },
        }
    }

    with pytest.raises(DeploymentError, match=r"states\.amazonaws\.com") as failed:
        _deploy(cloud, tmp_path, template)

    assert failed.value.resource == "Machine"


def _machine(text: str) -> dict:
    """A template with one state machine whose definition gets the number of seconds substituted."""
    properties = {"DefinitionString": text, "DefinitionSubstitutions": {"Seconds": 5}, "RoleArn": ROLE}
    return {"Resources": {"Machine": {"Type": "AWS::StepFunctions::StateMachine", "Properties": properties}}}


@pytest.mark.parametrize(
    ("definition", "reason"),
    [
        ("StartAt: A\nStates:\n  A:\n    Type: Wait\n    Seconds: ${Seconds}\n    End: true\n", "Seconds"),
        ("StartAt: A\nStates:\n  A: &same {Type: Pass, Next: B}\n  B: *same\n", r"YAML alias \*same"),
    ],
)
def test_what_aws_makes_of_a_yaml_definition_is_refused_as_there(
    cloud, tmp_path: Path, definition: str, reason: str
) -> None:
    """CloudFormation turns YAML into JSON before it substitutes, so a number becomes text; aliases stay unresolved."""
    with pytest.raises(DeploymentError, match=reason):
        _deploy(cloud, tmp_path, _machine(definition))


def test_a_definition_in_json_may_have_a_number_substituted(cloud, tmp_path: Path) -> None:
    """JSON is substituted as the text it is."""
    definition = '{"StartAt": "A", "States": {"A": {"Type": "Wait", "Seconds": ${Seconds}, "End": true}}}'
    template = _machine(definition)
    trusted = {"Effect": "Allow", "Principal": {"Service": "states.amazonaws.com"}, "Action": "sts:AssumeRole"}
    trust = {"Version": "2012-10-17", "Statement": [trusted]}
    template["Resources"]["Role"] = {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": trust}}
    template["Resources"]["Machine"]["Properties"]["RoleArn"] = {"Fn::GetAtt": ["Role", "Arn"]}

    assert _deploy(cloud, tmp_path, template).changed


def _role(service: str, *statements: dict) -> dict:
    trust = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    properties: dict = {"AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [trust]}}
    if statements:
        document = {"Version": "2012-10-17", "Statement": list(statements)}
        properties["Policies"] = [{"PolicyName": "own", "PolicyDocument": document}]
    return {"Type": "AWS::IAM::Role", "Properties": properties}


def test_a_policy_that_cannot_be_evaluated_stops_the_deployment(cloud, tmp_path) -> None:
    """By role, statement and what of it is not evaluated, before anything is created."""
    statement = {
        "Sid": "OnlyFromHome",
        "Effect": "Deny",
        "Action": "s3:*",
        "Resource": "*",
        "Condition": {"StringNotEquals": {"aws:SourceVpc": "vpc-1"}},
    }
    template = {"Resources": {"Strange": _role("lambda.amazonaws.com", statement)}}

    with pytest.raises(DeploymentError, match=r"nothing was created: Strange .*OnlyFromHome.*aws:SourceVpc"):
        _deploy(cloud, tmp_path, template)


@pytest.mark.parametrize(
    ("setting", "invocations", "call"),
    [
        ({"TracingConfig": {"Mode": "Active"}}, {}, "PutTraceSegments on XRAY"),
        ({"DeadLetterConfig": {"TargetArn": {"Fn::GetAtt": ["Queue", "Arn"]}}}, {}, "SendMessage on SQS"),
        ({}, {"OnFailure": {"Destination": {"Fn::GetAtt": ["Queue", "Arn"]}}}, "SendMessage on arn:aws:sqs:.*-Queue-"),
    ],
)
def test_a_function_is_refused_whose_role_may_not_do_what_it_asks_for(
    cloud, tmp_path, setting, invocations, call
) -> None:
    """Lambda looks at the role when the function is created, and when its asynchronous invocations are configured."""
    image = cloud.client("lambda").get_function(FunctionName="sample-keep")["Code"]["ImageUri"]
    properties = {
        "PackageType": "Image",
        "Code": {"ImageUri": image},
        "ImageConfig": {"Command": ["handlers.keep"]},
        "Role": {"Fn::GetAtt": ["Role", "Arn"]},
        **setting,
    }
    template = {
        "Resources": {
            "Queue": {"Type": "AWS::SQS::Queue"},
            "Role": _role("lambda.amazonaws.com"),
            "Function": {"Type": "AWS::Lambda::Function", "Properties": properties},
        }
    }
    if invocations:
        settings = {"FunctionName": {"Ref": "Function"}, "Qualifier": "$LATEST", "DestinationConfig": invocations}
        template["Resources"]["Invocations"] = {"Type": "AWS::Lambda::EventInvokeConfig", "Properties": settings}

    with pytest.raises(DeploymentError, match=f"does not have permissions to call {call}"):
        _deploy(cloud, tmp_path, template)
    stack = tmp_path.name.replace("_", "-")
    [missing] = [one for one in cloud.call("permissions")["missing"] if one["stack"] == stack]

    assert missing["logical_id"] == "Role"  # told, though the role went with the stack that was rolled back
    assert missing["yaml"].startswith("- Effect: Allow")

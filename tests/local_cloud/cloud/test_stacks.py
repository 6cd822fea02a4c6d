"""The life of a stack: what an update touches, what a failure leaves, what a deletion leaves."""

import json
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, WaiterError

from tests.local_cloud.cloud.stack import TRUST, Stack, delay, queue

NO_FUNCTION = {
    "Type": "AWS::Lambda::Permission",
    "Properties": {"Action": "lambda:InvokeFunction", "FunctionName": "nobody", "Principal": "events.amazonaws.com"},
}


def machine(result: str) -> dict[str, Any]:
    """A state machine whose result is the text, and its role."""
    definition = {"StartAt": "A", "States": {"A": {"Type": "Pass", "Result": result, "End": True}}}
    return {
        "Role": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": TRUST}},
        "Machine": {
            "Type": "AWS::StepFunctions::StateMachine",
            "Properties": {"RoleArn": {"Fn::GetAtt": ["Role", "Arn"]}, "DefinitionString": json.dumps(definition)},
        },
    }


def run(cloud: Any, arn: str) -> Any:
    """What an execution of a state machine gives."""
    states = cloud.client("stepfunctions")
    execution = states.start_execution(stateMachineArn=arn)["executionArn"]
    described = cloud.eventually(
        lambda: (found := states.describe_execution(executionArn=execution))["status"] != "RUNNING" and found
    )
    return json.loads(described["output"])


def test_an_update_touches_what_changed_and_nothing_else(cloud: Any, stack: Stack) -> None:
    """Neither the change set nor the events name another resource; the others keep their IDs and their last change."""
    same = {"Same": queue(), **machine("same")}
    stack.deploy({"Changed": queue(DelaySeconds=1), **same})
    before, told = stack.resources(), len(stack.events())
    changes = stack.changes({"Changed": queue(DelaySeconds=2), **same})
    stack.deploy({"Changed": queue(DelaySeconds=2), **same}, update=True)
    after = stack.resources()

    assert changes == {"Changed": ("Modify", "False")}
    assert [(name, status) for name, status, _ in stack.events()[told:]] == [
        ("self", "UPDATE_IN_PROGRESS"),
        ("Changed", "UPDATE_IN_PROGRESS"),
        ("Changed", "UPDATE_COMPLETE"),
        ("self", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"),
        ("self", "UPDATE_COMPLETE"),
    ]
    assert {name for name in before if before[name] != after[name]} == {"Changed"}
    assert after["Changed"]["PhysicalResourceId"] == before["Changed"]["PhysicalResourceId"]
    assert delay(cloud, stack.physical("Changed")) == "2"


def test_a_resource_that_is_new_is_created_and_one_that_is_gone_deleted_last(cloud: Any, stack: Stack) -> None:
    """In the events, and in the service."""
    stack.deploy({"Old": queue(QueueName="goes-away"), "Kept": queue()})
    told = len(stack.events())
    changes = stack.changes({"New": queue(), "Kept": queue()})
    stack.deploy({"New": queue(), "Kept": queue()}, update=True)

    assert changes == {"Old": ("Remove", ""), "New": ("Add", "")}
    assert [(name, status) for name, status, _ in stack.events()[told + 1 :]] == [
        ("New", "CREATE_IN_PROGRESS"),
        ("New", "CREATE_COMPLETE"),
        ("self", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"),
        ("Old", "DELETE_IN_PROGRESS"),
        ("Old", "DELETE_COMPLETE"),
        ("self", "UPDATE_COMPLETE"),
    ]
    assert stack.resources()["New"]["ResourceStatus"] == "CREATE_COMPLETE"
    assert not cloud.client("sqs").list_queues(QueueNamePrefix="goes-away").get("QueueUrls")


def test_nothing_to_update_is_refused_in_the_words_of_each_request(stack: Stack) -> None:
    """UpdateStack has its own, and a change set without changes fails and cannot be executed."""
    stack.deploy({"Queue": queue()})
    body = json.dumps({"Resources": {"Queue": queue()}})
    with pytest.raises(ClientError, match=r"No updates are to be performed\."):
        stack.cloudformation.update_stack(StackName=stack.name, TemplateBody=body)
    made = stack.cloudformation.create_change_set(StackName=stack.name, ChangeSetName="same", TemplateBody=body)["Id"]
    described = stack.cloudformation.describe_change_set(ChangeSetName=made)

    assert (described["Status"], described["ExecutionStatus"], described["Changes"]) == ("FAILED", "UNAVAILABLE", [])
    assert described["StatusReason"].startswith("The submitted information didn't contain changes.")


def test_a_property_that_cannot_change_replaces_the_resource_and_what_refers_to_it_follows(
    cloud: Any, stack: Stack
) -> None:
    """The new one is made first, the old one goes when all else is done."""
    policy = {
        "Type": "AWS::SQS::QueuePolicy",
        "Properties": {
            "Queues": [{"Ref": "Queue"}],
            "PolicyDocument": {
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Effect": "Allow",
                        "Principal": {"Service": "sns.amazonaws.com"},
                        "Action": "sqs:SendMessage",
                        "Resource": {"Fn::GetAtt": ["Queue", "Arn"]},
                    }
                ],
            },
        },
    }
    stack.deploy({"Queue": queue(QueueName="first-name"), "Policy": policy})
    first, told = stack.physical("Queue"), len(stack.events())
    changes = stack.changes({"Queue": queue(QueueName="second-name"), "Policy": policy})
    stack.deploy({"Queue": queue(QueueName="second-name"), "Policy": policy}, update=True)
    second = stack.physical("Queue")
    sqs = cloud.client("sqs")
    attributes = sqs.get_queue_attributes(QueueUrl=second, AttributeNames=["Policy"])["Attributes"]

    assert changes["Queue"] == ("Modify", "True")
    assert set(changes) == {"Queue", "Policy"}
    assert (first.rpartition("/")[2], second.rpartition("/")[2]) == ("first-name", "second-name")
    assert "second-name" in attributes["Policy"]
    assert ("Queue", "DELETE_COMPLETE", "") in stack.events()[told:]
    assert [name for name, status, _ in stack.events()[told:] if status == "UPDATE_COMPLETE"] == [
        "Queue",
        "Policy",
        "self",
    ]
    assert not sqs.list_queues(QueueNamePrefix="first-name").get("QueueUrls")


def test_a_failing_update_leaves_everything_as_it_was(cloud: Any, stack: Stack) -> None:
    """Changed, replaced, new and removed resources are back, work as before, and the events say what failed."""
    stack.deploy(
        {"Changed": queue(DelaySeconds=1), "Removed": queue(), "Named": queue(QueueName="n1"), **machine("old")}
    )
    before, told = stack.resources(), len(stack.events())
    failing = {
        "Changed": queue(DelaySeconds=9),
        "Named": queue(QueueName="n2"),
        "New": queue(QueueName="new-in-vain"),
        **machine("new"),
    }
    failing["Bad"] = {**NO_FUNCTION, "DependsOn": list(failing)}
    with pytest.raises(WaiterError):
        stack.deploy(failing, update=True)
    cloud.eventually(lambda: stack.status == "UPDATE_ROLLBACK_COMPLETE")
    events = stack.events()[told:]
    after = stack.resources()

    assert stack.status == "UPDATE_ROLLBACK_COMPLETE"
    assert ("Bad", "CREATE_FAILED", "Function not found: nobody") in events
    assert ("self", "UPDATE_ROLLBACK_IN_PROGRESS", "The following resource(s) failed to create: [Bad]. ") in events
    assert {name: resource["PhysicalResourceId"] for name, resource in after.items()} == {
        name: resource["PhysicalResourceId"] for name, resource in before.items()
    }
    assert delay(cloud, stack.physical("Changed")) == "1"
    assert run(cloud, stack.physical("Machine")) == "old"
    for gone in ("n2", "new-in-vain"):
        assert not cloud.client("sqs").list_queues(QueueNamePrefix=gone).get("QueueUrls")
    stack.deploy({"Changed": queue(DelaySeconds=3)}, update=True)
    assert delay(cloud, stack.physical("Changed")) == "3"


def test_an_update_that_fails_half_way_through_a_resource_takes_that_half_back(cloud: Any, stack: Stack) -> None:
    """A bucket that got a new owner and versions, and whose tags S3 refuses, is as it was."""

    def bucket(owner: str, versioning: str, tags: int) -> dict[str, Any]:
        properties = {
            "OwnershipControls": {"Rules": [{"ObjectOwnership": owner}]},
            "VersioningConfiguration": {"Status": versioning},
            "Tags": [{"Key": f"key-{number}", "Value": "x"} for number in range(tags)],
        }
        return {"Type": "AWS::S3::Bucket", "Properties": properties}

    stack.deploy({"Bucket": bucket("BucketOwnerEnforced", "Enabled", 1)})
    name = stack.physical("Bucket")
    with pytest.raises(WaiterError):
        stack.deploy({"Bucket": bucket("ObjectWriter", "Suspended", 60)}, update=True)
    s3 = cloud.client("s3")
    (failed,) = [
        reason for logical, status, reason in stack.events() if (logical, status) == ("Bucket", "UPDATE_FAILED")
    ]

    assert "S3 refused" in failed
    assert s3.get_bucket_versioning(Bucket=name)["Status"] == "Enabled"
    owner = s3.get_bucket_ownership_controls(Bucket=name)["OwnershipControls"]["Rules"][0]["ObjectOwnership"]
    assert owner == "BucketOwnerEnforced"
    assert "key-0" in [tag["Key"] for tag in s3.get_bucket_tagging(Bucket=name)["TagSet"]]
    assert len(s3.get_bucket_tagging(Bucket=name)["TagSet"]) < 10


def test_a_creation_that_failed_leaves_nothing_and_can_only_be_deleted(cloud: Any, stack: Stack) -> None:
    """ROLLBACK_COMPLETE is an end; the name is free once the stack is deleted."""
    failing = {"Queue": queue(QueueName="in-vain"), "Bad": {**NO_FUNCTION, "DependsOn": "Queue"}}
    with pytest.raises(WaiterError):
        stack.deploy(failing)
    body = {"StackName": stack.name, "TemplateBody": json.dumps({"Resources": {"Queue": queue()}})}
    refused = []
    for call, more in (
        ("update_stack", {}),
        ("create_change_set", {"ChangeSetName": "again"}),
        ("create_change_set", {"ChangeSetName": "anew", "ChangeSetType": "CREATE"}),
        ("create_stack", {}),
    ):
        with pytest.raises(ClientError) as error:
            getattr(stack.cloudformation, call)(**body, **more)
        refused.append(error.value.response["Error"]["Message"])

    assert stack.status == "ROLLBACK_COMPLETE"
    reason = "The following resource(s) failed to create: [Bad]. Rollback requested by user."
    assert ("self", "ROLLBACK_IN_PROGRESS", reason) in stack.events()
    assert not cloud.client("sqs").list_queues(QueueNamePrefix="in-vain").get("QueueUrls")
    assert refused == [
        f"Stack:{stack.arn} is in ROLLBACK_COMPLETE state and can not be updated.",
        f"Stack:{stack.arn} is in ROLLBACK_COMPLETE state and can not be updated.",
        f"Stack [{stack.name}] already exists and cannot be created again with the changeSet [anew].",
        f"Stack [{stack.name}] already exists",
    ]
    stack.delete()
    stack.deploy({"Queue": queue()})
    assert stack.status == "CREATE_COMPLETE"


def test_a_deleted_stack_leaves_only_what_it_was_told_to_retain(cloud: Any, stack: Stack) -> None:
    """Queues, topics, rules, secrets, parameters, alarms, log groups, roles and state machines are gone."""
    names = {"LogGroupName": "/deleted/with/the/stack"}
    rule = {"ScheduleExpression": "rate(1 day)"}
    alarm = {
        "ComparisonOperator": "GreaterThanThreshold",
        "EvaluationPeriods": 1,
        "MetricName": "m",
        "Namespace": "n",
        "Period": 60,
        "Statistic": "Sum",
        "Threshold": 1,
    }
    stack.deploy(
        {
            "Queue": queue(),
            "Topic": {"Type": "AWS::SNS::Topic"},
            "Rule": {"Type": "AWS::Events::Rule", "Properties": rule},
            "Secret": {"Type": "AWS::SecretsManager::Secret", "Properties": {"Name": "deleted", "SecretString": "x"}},
            "Parameter": {
                "Type": "AWS::SSM::Parameter",
                "Properties": {"Name": "gone", "Type": "String", "Value": "x"},
            },
            "Alarm": {"Type": "AWS::CloudWatch::Alarm", "Properties": alarm},
            "Logs": {"Type": "AWS::Logs::LogGroup", "Properties": names},
            "Bucket": {"Type": "AWS::S3::Bucket"},
            "Kept": {**queue(QueueName="retained"), "DeletionPolicy": "Retain"},
            **machine("x"),
        }
    )
    ids = {name: resource["PhysicalResourceId"] for name, resource in stack.resources().items()}
    stack.delete()
    clients = {
        name: cloud.client(name)
        for name in (
            "sqs",
            "sns",
            "events",
            "secretsmanager",
            "ssm",
            "cloudwatch",
            "logs",
            "s3",
            "iam",
            "stepfunctions",
        )
    }
    queues = clients["sqs"].list_queues()["QueueUrls"]
    clients["sqs"].delete_queue(QueueUrl=ids["Kept"])

    assert ids["Kept"] in queues
    assert ids["Queue"] not in queues
    assert ids["Topic"] not in json.dumps(clients["sns"].list_topics()["Topics"])
    assert ids["Rule"] not in json.dumps(clients["events"].list_rules()["Rules"])
    assert "deleted" not in [secret["Name"] for secret in clients["secretsmanager"].list_secrets()["SecretList"]]
    assert "gone" not in [one["Name"] for one in clients["ssm"].describe_parameters()["Parameters"]]
    assert ids["Alarm"] not in [one["AlarmName"] for one in clients["cloudwatch"].describe_alarms()["MetricAlarms"]]
    assert not clients["logs"].describe_log_groups(logGroupNamePrefix=names["LogGroupName"])["logGroups"]
    assert ids["Bucket"] not in [bucket["Name"] for bucket in clients["s3"].list_buckets()["Buckets"]]
    assert ids["Role"] not in [role["RoleName"] for role in clients["iam"].list_roles()["Roles"]]
    assert ids["Machine"] not in json.dumps(clients["stepfunctions"].list_state_machines(), default=str)
    assert ("Kept", "DELETE_SKIPPED", "") in stack.events()


def test_a_bucket_with_objects_stays_with_the_command_that_empties_it(cloud: Any, stack: Stack) -> None:
    """DELETE_FAILED in AWS's words; what can be deleted is, and once it is empty, the deletion goes through."""
    versioned = {"Type": "AWS::S3::Bucket", "Properties": {"VersioningConfiguration": {"Status": "Enabled"}}}
    stack.deploy({"Bucket": versioned, "Queue": queue()})
    name, s3 = stack.physical("Bucket"), cloud.client("s3")
    s3.put_object(Bucket=name, Key="a", Body=b"1")
    s3.delete_object(Bucket=name, Key="a")
    with pytest.raises(WaiterError):
        stack.delete()
    reason = next(
        reason for logical, status, reason in stack.events() if (logical, status) == ("Bucket", "DELETE_FAILED")
    )
    left = set(stack.resources())
    for found in s3.list_object_versions(Bucket=name).get("Versions", []):
        s3.delete_object(Bucket=name, Key=found["Key"], VersionId=found["VersionId"])
    for found in s3.list_object_versions(Bucket=name).get("DeleteMarkers", []):
        s3.delete_object(Bucket=name, Key=found["Key"], VersionId=found["VersionId"])
    status = stack.status
    stack.delete()

    assert reason.startswith(
        "The bucket you tried to delete is not empty. You must delete all versions in the bucket. (Service: S3, Status "
        "Code: 409)"
    )
    assert f"aws s3api delete-objects --bucket {name}" in reason
    assert status == "DELETE_FAILED"
    assert left == {"Bucket"}


def test_exports_belong_to_one_stack_and_stay_while_they_are_imported(cloud: Any, stack: Stack) -> None:
    """A second stack cannot export the name; what is imported can be neither changed, dropped nor deleted."""

    def outputs(value: Any, name: str = "shared") -> dict[str, Any]:
        return {"Outputs": {"Url": {"Value": value, "Export": {"Name": name}}}}

    other = Stack(cloud, f"{stack.name}-other")
    stack.deploy({"Queue": queue()}, **outputs({"Ref": "Queue"}))
    with pytest.raises(WaiterError):
        other.deploy({"Queue": queue()}, **outputs("x"))
    taken = [reason for name, status, reason in other.events() if (name, status) == ("self", "CREATE_FAILED")]
    other.delete()
    other.deploy({"Queue": queue(Tags=[{"Key": "from", "Value": {"Fn::ImportValue": "shared"}}])})
    reasons = []
    for change in (outputs("else"), outputs({"Ref": "Queue"}, "renamed")):
        with pytest.raises(WaiterError):
            stack.deploy({"Queue": queue(DelaySeconds=1)}, update=True, **change)
        reasons.append([reason for _, status, reason in stack.events() if status == "UPDATE_FAILED"][-1])
    with pytest.raises(ClientError, match="shared"):
        stack.cloudformation.delete_stack(StackName=stack.name)
    other.delete()
    stack.deploy({"Queue": queue(DelaySeconds=1)}, update=True, **outputs({"Ref": "Queue"}, "renamed"))
    exports = [export["Name"] for export in stack.cloudformation.list_exports()["Exports"]]

    assert taken == [f"Export with name shared is already exported by stack {stack.name}."]
    assert reasons == [
        f"Export shared cannot be updated as it is in use by {other.name}",
        f"Export shared cannot be deleted as it is in use by {other.name}",
    ]
    assert exports == ["renamed"]


def test_outputs_alone_can_be_changed_by_a_change_set(stack: Stack) -> None:
    """It has no changes and can be executed; the next one, with nothing new at all, fails."""
    template: dict[str, Any] = {"Resources": {"Queue": queue()}}
    stack.deploy(template["Resources"])
    template["Outputs"] = {"Name": {"Value": {"Fn::GetAtt": ["Queue", "QueueName"]}}}
    seen = []
    for name in ("first", "second"):
        of = {"StackName": stack.name, "ChangeSetName": name}
        stack.cloudformation.create_change_set(**of, TemplateBody=json.dumps(template), ChangeSetType="UPDATE")
        described = stack.cloudformation.describe_change_set(**of)
        seen.append((described["Status"], described["ExecutionStatus"], described["Changes"]))
        if described["ExecutionStatus"] == "AVAILABLE":
            stack.cloudformation.execute_change_set(**of)
            stack.cloudformation.get_waiter("stack_update_complete").wait(
                StackName=stack.name, WaiterConfig={"Delay": 0.05}
            )
    [output] = stack.cloudformation.describe_stacks(StackName=stack.name)["Stacks"][0]["Outputs"]

    assert seen == [("CREATE_COMPLETE", "AVAILABLE", []), ("FAILED", "UNAVAILABLE", [])]
    assert output["OutputValue"] == stack.physical("Queue").rsplit("/", 1)[1]


@pytest.mark.parametrize(
    ("operation", "options"), [("update_stack", {}), ("create_change_set", {"ChangeSetName": "o"})]
)
def test_a_resource_keeps_its_type(stack: Stack, operation: str, options: dict[str, str]) -> None:
    """Another type under the same logical ID is refused before anything is done."""
    stack.deploy({"Thing": queue()})
    body = json.dumps({"Resources": {"Thing": {"Type": "AWS::SNS::Topic"}}})

    with pytest.raises(ClientError, match=r"modifies resource type of the following resources: \[Thing\]"):
        getattr(stack.cloudformation, operation)(StackName=stack.name, TemplateBody=body, **options)


@pytest.mark.parametrize(
    "resource",
    [
        {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": "taken"}},
        {"Type": "AWS::Events::Rule", "Properties": {"Name": "taken", "ScheduleExpression": "rate(1 day)"}},
        {
            "Type": "AWS::CloudWatch::Alarm",
            "Properties": {
                "AlarmName": "taken",
                "Namespace": "Treering",
                "MetricName": "Errors",
                "ComparisonOperator": "GreaterThanThreshold",
                "EvaluationPeriods": 1,
                "Threshold": 1,
                "Period": 60,
                "Statistic": "Sum",
            },
        },
    ],
)
def test_a_name_of_ones_own_belongs_to_one_resource(stack: Stack, resource: dict[str, Any]) -> None:
    """Under another logical ID it is made anew, and its predecessor stands in its way: the stack rolls back."""
    stack.deploy({"One": resource})
    before = stack.physical("One")
    with pytest.raises(WaiterError):
        stack.deploy({"Other": resource}, update=True)

    assert stack.status == "UPDATE_ROLLBACK_COMPLETE"
    assert stack.physical("One") == before


def test_a_protected_stack_is_not_deleted(stack: Stack) -> None:
    """Until its protection is taken off."""
    stack.deploy({"Queue": queue()}, Options={"EnableTerminationProtection": True})
    with pytest.raises(ClientError, match="cannot be deleted while TerminationProtection is enabled"):
        stack.delete()
    stack.cloudformation.update_termination_protection(StackName=stack.name, EnableTerminationProtection=False)
    stack.delete()

    assert stack.status == "DELETE_COMPLETE"


@pytest.mark.parametrize("operation", ["detect_stack_drift", "get_stack_policy", "rollback_stack"])
def test_what_cloudformation_does_not_do_here_is_refused_by_name(stack: Stack, operation: str) -> None:
    """Instead of answering something that nobody has checked."""
    name = "".join(part.capitalize() for part in operation.split("_"))
    with pytest.raises(ClientError, match=f"does not support {name} of CloudFormation"):
        getattr(stack.cloudformation, operation)(StackName="sample")


def test_the_report_on_permissions_is_about_what_is_there(cloud: Any, stack: Stack) -> None:
    """A denied role that was replaced counts as the one in its place; a stack that is gone gives no findings."""
    trust = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
    may = {"Statement": [{"Sid": "Look", "Effect": "Allow", "Action": "sns:ListTopics", "Resource": "*"}]}

    def resources(generation: int, *policies: dict[str, Any]) -> dict[str, Any]:
        properties = {
            "RoleName": f"{stack.name}-{generation}",
            "AssumeRolePolicyDocument": {"Statement": [trust]},
            "Policies": [{"PolicyName": "own", "PolicyDocument": policy} for policy in policies],
        }
        return {"Role": {"Type": "AWS::IAM::Role", "Properties": properties}}

    def denials() -> list[Any]:
        return [one for one in cloud.call("permissions")["denials"] if one["role"] == f"{stack.name}-1"]

    metadata = {"Treering": {"Permissions": {"Role": {stack.name: "a reason for what nobody is granted"}}}}
    stack.deploy(resources(1), Metadata=metadata)
    arn = cloud.client("iam").get_role(RoleName=stack.physical("Role"))["Role"]["Arn"]
    session = cloud.client("sts").assume_role(RoleArn=arn, RoleSessionName="looks")["Credentials"]
    keys = [session[name] for name in ("AccessKeyId", "SecretAccessKey", "SessionToken")]
    with pytest.raises(ClientError, match="sns:ListTopics"):
        cloud.client("sns", boto3.Session(*keys)).list_topics()
    found = [len(denials())]
    stack.deploy(resources(2), update=True, Metadata=metadata)
    found.append(len(denials()))
    stack.deploy(resources(3, may), update=True, Metadata=metadata)
    found.append(len(denials()))
    reasons = cloud.call("permissions")["unknown_reasons"]
    stack.delete()

    assert found == [1, 1, 0]  # the second role lacks it, too
    assert f"Role.{stack.name}" in reasons
    assert f"Role.{stack.name}" not in cloud.call("permissions")["unknown_reasons"]
    assert denials() == []

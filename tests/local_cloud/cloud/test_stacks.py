"""The life of a stack: what an update touches, what a failure leaves, what a deletion leaves."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, WaiterError

TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "states.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
NO_FUNCTION = {
    "Type": "AWS::Lambda::Permission",
    "Properties": {"Action": "lambda:InvokeFunction", "FunctionName": "nobody", "Principal": "events.amazonaws.com"},
}


def queue(**properties: Any) -> dict[str, Any]:
    """A queue."""
    return {"Type": "AWS::SQS::Queue", "Properties": properties}


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


class Stack:
    """A stack that boto3 deploys, with its waiters."""

    def __init__(self, cloud: Any, name: str) -> None:
        self.cloud, self.name = cloud, name
        self.cloudformation = cloud.client("cloudformation")
        self.arn = name

    def deploy(self, resources: dict[str, Any], *, update: bool = False, **template: Any) -> None:
        """Create or update it; raises where it does not end complete."""
        call = self.cloudformation.update_stack if update else self.cloudformation.create_stack
        request = {key: template.pop(key) for key in ("Parameters_", "Options") if key in template}
        body = json.dumps({"Resources": resources, **template})
        answer = call(
            StackName=self.name,
            TemplateBody=body,
            Capabilities=["CAPABILITY_NAMED_IAM"],
            Parameters=[
                {"ParameterKey": key, "ParameterValue": value} for key, value in request.get("Parameters_", {}).items()
            ],
            **request.get("Options", {}),
        )
        self.arn = answer["StackId"]
        self.wait("stack_update_complete" if update else "stack_create_complete")

    def delete(self) -> None:
        """Delete it; raises where it does not end deleted."""
        self.cloudformation.delete_stack(StackName=self.name)
        self.wait("stack_delete_complete")

    def wait(self, waiter: str) -> None:
        """Wait with one of boto3's waiters; what failed is noted at the exception."""
        try:
            self.cloudformation.get_waiter(waiter).wait(
                StackName=self.name, WaiterConfig={"Delay": 0, "MaxAttempts": 500}
            )
        except WaiterError as error:
            error.add_note("; ".join(str(event) for event in self.events() if event[1].endswith("_FAILED")))
            raise

    @property
    def status(self) -> str:
        """Its status."""
        return str(self.cloudformation.describe_stacks(StackName=self.arn)["Stacks"][0]["StackStatus"])

    def resources(self) -> dict[str, dict[str, Any]]:
        """Its resources by logical ID."""
        found = self.cloudformation.describe_stack_resources(StackName=self.name)["StackResources"]
        return {resource["LogicalResourceId"]: resource for resource in found}

    def physical(self, logical_id: str) -> str:
        """The physical ID of a resource."""
        return str(self.resources()[logical_id]["PhysicalResourceId"])

    def events(self) -> list[tuple[str, str, str]]:
        """Logical ID, status and reason of each event, oldest first; its own are those of `self`."""
        pages = self.cloudformation.get_paginator("describe_stack_events").paginate(StackName=self.arn)
        found = [event for page in pages for event in page["StackEvents"]]
        return [
            (
                "self" if event["LogicalResourceId"] == self.name else event["LogicalResourceId"],
                event["ResourceStatus"],
                event.get("ResourceStatusReason", ""),
            )
            for event in reversed(found)
        ]

    def changes(self, resources: dict[str, Any]) -> dict[str, tuple[str, str]]:
        """What a change set to these resources would do: action and replacement by logical ID."""
        made = self.cloudformation.create_change_set(
            StackName=self.name,
            ChangeSetName="look",
            TemplateBody=json.dumps({"Resources": resources}),
            Capabilities=["CAPABILITY_NAMED_IAM"],
        )
        described = self.cloudformation.describe_change_set(ChangeSetName=made["Id"])
        self.cloudformation.delete_change_set(ChangeSetName=made["Id"])
        changes = [change["ResourceChange"] for change in described["Changes"]]
        return {change["LogicalResourceId"]: (change["Action"], change.get("Replacement", "")) for change in changes}


@pytest.fixture
def stack(cloud: Any, request: pytest.FixtureRequest) -> Iterator[Stack]:
    """A stack of the test's own, gone afterwards."""
    made = Stack(cloud, f"stack-{abs(hash(request.node.name))}")
    yield made
    cloudformation = made.cloudformation
    cloudformation.delete_stack(StackName=made.name)


def delay(cloud: Any, url: str) -> str:
    """The delay of a queue."""
    found = cloud.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["DelaySeconds"])
    return str(found["Attributes"]["DelaySeconds"])


def run(cloud: Any, arn: str) -> Any:
    """What an execution of a state machine gives."""
    states = cloud.client("stepfunctions")
    execution = states.start_execution(stateMachineArn=arn)["executionArn"]
    described = cloud.eventually(
        lambda: (found := states.describe_execution(executionArn=execution))["status"] != "RUNNING" and found
    )
    return json.loads(described["output"])


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

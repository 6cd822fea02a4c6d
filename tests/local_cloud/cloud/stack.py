"""A stack of a test's own, and resources to put into it."""

import json
from typing import Any

from botocore.exceptions import WaiterError

TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "states.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


def queue(**properties: Any) -> dict[str, Any]:
    """A queue."""
    return {"Type": "AWS::SQS::Queue", "Properties": properties}


def delay(cloud: Any, url: str) -> str:
    """The delay of a queue."""
    found = cloud.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["DelaySeconds"])
    return str(found["Attributes"]["DelaySeconds"])


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

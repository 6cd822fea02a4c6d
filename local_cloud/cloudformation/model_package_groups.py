"""``AWS::SageMaker::ModelPackageGroup`` on the local SageMaker."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Protocol

from local_cloud.cloudformation.handlers import Handlers, Properties, Provisioned


class SageMaker(Protocol):
    """The local SageMaker, as CloudFormation needs it."""

    def call(self, operation_name: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        """Answer one request of the control plane: status, headers, body."""


def model_package_group_handlers(service: Callable[[], SageMaker]) -> Handlers:
    """Return the provisioner; ``service`` gives SageMaker, which may start late.

    Ref gives the ARN, Fn::GetAtt ModelPackageGroupArn as well
    (https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-resource-sagemaker-modelpackagegroup.html).
    """

    def call(operation: str, **request: Any) -> dict[str, Any]:
        status, _headers, body = service().call(operation, json.dumps(request).encode())
        answer: dict[str, Any] = json.loads(body)
        if status != 200:
            raise ValueError(f"{answer.get('__type')}: {answer.get('message')}")
        return answer

    def create(_logical_id: str, properties: Properties, _stack_name: str) -> Provisioned:
        request = {key: value for key, value in properties.items() if key in _MEMBERS}
        arn = call("CreateModelPackageGroup", **request)["ModelPackageGroupArn"]
        return arn, {"ModelPackageGroupArn": arn, "ModelPackageGroupStatus": "Completed"}

    def update(physical_id: str, old: Properties, new: Properties, stack_name: str) -> Provisioned:
        if any(
            old.get(member) != new.get(member) for member in ("ModelPackageGroupName", "ModelPackageGroupDescription")
        ):
            return create("", new, stack_name)  # "Update requires: Replacement"
        keys = [tag["Key"] for tag in old.get("Tags") or []]
        if keys:
            call("DeleteTags", ResourceArn=physical_id, TagKeys=keys)
        if new.get("Tags"):
            call("AddTags", ResourceArn=physical_id, Tags=new["Tags"])
        return physical_id, {"ModelPackageGroupArn": physical_id, "ModelPackageGroupStatus": "Completed"}

    def delete(physical_id: str, _properties: Properties) -> None:
        call("DeleteModelPackageGroup", ModelPackageGroupName=physical_id)

    return {"create": create, "update": update, "delete": delete}


_MEMBERS = frozenset({"ModelPackageGroupName", "ModelPackageGroupDescription", "Tags"})

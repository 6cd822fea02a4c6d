"""SageMaker's model registry."""

from __future__ import annotations

from typing import Any

from treering.aws.errors import translated
from treering.aws.session import CLIENT_CONFIG, session


class ModelRegistry:
    """Model packages of this account and region. Needs sagemaker:DescribeModelPackage on them."""

    def __init__(self, client: Any = None) -> None:
        self._client: Any = client or session().client("sagemaker", config=CLIENT_CONFIG)

    def approval(self, model_package_arn: str) -> tuple[str, str]:
        """Approval status (Approved, Rejected, PendingManualApproval) and what the person who decided wrote."""
        with translated(f"describe the model package {model_package_arn}", "Check the role of this program."):
            package = self._client.describe_model_package(ModelPackageName=model_package_arn)
        return package["ModelApprovalStatus"], package.get("ApprovalDescription", "")

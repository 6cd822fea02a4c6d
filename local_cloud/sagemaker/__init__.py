"""SageMaker on one machine: jobs and endpoints as real processes, with SageMaker's `/opt/ml` contract.

`SageMakerService` answers the control plane and `InvokeEndpoint` as AWS does: requests are checked against the service
model that the AWS SDK ships, errors carry AWS's codes and words, and whatever would not be honoured here is refused by
name. See `service` for the operations, `jobs` and `endpoints` for what runs. Who may call what is checked before, by
`local_cloud.iam`.
"""

from local_cloud.sagemaker.environment import ImageSpec, RoleNotAssumableError, SageMakerEnvironment
from local_cloud.sagemaker.service import SageMakerService

__all__ = ["ImageSpec", "RoleNotAssumableError", "SageMakerEnvironment", "SageMakerService"]

"""SageMaker's own description of its requests and responses, as the AWS SDK for Python ships it."""

from functools import cache

from botocore.model import OperationModel, ServiceModel, Shape, StructureShape

from local_cloud.aws_models import LOADER


@cache
def service_model() -> ServiceModel:
    """The control plane's model. Loading takes 0.1 s, once."""
    return ServiceModel(LOADER.load_service_model("sagemaker", "service-2"), "sagemaker")


def operation(name: str) -> OperationModel:
    """One operation; raises OperationNotFoundError."""
    return service_model().operation_model(name)


def members(shape: Shape | None) -> dict[str, Shape]:
    """The members of a structure."""
    return dict(shape.members) if isinstance(shape, StructureShape) else {}

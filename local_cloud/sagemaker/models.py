"""Models and endpoint configurations: what they must be like."""

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from local_cloud.sagemaker.environment import SageMakerEnvironment
from local_cloud.sagemaker.errors import invalid
from local_cloud.sagemaker.storage import RoleStorage, split_uri


def container_of(request: Mapping[str, Any]) -> Mapping[str, Any]:
    """CreateModel: its container, which names an image or a model package."""
    container = request.get("PrimaryContainer")
    if container and container.get("Image") and container.get("ModelPackageName"):
        raise invalid("Specify one of either Image and Model Data URL or ModelPackageName in container definition.")
    if not container or not (container.get("Image") or container.get("ModelPackageName")):
        raise invalid("CreateModel needs a PrimaryContainer with an Image or a ModelPackageName.")
    found: Mapping[str, Any] = container
    return found


def check_model(
    cloud: SageMakerEnvironment, role_arn: str, container: Mapping[str, Any], credentials: Mapping[str, str]
) -> None:
    """CreateModel: the role can read the model's data."""
    url = container.get("ModelDataUrl")
    if not url:
        return
    try:
        found = RoleStorage(cloud.endpoint_url(), cloud.region, credentials, role_arn).exists(url)
    except (ClientError, BotoCoreError) as error:
        raise invalid(
            f'Could not access model data at {url}. Please ensure that the role "{role_arn}" exists and that its trust '
            'relationship policy allows the action "sts:AssumeRole" for the service principal '
            '"sagemaker.amazonaws.com". Also ensure that the role has "s3:GetObject" permissions and that the object '
            f"is located in {cloud.region}. ({error})"
        ) from error
    if not found:
        raise invalid(f"Could not find model data at {url}.")


def check_package_data(cloud: SageMakerEnvironment, url: str) -> None:
    """CreateModelPackage: the artefact exists; in the words that users report. ModelMetrics are not looked for.

    That the caller may read it is checked before (`local_cloud/iam/sagemaker.py`).
    """
    storage = RoleStorage(cloud.endpoint_url(), cloud.region, cloud.own_credentials(), "")
    try:
        found = storage.exists(url)
    except (ClientError, BotoCoreError):
        found = False
    if not found:
        bucket, key = split_uri(url)
        raise invalid(
            f"Cannot find S3 object: {key} in bucket {bucket}. Please check if your S3 object exists and has proper "
            "permissions for SageMaker."
        )


def check_config(request: Mapping[str, Any]) -> None:
    """CreateEndpointConfig: every variant has a name of its own, a model, and instances; captures go to S3."""
    production, shadows = request["ProductionVariants"], request.get("ShadowProductionVariants") or []
    if shadows and (len(production), len(shadows)) != (1, 1):
        # ShadowProductionVariants: "If you use this field, you can only specify one variant for ProductionVariants and
        # one variant for ShadowProductionVariants"
        raise invalid(
            "With ShadowProductionVariants there must be one variant of ProductionVariants and one of "
            f"ShadowProductionVariants, not {len(production)} and {len(shadows)}."
        )
    capture = request.get("DataCaptureConfig")
    if capture and not capture["DestinationS3Uri"].startswith("s3://"):
        raise invalid(f"DestinationS3Uri must be a location in S3 (s3://bucket/prefix): {capture['DestinationS3Uri']}.")
    variants = [*production, *shadows]
    names = [variant["VariantName"] for variant in variants]
    if len(set(names)) < len(names):
        raise invalid(f"The names of an endpoint configuration's variants must be unique: {', '.join(sorted(names))}.")
    for variant in variants:
        for member in ("ModelName", "InstanceType", "InitialInstanceCount"):
            if not variant.get(member):
                raise invalid(f"Production variant {variant['VariantName']} must give {member}.")

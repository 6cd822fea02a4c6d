"""The model in service: from the endpoint to its artefact."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from treering import keys
from treering.aws.errors import code_of, is_transient, translated
from treering.aws.s3 import Bucket
from treering.aws.session import CLIENT_CONFIG, session
from treering.steps.evaluation import Champion

_ADVICE = "Check the endpoint and the role of this program."


class ModelInService:
    """Finds the model behind an endpoint and fetches its artefact.

    Needs sagemaker:DescribeEndpoint, DescribeEndpointConfig, DescribeModel, DescribeModelPackage, and s3:GetObject on
    the artefact.
    """

    def __init__(self, client: Any = None, s3: Any = None) -> None:
        self._client: Any = client or session().client("sagemaker", config=CLIENT_CONFIG)
        self._s3 = s3

    def find(self, endpoint_name: str) -> Champion | None:
        """The model of the endpoint's first production variant; none where no endpoint of that name serves."""
        with translated(f"describe the endpoint {endpoint_name}", _ADVICE):
            try:
                endpoint = self._client.describe_endpoint(EndpointName=endpoint_name)
            except ClientError as error:
                # SageMaker has no code of its own for an endpoint that does not exist.
                if code_of(error) == "ValidationException" and not is_transient(error):
                    return None
                raise
        if endpoint["EndpointStatus"] in ("Failed", "Creating", "Deleting"):  # it never served, or no more
            return None
        config_name = endpoint["EndpointConfigName"]
        with translated(f"find the model of the endpoint {endpoint_name}", _ADVICE):
            config = self._client.describe_endpoint_config(EndpointConfigName=config_name)
            model_name = config["ProductionVariants"][0]["ModelName"]
            container = self._client.describe_model(ModelName=model_name)["PrimaryContainer"]
            package = container.get("ModelPackageName")
            if package:
                described = self._client.describe_model_package(ModelPackageName=package)
                container = described["InferenceSpecification"]["Containers"][0]
        return Champion(config_name, model_name, container["ModelDataUrl"])

    def fetch(self, champion: Champion, path: Path) -> None:
        """Write the artefact (model.tar.gz) to `path`."""
        bucket, key = keys.parse_uri(champion.model_data_url)
        Bucket(bucket, self._s3).download(key, path)

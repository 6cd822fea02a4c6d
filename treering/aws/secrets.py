"""Secrets Manager: the current value of a secret."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from treering.aws.errors import code_of, translated
from treering.aws.session import CLIENT_CONFIG, session

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient


class Secrets:
    """Reads secrets. Needs `secretsmanager:GetSecretValue` on them."""

    def __init__(self, client: SecretsManagerClient | None = None) -> None:
        self._client: SecretsManagerClient = client or session().client("secretsmanager", config=CLIENT_CONFIG)

    def read(self, arn: str) -> str:
        """Current text of the secret; empty where it has none (yet). Not kept: a new value counts at once."""
        with translated(f"read the secret {arn}", "Check the secret's ARN and region."):
            try:
                return self._client.get_secret_value(SecretId=arn).get("SecretString", "")
            except ClientError as error:
                # Also the answer for a secret that exists, but was never given a value.
                if code_of(error) == "ResourceNotFoundException":
                    return ""
                raise

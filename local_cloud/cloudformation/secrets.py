"""``AWS::SecretsManager::Secret``: ``Ref`` is the secret's ARN, and a secret without a value has no version."""

from __future__ import annotations

from typing import Any

from ministack.services import secretsmanager

from local_cloud.cloudformation.handlers import Handlers, Properties, Provisioned


def secret_handlers(handlers: Handlers) -> Handlers:
    """Return the emulator's handlers with the ARN as physical id.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-resource-secretsmanager-secret.html, "Ref"
    """

    def create(logical_id: str, properties: Properties, stack_name: str) -> Provisioned:
        if properties.get("Name") in secretsmanager._secrets:
            raise ValueError(f"The secret {properties['Name']} already exists: delete it, or choose another Name")
        name, attributes = handlers["create"](logical_id, properties, stack_name)
        if "SecretString" not in properties and "GenerateSecretString" not in properties:
            secretsmanager._secrets[name]["Versions"].clear()
        return _arn(name), attributes

    def update(physical_id: str, old: Properties, new: Properties, *rest: Any) -> Provisioned:
        name, attributes = handlers["update"](_name(physical_id), old, new, *rest)
        return _arn(name), attributes

    def delete(physical_id: str, properties: Properties, *rest: Any) -> None:
        handlers["delete"](_name(physical_id), properties, *rest)

    return {**handlers, "create": create, "update": update, "delete": delete}


def _arn(name: str) -> str:
    return str(secretsmanager._secrets[name]["ARN"])


def _name(arn: str) -> str:
    """Return the name of the secret with this ARN; the ARN itself when there is none any more."""
    return next((str(name) for name, secret in secretsmanager._secrets.items() if secret["ARN"] == arn), arn)

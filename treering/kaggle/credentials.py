"""Kaggle's two kinds of credentials, from the secret's JSON to an `Authorization` header."""

import base64
import json
from dataclasses import dataclass, field
from typing import Any

from treering.errors import CredentialsError

_WHERE = "Create a token at https://www.kaggle.com/settings (API) and store it with:"


@dataclass(frozen=True)
class Credentials:
    """What proves to Kaggle who asks."""

    authorization: str = field(repr=False)  # value of the header
    how_to_store: str = "aws secretsmanager put-secret-value"  # the command that stores others in their place

    @classmethod
    def parse(cls, secret: str, secret_arn: str) -> "Credentials":
        """Read `{"api_token": …}` or `{"username": …, "key": …}`; the token wins where both are there.

        Raises CredentialsError that says what is missing and which command stores it. Never shows a value.
        """
        if not secret.strip():
            raise CredentialsError(_message(secret_arn, "does not exist or has no value"))
        try:
            content: Any = json.loads(secret)
        except json.JSONDecodeError:
            raise CredentialsError(_message(secret_arn, "is not JSON")) from None
        if not isinstance(content, dict):
            raise CredentialsError(_message(secret_arn, "is not a JSON object"))
        token, username, key = (_text(content, name) for name in ("api_token", "username", "key"))
        if token:
            return cls(f"Bearer {token}", command(secret_arn))
        if username and key:
            return cls("Basic " + base64.b64encode(f"{username}:{key}".encode()).decode(), command(secret_arn))
        lacking = "key" if username else "username" if key else "api_token, or username and key"
        raise CredentialsError(_message(secret_arn, f"has no {lacking}"))


def _text(content: dict[str, Any], name: str) -> str:
    value = content.get(name)
    text = value.strip() if isinstance(value, str) else ""
    return text if text.isprintable() else ""  # a line break would end the header


def command(secret_arn: str) -> str:
    """The command that stores a token in the secret."""
    return (
        f"aws secretsmanager put-secret-value --secret-id {secret_arn} "
        """--secret-string '{"username": "<name>", "key": "<key>"}' (or '{"api_token": "<token>"}')"""
    )


def _message(secret_arn: str, what: str) -> str:
    return f"The secret {secret_arn} with Kaggle's credentials {what}. {_WHERE} {command(secret_arn)}"

"""Where the containers of SageMaker's jobs and endpoints find their role's credentials.

SageMaker sets AWS_CONTAINER_CREDENTIALS_RELATIVE_URI, and SDKs then ask 169.254.170.2. That address cannot be served
without root; the SDKs' AWS_CONTAINER_CREDENTIALS_FULL_URI takes one on the loopback interface
(https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html). So no key stands in a variable: a
program that looks there for one finds none, as on AWS.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from local_cloud.clock import to_iso
from local_cloud.front_door import PREFIX, BadRequestError

ROUTE = "credentials/*"
_VALID = timedelta(hours=12)  # as long as the session


class ContainerCredentials:
    """The credentials of containers, each at an address that only its container knows."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        self._offered: dict[str, dict[str, str]] = {}

    def offer(self, credentials: Mapping[str, str]) -> dict[str, str]:
        """Return the variables by which a container finds these credentials (given as the variables of an SDK)."""
        name = secrets.token_urlsafe(24)
        self._offered[name] = {
            "AccessKeyId": credentials["AWS_ACCESS_KEY_ID"],
            "SecretAccessKey": credentials["AWS_SECRET_ACCESS_KEY"],
            "Token": credentials.get("AWS_SESSION_TOKEN", ""),
            "Expiration": to_iso(datetime.now(UTC) + _VALID),
        }
        return {"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{self._endpoint}{PREFIX}{ROUTE.removesuffix('*')}{name}"}

    def answer(self, name: str) -> Mapping[str, str]:
        """Return what stands at an address, as SDKs read it. Raises BadRequestError."""
        if name not in self._offered:
            raise BadRequestError(
                "there are no credentials at this address; those of an earlier cloud are gone with it"
            )
        return self._offered[name]

"""AWS clients that carry a role's own credentials, so that the front door enforces the role's policies."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Mapping
from typing import Any

from botocore.config import Config
from botocore.exceptions import ConnectionError as BotoConnectionError
from botocore.exceptions import HTTPClientError

from local_cloud import aws_models
from local_cloud.step_functions.dependencies import Dependencies

#: After this a role's session is opened anew, seconds; AWS's shortest session lasts 15 minutes.
SESSION_SECONDS = 600.0
#: The longest call is a Lambda function's 15 minutes.
_READ_TIMEOUT_SECONDS = 960
#: Services whose name in a resource ARN differs from boto's.
_BOTO_NAMES = {"sfn": "stepfunctions", "states": "stepfunctions", "eventbridge": "events", "cloudwatchlogs": "logs"}


#: A call that got no answer.
UNREACHABLE = (HTTPClientError, BotoConnectionError)


class RoleClients:
    """Makes and keeps a client per service, role and region."""

    def __init__(self, dependencies: Dependencies) -> None:
        self._dependencies = dependencies
        self._lock = threading.Lock()
        self._clients: dict[tuple[str, str, str], tuple[float, Any]] = {}
        self._session = aws_models.session()

    def for_role(self, service: str, role_arn: str, region: str) -> Any:
        """Make a client that acts as the role."""
        key = (_BOTO_NAMES.get(service, service), role_arn, region)
        with self._lock:
            made, client = self._clients.get(key, (0.0, None))
            if client is None or time.monotonic() - made > SESSION_SECONDS:
                credentials = self._dependencies.credentials_for_role(role_arn, "StepFunctions")
                client = self._make(key[0], region, credentials)
                self._clients[key] = (time.monotonic(), client)
            return client

    def with_credentials(self, service: str, credentials: Mapping[str, str]) -> Any:
        """Make a client with the given `AWS_*` credentials."""
        with self._lock:
            return self._make(service, self._dependencies.region, credentials)

    def operation(self, service: str, action: str) -> Any:
        """Describe an API action, e.g. `createModel` of `sagemaker`, by botocore's model; None where there is none."""
        name = _BOTO_NAMES.get(service, service)
        with self._lock:
            if name not in self._session.get_available_services():
                return None
            model = self._session.get_service_model(name)
        wanted = action.lower()
        found = next((known for known in model.operation_names if known.lower() == wanted), None)
        return model.operation_model(found) if found else None

    def _make(self, service: str, region: str, credentials: Mapping[str, str]) -> Any:
        client = self._session.create_client(
            service,
            region_name=region,
            endpoint_url=self._dependencies.endpoint_url,
            aws_access_key_id=credentials["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=credentials["AWS_SECRET_ACCESS_KEY"],
            aws_session_token=credentials.get("AWS_SESSION_TOKEN"),
            config=Config(
                # Retries are the state machine's business: each shows in the history.
                retries={"total_max_attempts": 1, "mode": "standard"},
                read_timeout=_READ_TIMEOUT_SECONDS,
                proxies={},
                s3={"addressing_style": "path"},
            ),
        )
        client.meta.events.register("after-call", _name_the_request)
        return client


def _name_the_request(parsed: dict[str, Any], **_: Any) -> None:
    """Give every answer a request ID: the engine's error messages quote it, and fail where it is missing."""
    parsed.setdefault("ResponseMetadata", {}).setdefault("RequestId", str(uuid.uuid4()))

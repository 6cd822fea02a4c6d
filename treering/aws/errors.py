"""Translates what botocore raises into the application's errors: by status, code and class, never by message text."""

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as BotoConnectionError

from treering.errors import ConfigurationError, TransientError, TreeringError

# "Common Error Types" of each API reference, S3's "Error responses" and the SDKs' retry guide.
_TRANSIENT_CODES = frozenset(
    {
        "BandwidthLimitExceeded",
        "ConditionalRequestConflict",
        "ExecutionLimitExceeded",
        "InternalError",
        "InternalFailure",
        "InternalServiceError",
        "LimitExceededException",
        "OperationAborted",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "RequestTimeout",
        "RequestTimeoutException",
        "ServiceUnavailable",
        "ServiceUnavailableException",
        "SlowDown",
        "Throttling",
        "ThrottledException",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
_DENIED_CODES = frozenset({"AccessDenied", "AccessDeniedException", "KMS.AccessDeniedException"})


def code_of(error: ClientError) -> str:
    """The service's error code, such as `NoSuchKey`; for HEAD, which has no body, the status as text."""
    return str(error.response.get("Error", {}).get("Code", ""))


def status_of(error: ClientError) -> int:
    """HTTP status of the answer; 0 where there is none."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def is_denied(error: ClientError) -> bool:
    """Whether the caller lacks a permission."""
    return code_of(error) in _DENIED_CODES or status_of(error) == 403


def is_transient(error: ClientError) -> bool:
    """Whether the same request may succeed later."""
    return status_of(error) >= 500 or status_of(error) == 429 or code_of(error) in _TRANSIENT_CODES


def translate(error: ClientError | BotoCoreError, action: str, advice: str = "") -> TreeringError:
    """The application's error for `error`, raised while trying to `action` ("write s3://bucket/key").

    `advice` is what to do where the fault lies in the request: a wrong name, a missing permission.
    """
    happened = f"Could not {action}: "
    if not isinstance(error, ClientError):
        if isinstance(error, HTTPClientError | BotoConnectionError):
            return TransientError(f"{happened}no connection to AWS ({error}). Trying again later may help.")
        return ConfigurationError(f"{happened}{error}. {advice}".rstrip())
    said = f"AWS answered {code_of(error)}: {error.response.get('Error', {}).get('Message', 'no message')}"
    said = said.rstrip(".")
    if is_transient(error):
        return TransientError(f"{happened}{said}. Trying again later may help.")
    if is_denied(error):
        return ConfigurationError(
            f"{happened}{said}. Allow {error.operation_name} on it in the role of this program. {advice}".rstrip()
        )
    return ConfigurationError(f"{happened}{said}. {advice}".rstrip())


@contextmanager
def translated(action: str, advice: str = "") -> Iterator[None]:
    """Within this context, botocore's errors become the application's (see `translate`)."""
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        raise translate(error, action, advice) from error

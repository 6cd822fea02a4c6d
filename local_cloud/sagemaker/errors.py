"""Errors that reach the caller, with AWS's codes."""

from typing import Any


class ServiceError(Exception):
    """An error response: error code, message, HTTP status, further members of the error's shape."""

    def __init__(self, code: str, message: str, status: int = 400, **members: Any) -> None:
        super().__init__(message)
        self.code, self.message, self.status, self.members = code, message, status, members


def invalid(message: str) -> ServiceError:
    """A ValidationException, SageMaker's answer to most of what is wrong with a request."""
    return ServiceError("ValidationException", message)


class JobFailedError(Exception):
    """A job or a deployment failed; the message becomes its FailureReason."""


class JobStoppedError(Exception):
    """Stop* was called, or the time was over, before the program ran."""

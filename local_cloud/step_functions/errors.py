"""The errors that Step Functions' API answers with."""

from __future__ import annotations


class ApiError(Exception):
    """An error of the API: its name as AWS gives it, its message, its HTTP status."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status

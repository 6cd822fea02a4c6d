"""``AWS::SSM::Parameter``: a value that does not match its own pattern is refused."""

from __future__ import annotations

import re

from local_cloud.cloudformation.handlers import Handlers, Properties, with_checks


def parameter_handlers(handlers: Handlers) -> Handlers:
    """Return handlers that hold a value against ``AllowedPattern``, as PutParameter does.

    https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html, "AllowedPattern"
    """

    def check(properties: Properties) -> None:
        pattern, value = properties.get("AllowedPattern"), str(properties.get("Value", ""))
        if pattern and not re.search(pattern, value):
            raise ValueError(f"Parameter value, cannot be validated against allowedPattern: {pattern}")

    return with_checks(handlers, before=check)

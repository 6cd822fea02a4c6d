"""Who may do what: the parts of IAM that the emulator underneath does not know.

- ``install``: SageMaker's actions and resources, denials worded as AWS words them, TLS on the loopback interface
- ``roles``: credentials of a role for the service that assumes it, and ``iam:PassRole``
- ``objects``: what writing and deleting S3's objects needs beside, or one by one
- ``guards``: checks that concern more than the one resource a request names
"""

from __future__ import annotations

from local_cloud.iam.roles import (
    AccessDeniedError,
    RoleNotAssumableError,
    check_allowed,
    check_pass_role,
    check_trust,
    credentials_for_role,
    is_allowed,
)

__all__ = [
    "AccessDeniedError",
    "RoleNotAssumableError",
    "check_allowed",
    "check_pass_role",
    "check_trust",
    "credentials_for_role",
    "is_allowed",
]

"""The kinds of policies, and the words in which the service that keeps one refuses it.

The words are those of the API's answers, as users have recorded them: IAM (``MalformedPolicyDocument``) and S3
(``MalformedPolicy``) have some for each fault, SNS has few, and SQS the same for all.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """What statements of a kind of policy must and may not have, and how its service says so."""

    code: str
    syntax: str
    no_action: str
    no_resource: str = ""  # empty: nothing is missing without one
    no_principal: str = ""
    action: str = ""
    resource: str = ""
    principal: str = ""

    def said(self, words: str, detail: str) -> str:
        """Return the service's words, then what they are about."""
        return f"{words}{' ' if words.endswith(('.', '!')) else ': '}{detail}"


_MALFORMED = "MalformedPolicyDocument"
_SYNTAX = "Syntax errors in policy."

IDENTITY = Kind(
    code=_MALFORMED,
    syntax=_SYNTAX,
    no_action="Policy statement must contain actions.",
    no_resource="Policy statement must contain resources.",
)
TRUST = Kind(
    code=_MALFORMED,
    syntax=_SYNTAX,
    no_action="Missing required field Action",
    no_principal="Missing required field Principal",
    action="AssumeRole policy may only specify STS AssumeRole actions.",
    principal="Invalid principal in policy",
)
BUCKET = Kind(
    code="MalformedPolicy",
    syntax="Invalid policy syntax.",
    no_action="Missing required field Action",
    no_resource="Missing required field Resource",
    no_principal="Missing required field Principal",
    action="Policy has invalid action",
    resource="Policy has invalid resource",
    principal="Invalid principal in policy",
)
_TOPIC_POLICY_ERROR = "Invalid parameter: Policy Error: null"  # also for a field that is missing
TOPIC = Kind(
    code="InvalidParameter",
    syntax=_TOPIC_POLICY_ERROR,
    no_action=_TOPIC_POLICY_ERROR,
    no_resource=_TOPIC_POLICY_ERROR,
    no_principal=_TOPIC_POLICY_ERROR,
    action="Invalid parameter: Policy statement action out of service scope!",
    resource=_TOPIC_POLICY_ERROR,
    principal="Invalid parameter: Policy Error: PrincipalNotFound",
)
_QUEUE_POLICY_ERROR = "Invalid value for the parameter Policy."
QUEUE = Kind(
    code="InvalidAttributeValue",
    syntax=_QUEUE_POLICY_ERROR,
    no_action=_QUEUE_POLICY_ERROR,
    no_resource=_QUEUE_POLICY_ERROR,
    no_principal=_QUEUE_POLICY_ERROR,
    action=_QUEUE_POLICY_ERROR,
    resource=_QUEUE_POLICY_ERROR,
    principal=_QUEUE_POLICY_ERROR,
)

"""The statements of policies: where each stands, and which of them match a request.

Sources: IAM User Guide, "Policy evaluation logic"
(https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html) and
"IAM JSON policy elements: Resource"
(https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html).
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from ministack.core import iam_evaluator

from local_cloud.policy_language import conditions

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Origin:
    """Where a statement stands: role's name, policy (an inline policy's name or a managed policy's ARN), and its label.

    The label is the statement's Sid, or its number in the policy from 1.
    """

    role: str
    policy: str
    label: str


@dataclass
class Statement(iam_evaluator.ParsedStatement):  # type: ignore[misc]  # the emulator is imported untyped
    """A statement that knows where it stands."""

    origin: Origin | None = None


def statements_of(document: str | Mapping[str, Any], role: str, policy: str) -> list[Statement]:
    """Return a policy's statements, each with its origin."""
    text = document if isinstance(document, str) else json.dumps(document)
    return [replace(one, origin=Origin(role, policy, label)) for label, one in _parsed(text)]


@lru_cache(maxsize=512)
def _parsed(text: str) -> tuple[tuple[str, Statement], ...]:
    parsed = iam_evaluator.parse_policy_document(text)
    return tuple(
        (
            one.sid or str(number),
            Statement(
                one.sid, one.effect, one.actions, one.not_actions, one.resources, one.not_resources, one.conditions
            ),
        )
        for number, one in enumerate(parsed, start=1)
    )


def matching(statements: Iterable[Any], effect: str, context: Any) -> list[Any]:
    """Return the statements of an effect that apply to a request (the emulator's ``EvalContext``)."""
    return [one for one in statements if one.effect == effect and applies(one, context)]


def applies(statement: Any, context: Any) -> bool:
    """Whether a statement's action, resource and conditions match a request.

    One that cannot be evaluated, which only policies that nobody checked can hold, grants nothing and denies all.
    """
    if not action_matches(statement, context.action) or not resource_matches(statement, context.resource_arn):
        return False
    try:
        return conditions.met(
            statement.conditions or {}, lambda key: iam_evaluator._resolve_condition_key(key, context)
        )
    except (conditions.UnknownConditionError, AttributeError) as problem:
        _logger.error("a statement %r cannot be evaluated: %s", statement.sid, problem)
        return bool(statement.effect == "Deny")


def action_matches(statement: Any, action: str) -> bool:
    """Whether a statement is about an action; actions have no case."""
    if statement.actions:
        return any(conditions.like(action, pattern, ignore_case=True) for pattern in statement.actions)
    return not any(conditions.like(action, pattern, ignore_case=True) for pattern in statement.not_actions)


def resource_matches(statement: Any, resource_arn: str) -> bool:
    """Whether a statement is about a resource; trust policies name none."""
    if statement.resources:
        return any(conditions.arn_like(resource_arn, pattern) for pattern in statement.resources)
    return not any(conditions.arn_like(resource_arn, pattern) for pattern in statement.not_resources)

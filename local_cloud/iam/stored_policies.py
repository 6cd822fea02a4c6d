"""Refuses a policy where IAM stores it, whoever asks for it: what cannot be evaluated, or what IAM refuses on AWS.

CloudFormation's provisioners, which store some themselves, ask for the same first (``cloudformation.roles``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from typing import Any

from ministack.core import iam_evaluator
from ministack.core.responses import get_account_id
from ministack.services import iam

from local_cloud.policy_language.kinds import IDENTITY, TRUST, Kind
from local_cloud.policy_language.principals import named_arns
from local_cloud.policy_language.problems import problems

Response = tuple[int, dict[str, str], bytes]

# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html, "IAM and STS character limits": what is
# inline counts together, and "IAM doesn't count white space".
_MOST_OF_MANAGED = 6144
_MOST_OF_ROLE = 10240
_NAME = re.compile(r"[\w+=,.@-]{1,128}", re.ASCII)


class LimitExceededError(ValueError):
    """A policy is longer than IAM takes it."""


def install() -> None:
    """Ask before IAM stores a policy."""
    validated, trusted = iam_evaluator.validate_policy_document, iam._trust_policy_not_principal_error

    def validate_policy_document(document: Any) -> str | None:
        problem = refusal(document, IDENTITY) or validated(document)
        return str(problem) if problem else None

    def trust_policy_error(document: Any) -> str | None:
        problem = trusted(document) or refusal(document, TRUST)
        return str(problem) if problem else None

    iam_evaluator.validate_policy_document = validate_policy_document
    iam._trust_policy_not_principal_error = trust_policy_error
    iam._put_role_policy = _asking(iam._put_role_policy, _check_inline)
    iam._IAM_HANDLERS["PutRolePolicy"] = iam._put_role_policy
    for action in ("CreatePolicy", "CreatePolicyVersion"):
        iam._IAM_HANDLERS[action] = _asking(iam._IAM_HANDLERS[action], _check_managed)


def refusal(document: Any, kind: Kind, resource: str | None = None) -> str | None:
    """Return why a policy is not stored, or None; ``resource`` is the ARN of what it belongs to."""
    try:
        policy = json.loads(document) if isinstance(document, str | bytes) else document
    except ValueError:
        return kind.said(kind.syntax, "Policy document is not valid JSON")
    for problem in problems(policy, kind, resource):
        return problem
    if kind is not IDENTITY:
        for arn in named_arns(policy):
            if not _exists(arn):
                return kind.said(kind.principal, f'"AWS":"{arn}"')
    return None


def check_name(name: str) -> None:
    """Raise ValueError for what IAM takes for no policy's name."""
    if not _NAME.fullmatch(name):
        raise ValueError(
            "The specified value for policyName is invalid. It must contain only alphanumeric characters and/or the "
            f"following: +=,.@_- ({name!r})"
        )


def check_managed_size(document: Any) -> None:
    """Raise LimitExceededError for a managed policy that is too long."""
    if _size(document) > _MOST_OF_MANAGED:
        raise LimitExceededError(f"Cannot exceed quota for PolicySize: {_MOST_OF_MANAGED}")


def check_inline_size(role: str, documents: Iterable[Any]) -> None:
    """Raise LimitExceededError where all inline policies of a role are too long together."""
    if sum(map(_size, documents)) > _MOST_OF_ROLE:
        raise LimitExceededError(f"Maximum policy size of {_MOST_OF_ROLE} bytes exceeded for role {role}".rstrip())


def check_inline(role: str, name: str, document: Any, *, instead_of: str = "") -> None:
    """Hold a role's new inline policy against its name's form, and the length of all that the role then has.

    ``instead_of`` names one that goes. Raises ValueError.
    """
    check_name(name)
    others = (iam._roles.get(role) or {}).get("InlinePolicies") or {}
    check_inline_size(role, [document, *(one for other, one in others.items() if other not in (name, instead_of))])


def _size(document: Any) -> int:
    text = document if isinstance(document, str) else json.dumps(document, ensure_ascii=False)
    return len(re.sub(r"\s", "", text))


def _exists(arn: str) -> bool:
    """Whether there is the role or user that a policy names; those of other accounts are not known here."""
    _arn, _partition, service, _region, account, name = arn.split(":", 5)
    kind, _, path = name.partition("/")
    owners = {"role": iam._roles, "user": iam._users}.get(kind)
    if service != "iam" or account != get_account_id() or owners is None:
        return True
    found = owners.get(path.rpartition("/")[2])
    return bool(found and found["Arn"] == arn)


def _check_inline(parameters: Any) -> None:
    check_inline(*(iam._p(parameters, name) for name in ("RoleName", "PolicyName", "PolicyDocument")))


def _check_managed(parameters: Any) -> None:
    check_managed_size(iam._p(parameters, "PolicyDocument"))


def _asking(own: Callable[[Any], Response], check: Callable[[Any], None]) -> Callable[[Any], Response]:
    def handler(parameters: Any) -> Response:
        try:
            check(parameters)
        except ValueError as refused:
            too_long = isinstance(refused, LimitExceededError)
            status, code = (409, "LimitExceeded") if too_long else (400, "ValidationError")
            answer: Response = iam._error(status, code, str(refused))
            return answer
        return own(parameters)

    return handler

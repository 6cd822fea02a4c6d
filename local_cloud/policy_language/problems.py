"""What of a policy document IAM refuses, or the local cloud cannot evaluate.

A policy that would be evaluated otherwise than on AWS must not be stored: a Deny that is passed over, or an Allow that
counts too often, is found only there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from local_cloud.policy_language import conditions

_IDENTITY_ELEMENTS = frozenset({"Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Condition"})
_ARN = re.compile(r"arn:[^:]*:[^:]+:[^:]*:[^:]*:.+", re.DOTALL)
_ACTION = re.compile(r"\*|[a-z0-9-]+:[A-Za-z0-9*?]+", re.IGNORECASE)


def problems(document: object, *, of_resource: bool = False) -> Iterator[str]:
    """Say what of a policy document cannot be evaluated here, or is refused by IAM.

    ``of_resource`` is for policies of resources and trust policies, whose statements have a ``Principal``. The document
    may be a template's: what an intrinsic function will stand for is not looked at.
    """
    listed = document.get("Statement") if isinstance(document, Mapping) else None
    for number, statement in enumerate(listed if isinstance(listed, list) else [listed], start=1):
        if isinstance(statement, Mapping):
            where = f"statement {statement.get('Sid') or number}"
            for problem in _problems(statement, of_resource):
                yield f"{where}: {problem}"
        else:
            yield f"statement {number} is no object"


def _problems(statement: Mapping[str, Any], of_resource: bool) -> Iterator[str]:
    for element in sorted(statement.keys() - _IDENTITY_ELEMENTS - ({"Principal"} if of_resource else set())):
        yield f"the element {element} is not evaluated"
    for element in ("Action", "NotAction"):
        for action in _listed(statement.get(element)):
            if not _is_intrinsic(action) and (not isinstance(action, str) or not _ACTION.fullmatch(action)):
                yield f"{action!r} is no action, which reads service:Action"
    for element in ("Resource", "NotResource"):
        for resource in _listed(statement.get(element)):
            if _is_intrinsic(resource):
                continue
            if not isinstance(resource, str) or (resource != "*" and not _ARN.fullmatch(resource)):
                yield f"resource {resource!r} must be in ARN format or *"
            elif conditions.VARIABLE.search(resource):
                yield f"the policy variable in the resource {resource} is not evaluated"
    principal = statement.get("Principal")
    if isinstance(principal, Mapping):
        for kind in sorted(principal.keys() - {"AWS", "Service"}):
            yield f"the principal {kind} is not evaluated"
    yield from conditions.problems(statement.get("Condition") or {})


def _is_intrinsic(value: object) -> bool:
    return isinstance(value, Mapping)


def _listed(value: Any) -> list[Any]:
    return [] if value is None else value if isinstance(value, list) else [value]

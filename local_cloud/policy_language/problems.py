"""What of a policy document AWS refuses, or the local cloud cannot evaluate.

A policy that would be evaluated otherwise than on AWS must not be stored: a Deny that is passed over, or an Allow that
counts too often, is found only there. The grammar is that of the IAM User Guide
(https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from local_cloud.policy_language import conditions
from local_cloud.policy_language.elements import is_intrinsic, listed, statements_of
from local_cloud.policy_language.kinds import IDENTITY, TOPIC, TRUST, Kind
from local_cloud.policy_language.principals import invalid_principals
from local_cloud.policy_language.scope import scope_problems

_ELEMENTS = frozenset({"Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Condition"})
_VERSIONS = ("2012-10-17", "2008-10-17")
_ARN = re.compile(r"arn:[^:]*:[^:]+:[^:]*:[^:]*:.+", re.DOTALL)
_ACTION = re.compile(r"\*|[a-z0-9-]+:[A-Za-z0-9*?]+", re.IGNORECASE)
_SID = re.compile("[0-9A-Za-z]*")


def problems(document: object, kind: Kind = IDENTITY, resource: str | None = None) -> Iterator[str]:
    """Say what of a policy document cannot be evaluated here, or is refused by the service that keeps it.

    ``resource`` is the ARN of what the policy belongs to, once there is one. The document may be a template's: what an
    intrinsic function will stand for is not looked at.
    """
    if is_intrinsic(document):
        return
    statements = statements_of(document)
    if not isinstance(document, Mapping) or not statements:
        yield kind.said(kind.syntax, "the policy has no statement")
        return
    for element in sorted(document.keys() - {"Version", "Id", "Statement"}):
        yield kind.said(kind.syntax, f"the element {element} is not known")
    version = document.get("Version", _VERSIONS[-1])
    if not is_intrinsic(version) and str(version) not in _VERSIONS:
        yield kind.said(kind.syntax, f"Version is {version}, not {' or '.join(_VERSIONS)}")
    for number, statement in enumerate(statements, start=1):
        if is_intrinsic(statement):
            continue
        if isinstance(statement, Mapping):
            where = f"statement {statement.get('Sid') or number}"
            for problem in _problems(statement, kind, resource):
                yield f"{where}: {problem}"
        else:
            yield f"statement {number} is no object"
    yield from _sid_problems([one for one in statements if isinstance(one, Mapping) and not is_intrinsic(one)], kind)


def _problems(statement: Mapping[str, Any], kind: Kind, resource: str | None) -> Iterator[str]:
    if kind is IDENTITY and "Principal" in statement:
        yield "Policy document should not specify a principal. (the element Principal)"
    for element in sorted(statement.keys() - _ELEMENTS - {"Principal"}):
        yield f"the element {element} is not evaluated"
    effect = statement.get("Effect")
    if effect not in ("Allow", "Deny") and not is_intrinsic(effect):
        yield kind.said(kind.syntax, f"Effect is {effect}, not Allow or Deny")
    yield from _presence_problems(statement, kind)
    for element in ("Action", "NotAction"):
        for action in listed(statement.get(element)):
            if not is_intrinsic(action) and (not isinstance(action, str) or not _ACTION.fullmatch(action)):
                yield f"{action!r} is no action, which reads service:Action"
    for element in ("Resource", "NotResource"):
        for named in listed(statement.get(element)):
            if is_intrinsic(named):
                continue
            if not isinstance(named, str) or (named != "*" and not _ARN.fullmatch(named)):
                yield f"resource {named!r} must be in ARN format or *"
            elif conditions.VARIABLE.search(named):
                yield f"the policy variable in the resource {named} is not evaluated"
    principal = statement.get("Principal")
    if kind is not IDENTITY and principal and not is_intrinsic(principal):
        if isinstance(principal, Mapping):
            for other in sorted(principal.keys() - {"AWS", "Service"}):
                yield f"the principal {other} is not evaluated"
        for invalid in invalid_principals(principal):
            yield kind.said(kind.principal, invalid)
    yield from scope_problems(statement, kind, resource)
    yield from conditions.problems(statement.get("Condition") or {})


def _presence_problems(statement: Mapping[str, Any], kind: Kind) -> Iterator[str]:
    """Say which element is missing, empty, or there together with its opposite."""
    for element, missing in (("Action", kind.no_action), ("Resource", kind.no_resource)):
        both = [name for name in (element, f"Not{element}") if name in statement]
        if len(both) == 2:
            yield kind.said(kind.syntax, f"{element} and Not{element} exclude each other")
        elif missing and not any(listed(statement.get(name)) for name in both):
            yield kind.said(missing, f"neither {element} nor Not{element} names one")
    if kind is TRUST:
        for element in ("Resource", "NotResource"):
            if element in statement:
                yield f"Has prohibited field {element}"
    principal = statement.get("Principal")
    named = principal.values() if isinstance(principal, Mapping) else [principal]
    if kind.no_principal and not any(map(listed, named)) and "NotPrincipal" not in statement:
        yield kind.said(kind.no_principal, "Principal names nobody")


def _sid_problems(statements: list[Mapping[str, Any]], kind: Kind) -> Iterator[str]:
    """Hold the statements' IDs against IAM's rules, and SNS's, which asks each of several statements for one.

    S3 and SQS take any (https://github.com/cloud-custodian/cloud-custodian/pull/3609).
    """
    sids = [str(one["Sid"]) for one in statements if one.get("Sid") and not is_intrinsic(one["Sid"])]
    twice = [sid for sid, count in Counter(sids).items() if count > 1]
    if kind is IDENTITY:
        for sid in sids:
            if not _SID.fullmatch(sid):
                yield (
                    f"statement {sid}: Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the "
                    "regular expression [0-9A-Za-z]*"
                )
    if kind in (IDENTITY, TRUST) and twice:
        yield f"Statement IDs (SID) in a single policy must be unique. ({', '.join(twice)})"
    without = [number for number, one in enumerate(statements, start=1) if not one.get("Sid")]
    if kind is TOPIC and len(statements) > 1 and (twice or without):
        yield "Invalid parameter: Every policy statement must have a unique ID"

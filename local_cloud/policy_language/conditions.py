"""The conditions of a policy's statements, evaluated as IAM evaluates them.

Sources: IAM User Guide, "IAM JSON policy elements: Condition operators"
(https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html) and
"Set operators for multivalued context keys"
(https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-single-vs-multi-valued-context-keys.html).
Keys that no request here carries are refused before a policy is stored (``problems``): on AWS they may decide.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

Test = Callable[[str, str], bool]

# What requests carry here, in lower case: global keys, and those of the services whose requests are read for them.
KNOWN_KEYS = frozenset(
    {
        "aws:currenttime",
        "aws:epochtime",
        "aws:principalaccount",
        "aws:principalarn",
        "aws:principaltype",
        "aws:requestedregion",
        "aws:resourceaccount",
        "aws:securetransport",
        "aws:sourceaccount",
        "aws:sourcearn",
        "aws:sourceip",
        "aws:sourceowner",
        "aws:tagkeys",
        "cloudwatch:namespace",
        "iam:passedtoservice",
        "s3:delimiter",
        "s3:max-keys",
        "s3:prefix",
        "s3:resourceaccount",
        "s3:x-amz-acl",
        "s3:x-amz-server-side-encryption",
        "sagemaker:taggingaction",
    }
)
_KNOWN_FAMILIES = ("aws:principaltag/", "aws:requesttag/", "s3:existingobjecttag/", "s3:x-amz-grant-")
_OPERATOR = re.compile(r"(?:(?P<set>ForAllValues|ForAnyValue):)?(?P<name>\w+?)(?P<if_exists>IfExists)?", re.IGNORECASE)
# ${aws:username} and the like; ${*}, ${?} and ${$} are the escapes of *, ? and $, which nothing here reads either
VARIABLE = re.compile(r"\$\{[^}]*\}")


@lru_cache(maxsize=4096)
def _glob(pattern: str, flags: int = 0) -> re.Pattern[str]:
    parts = (".*" if char == "*" else "." if char == "?" else re.escape(char) for char in pattern)
    return re.compile("".join(parts), flags | re.DOTALL)


def like(value: str, pattern: str, *, ignore_case: bool = False) -> bool:
    """Whether a value matches a pattern in which ``*`` stands for any characters and ``?`` for one."""
    return _glob(pattern, re.IGNORECASE if ignore_case else 0).fullmatch(value) is not None


def arn_like(value: str, pattern: str) -> bool:
    """Whether an ARN matches: "Each of the six colon-delimited components of the ARN is checked separately"."""
    if pattern == "*":
        return True
    parts, patterns = value.split(":", 5), pattern.split(":", 5)
    return len(parts) == len(patterns) == 6 and all(map(like, parts, patterns))


def _instant(text: str) -> datetime:
    try:
        return datetime.fromtimestamp(float(text), UTC)
    except ValueError:
        instant = datetime.fromisoformat(text)
        return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def _ordered(convert: Callable[[str], Any], compare: Callable[[Any, Any], bool]) -> Test:
    def test(actual: str, expected: str) -> bool:
        try:
            return compare(convert(actual), convert(expected))
        except (ValueError, OverflowError):
            return False

    return test


def _in_network(actual: str, expected: str) -> bool:
    try:
        return ipaddress.ip_address(actual) in ipaddress.ip_network(expected, strict=False)
    except ValueError:
        return False


_TESTS: dict[str, Test] = {
    "stringequals": lambda actual, expected: actual == expected,
    "stringequalsignorecase": lambda actual, expected: actual.lower() == expected.lower(),
    "stringlike": like,
    "numericequals": _ordered(float, lambda actual, expected: bool(actual == expected)),
    "numericlessthan": _ordered(float, lambda actual, expected: bool(actual < expected)),
    "numericlessthanequals": _ordered(float, lambda actual, expected: bool(actual <= expected)),
    "numericgreaterthan": _ordered(float, lambda actual, expected: bool(actual > expected)),
    "numericgreaterthanequals": _ordered(float, lambda actual, expected: bool(actual >= expected)),
    "dateequals": _ordered(_instant, lambda actual, expected: bool(actual == expected)),
    "datelessthan": _ordered(_instant, lambda actual, expected: bool(actual < expected)),
    "datelessthanequals": _ordered(_instant, lambda actual, expected: bool(actual <= expected)),
    "dategreaterthan": _ordered(_instant, lambda actual, expected: bool(actual > expected)),
    "dategreaterthanequals": _ordered(_instant, lambda actual, expected: bool(actual >= expected)),
    "bool": lambda actual, expected: actual.lower() == expected.lower(),
    "ipaddress": _in_network,
    "arnequals": arn_like,  # "ArnEquals … ArnLike: … These behave identically"
    "arnlike": arn_like,
}
# "Negated matching": true where none of the policy's values matches, and where the request has no such key.
_NEGATED = {
    "stringnotequals": "stringequals",
    "stringnotequalsignorecase": "stringequalsignorecase",
    "stringnotlike": "stringlike",
    "numericnotequals": "numericequals",
    "datenotequals": "dateequals",
    "notipaddress": "ipaddress",
    "arnnotequals": "arnequals",
    "arnnotlike": "arnlike",
}


class UnknownConditionError(ValueError):
    """A condition that cannot be evaluated here; the text names its operator."""


def met(conditions: Mapping[str, Any], value_of: Callable[[str], Any]) -> bool:
    """Whether all conditions of a statement hold; ``value_of(key)`` is the request's value, a list of them, or None.

    Raises UnknownConditionError for an operator that IAM does not have, or that is not known here.
    """
    return all(
        _holds(operator, value_of(key), _listed(expected))
        for operator, block in conditions.items()
        for key, expected in block.items()
    )


def problems(conditions: object) -> Iterator[str]:
    """Say what of a ``Condition`` element cannot be evaluated here."""
    if not isinstance(conditions, Mapping):
        yield "Condition must be an object of operators"
        return
    for operator, block in conditions.items():
        if _parsed(operator) is None:
            yield f"the condition operator {operator} is not known"
        if not isinstance(block, Mapping):
            yield f"the condition operator {operator} must have an object of keys"
            continue
        for key, expected in block.items():
            if key.lower() not in KNOWN_KEYS and not key.lower().startswith(_KNOWN_FAMILIES):
                yield f"no request carries the condition key {key} here, so it cannot be evaluated"
            for value in _listed(expected) if not isinstance(expected, Mapping) else ():  # an intrinsic function
                if VARIABLE.search(value):
                    yield f"the policy variable in the value {value} of {key} is not evaluated"


def _parsed(operator: str) -> re.Match[str] | None:
    found = _OPERATOR.fullmatch(operator)
    if found is None:
        return None
    name = found["name"].lower()
    if name == "null":
        return found if not found["set"] and not found["if_exists"] else None
    return found if name in _TESTS or name in _NEGATED else None


def _holds(operator: str, actual: Any, expected: list[str]) -> bool:
    found = _parsed(operator)
    if found is None:
        raise UnknownConditionError(f"the condition operator {operator} is not known")
    name, which = found["name"].lower(), (found["set"] or "").lower()
    if name == "null":
        return (actual is None) == (expected[0].lower() == "true")
    negated = name in _NEGATED
    if actual is None:
        # an empty set satisfies ForAllValues; a missing key satisfies …IfExists and what is negated
        return bool(found["if_exists"]) or which == "forallvalues" or (negated and which != "foranyvalue")
    test = _TESTS[_NEGATED.get(name, name)]

    def matches(value: str) -> bool:
        return any(test(value, pattern) for pattern in expected) != negated

    values = [str(value) for value in actual] if isinstance(actual, list) else [str(actual)]
    return all(map(matches, values)) if which == "forallvalues" else any(map(matches, values))


def _listed(value: object) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [str(one).lower() if isinstance(one, bool) else str(one) for one in values]

"""What EventBridge refuses in a rule and its targets, in its words: asked of by its API and by templates.

The emulator looks at patterns and at the form of a schedule. The words about targets are those that others have
measured (https://github.com/badmintoncryer/cdk-preflight, rules/events).
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ministack.core.arn import ArnParseError, parse_arn
from ministack.core.responses import error_response_json
from ministack.services import eventbridge

Answer = tuple[int, dict[str, str], bytes]

_DEFAULT_BUS = "default"
_RATE = re.compile(r"rate\((\d+)\s+(?:minute|hour|day)(s?)\)")
_INPUTS = ("Input", "InputPath", "InputTransformer")


class RuleRefusedError(ValueError):
    """EventBridge refuses a rule; ``code`` is its error's."""

    def __init__(self, message: str, code: str = "ValidationException") -> None:
        super().__init__(message)
        self.code = code


def install() -> None:
    """Let PutRule and PutTargets refuse what they refuse on AWS."""
    eventbridge._put_rule = _checked(eventbridge._put_rule, check_rule)
    eventbridge._put_targets = _checked(
        eventbridge._put_targets, lambda request: check_targets(request.get("Targets") or [])
    )


def check_rule(rule: Mapping[str, Any]) -> None:
    """Raise RuleRefusedError for a rule that PutRule refuses; its pattern may be text or, of a template, an object."""
    schedule, pattern = rule.get("ScheduleExpression"), rule.get("EventPattern")
    if not schedule and not pattern:
        raise RuleRefusedError("Parameter(s) EventPattern or ScheduleExpression must be specified.")
    eventbridge._ensure_default_bus()
    bus, _error = eventbridge._event_bus_name_from_ref(rule.get("EventBusName") or _DEFAULT_BUS)
    if bus not in eventbridge._event_buses:
        raise RuleRefusedError(f"Event bus {bus} does not exist.", "ResourceNotFoundException")
    if schedule and bus != _DEFAULT_BUS:
        raise RuleRefusedError("ScheduleExpression is supported only on the default event bus.")
    if schedule and not is_schedule(schedule):
        raise RuleRefusedError("Parameter ScheduleExpression is not valid.")
    problem = eventbridge._event_pattern_error(json.dumps(pattern) if isinstance(pattern, Mapping) else pattern)
    if problem:
        raise RuleRefusedError(f"Event pattern is not valid. Reason: {problem}", "InvalidEventPatternException")


def check_targets(targets: Iterable[Mapping[str, Any]]) -> None:
    """Raise RuleRefusedError for targets that PutTargets refuses."""
    for name, times in Counter(target["Id"] for target in targets).items():
        if times > 1:
            raise RuleRefusedError(
                f"Parameter targets is not valid. Reason: More than one target with Id '{name}' is provided."
            )
    for target in targets:
        if _service(target["Arn"]) == "states" and not target.get("RoleArn"):
            raise RuleRefusedError(f"RoleArn is required for target {target['Arn']}.")
        if sum(1 for name in _INPUTS if target.get(name)) > 1:
            raise RuleRefusedError(
                f"Only one of Input, InputPath, or InputTransformer must be provided for target {target['Id']}."
            )
        if target.get("Input") and not _is_json(target["Input"]):
            raise RuleRefusedError(f"JSON syntax error in input for target {target['Id']}")


def is_schedule(expression: str) -> bool:
    """Whether PutRule takes a schedule.

    "rate(1 hours) and rate(5 hour) aren't valid", and hours are from 0 to 23, days of the week from 1 to 7
    (https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-scheduled-rule-pattern.html). The range of years, which
    stands there, too, is not enforced: others have deployed the year 2500.
    """
    rate = _RATE.fullmatch(expression)
    if rate:
        number, plural = int(rate[1]), bool(rate[2])
        return number > 0 and plural == (number > 1)
    fields = eventbridge._parse_cron_fields(expression)
    if fields is None:
        return False
    minutes, hours, days, months, weekdays, *_rest = fields
    ranges = ((minutes, 0, 59), (hours, 0, 23), (days["days"], 1, 31), (months, 1, 12), (weekdays["days"], 1, 7))
    return all(least <= number <= most for numbers, least, most in ranges for number in numbers)


def _checked(
    handle: Callable[[dict[str, Any]], Answer], check: Callable[[dict[str, Any]], None]
) -> Callable[[dict[str, Any]], Answer]:
    def checked(request: dict[str, Any]) -> Answer:
        try:
            check(request)
        except RuleRefusedError as refused:
            refusal: Answer = error_response_json(refused.code, str(refused), 400)
            return refusal
        return handle(request)

    return checked


def _service(arn: str) -> str:
    try:
        return str(parse_arn(arn).service)
    except ArnParseError:  # which PutTargets refuses in words of its own
        return ""


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True

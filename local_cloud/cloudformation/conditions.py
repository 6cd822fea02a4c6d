"""Conditions of a template: held against CloudFormation's rules, then evaluated.

The emulator takes a name that it does not know for its own text, so that a misspelt parameter makes a condition false
without a word; and it compares pseudo parameters, `Fn::FindInMap`, `Fn::Join` and YAML's own booleans as they stand.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/intrinsic-function-reference-conditions.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ministack.services.cloudformation import changesets, engine, handlers, stacks

from local_cloud.cloudformation.structure import PSEUDO_PARAMETERS, conditions_in, in_circles, references

#: How many arguments each has, and what CloudFormation says where it has others.
_FUNCTIONS = {
    "Fn::Equals": (2, 2, "requires a list of 2 string parameters"),
    "Fn::Not": (1, 1, "requires a list with exactly 1 boolean parameter"),
    "Fn::And": (2, 10, "requires a list of at least 2 and at most 10 boolean parameters"),
    "Fn::Or": (2, 10, "requires a list of at least 2 and at most 10 boolean parameters"),
}
#: A condition is evaluated where the emulator does not say of which stack.
_STACKS_OWN = frozenset({"AWS::StackName", "AWS::StackId", "AWS::NotificationARNs"})


def install() -> None:
    """Take the place of the emulator's evaluation, wherever it calls it."""
    engine._evaluate_conditions = evaluate  # from here nested stacks take it
    changesets._evaluate_conditions = evaluate
    handlers._evaluate_conditions = evaluate
    stacks._evaluate_conditions = evaluate


def evaluate(template: Mapping[str, Any], parameters: Mapping[str, Mapping[str, Any]]) -> dict[str, bool]:
    """Return whether each condition of a template holds; ``parameters`` are the emulator's resolved ones.

    Raise ValueError, in CloudFormation's words, for a condition that is none or that names what there is not.
    """
    definitions: Mapping[str, Any] = template.get("Conditions") or {}
    check(template)
    found: dict[str, bool] = {}

    def named(name: str) -> bool:
        if name not in found:
            found[name] = holds(definitions[name])
        return found[name]

    def holds(expression: Mapping[str, Any]) -> bool:
        function, arguments = next(iter(expression.items()))
        if function == "Condition":
            return named(arguments)
        if function == "Fn::Equals":
            left, right = (text(argument) for argument in arguments)
            return left == right
        if function == "Fn::Not":
            return not holds(arguments[0])
        return (all if function == "Fn::And" else any)([holds(argument) for argument in arguments])

    def text(argument: Any) -> str:
        if _is_condition(argument):
            value: Any = holds(argument)
        else:
            for name in conditions_in(argument):
                named(name)
            mappings = template.get("Mappings") or {}
            value = engine._resolve_refs(argument, {}, parameters, found, mappings, "", "")
        return str(value).lower() if isinstance(value, bool) else str(value)

    return {name: named(name) for name in definitions}


def check(template: Mapping[str, Any]) -> None:
    """Raise ValueError for the first thing that is wrong with a template's conditions, without evaluating them."""
    definitions = template.get("Conditions") or {}
    if not isinstance(definitions, Mapping):
        raise ValueError("Template format error: Conditions must be a map of names to conditions.")
    known = (template.get("Parameters") or {}).keys() | PSEUDO_PARAMETERS
    missing = sorted(set(references(definitions)) - known)
    if missing:
        raise ValueError(
            f"Template format error: Unresolved dependencies [{', '.join(missing)}]. Cannot reference resources in the "
            "Conditions block of the template"
        )
    for name in sorted(set(references(definitions)) & _STACKS_OWN):
        raise ValueError(f"The local cloud does not support {name} in the Conditions block of a template")
    for definition in definitions.values():
        _check_form(definition, lambda name: name in definitions)
    if circles := in_circles({name: set(_names(definition)) for name, definition in definitions.items()}):
        raise ValueError(f"Template error: Found circular condition dependency: [{', '.join(sorted(circles))}]")


def _is_condition(value: Any) -> bool:
    return isinstance(value, Mapping) and len(value) == 1 and next(iter(value)) in {*_FUNCTIONS, "Condition"}


def _check_form(expression: Any, is_known: Callable[[str], bool]) -> None:
    if not _is_condition(expression):
        raise ValueError(
            "Template format error: Conditions can only be boolean operations on parameters and other conditions"
        )
    function, arguments = next(iter(expression.items()))
    if function == "Condition":
        if not isinstance(arguments, str):
            raise ValueError("Template format error: Every Condition member must be a string.")
        if not is_known(arguments):
            raise ValueError(
                f"Template format error: Unresolved condition dependency {arguments} in the Conditions block of the "
                "template"
            )
        return
    fewest, most, wanted = _FUNCTIONS[function]
    if not isinstance(arguments, list) or not fewest <= len(arguments) <= most:
        raise ValueError(f"Template error: every {function} object {wanted}.")
    if function != "Fn::Equals":
        for argument in arguments:
            _check_form(argument, is_known)
        return
    for argument in arguments:
        if _is_condition(argument):
            _check_form(argument, is_known)
        for name in conditions_in(argument):
            _check_form({"Condition": name}, is_known)


def _names(value: Any) -> list[str]:
    """Name the conditions that a condition is made of."""
    if isinstance(value, Mapping) and isinstance(value.get("Condition"), str):
        return [value["Condition"]]
    below = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return [*conditions_in(value), *(name for item in below for name in _names(item))]

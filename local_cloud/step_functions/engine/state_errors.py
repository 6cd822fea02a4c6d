"""Errors that the engine reports as States.Runtime, by the names that AWS documents for them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from moto.stepfunctions.parser.asl.component.common.error_name.custom_error_name import CustomErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import FailureEvent, FailureEventException
from moto.stepfunctions.parser.asl.component.common.path.result_path import ResultPath
from moto.stepfunctions.parser.asl.component.common.string.string_expression import (
    StringIntrinsicFunction,
    StringJSONata,
)
from moto.stepfunctions.parser.asl.component.state.choice.comparison.comparison_operator_type import (
    ComparisonOperatorType,
)
from moto.stepfunctions.parser.asl.component.state.choice.comparison.variable import NoSuchVariable
from moto.stepfunctions.parser.asl.component.state.choice.state_choice import StateChoice
from moto.stepfunctions.parser.asl.utils.json_path import NoSuchJsonPathError

from local_cloud.step_functions.engine.jsonata_expressions import JsonataError, UnsupportedResultError

_engine_evaluate_jsonata = StringJSONata._eval_body
_engine_evaluate_intrinsic = StringIntrinsicFunction._eval_body
_engine_evaluate_choice = StateChoice._eval_state
_engine_evaluate_result_path = ResultPath._eval_body


def evaluate_jsonata(self: Any, env: Any) -> None:
    """Evaluate an expression; what cannot be evaluated is States.QueryEvaluationError."""
    try:
        _engine_evaluate_jsonata(self, env)
    except UnsupportedResultError as error:
        cause = f"The JSONata expression '{self.expression}' returned an unsupported result type."
        raise _failure(env, "States.QueryEvaluationError", cause, "EvaluationFailed") from error
    except JsonataError as error:
        cause = f"The JSONata expression '{self.expression}' could not be evaluated: {error}"
        raise _failure(env, "States.QueryEvaluationError", cause, "EvaluationFailed") from error


def evaluate_condition(self: Any, env: Any) -> None:
    """Evaluate a rule's Condition, which must be a boolean."""
    _evaluate_typed(self.string_jsonata, env, "Condition", "boolean", bool)


def number_of(field: str) -> Callable[[Any, Any], int]:
    """Make the evaluation of a field that counts: its JSONata must give a number."""

    def evaluate(self: Any, env: Any) -> int:
        _evaluate_typed(self.string_jsonata, env, field, "number", (int, float))
        return int(env.stack.pop())

    return evaluate


def evaluate_fail_text(self: Any, env: Any) -> None:
    """Evaluate the Error or Cause of a Fail state: a path "must select a field that contains a string value".

    https://docs.aws.amazon.com/step-functions/latest/dg/state-fail.html
    """
    field, given = type(self).__name__, self.string_expression
    if isinstance(given, StringJSONata):
        _evaluate_typed(given, env, field, "string", str)
        return
    given.eval(env=env)
    if not isinstance(env.stack[-1], str):
        cause = f"The {field} '{given.literal_value}' must select a field that contains a string value"
        raise _failure(env, "States.Runtime", cause, "TaskFailed")


def _evaluate_typed(expression: Any, env: Any, field: str, wanted: str, types: type | tuple[type, ...]) -> None:
    """Evaluate JSONata; "a result of an incompatible type" is States.QueryEvaluationError (Developer Guide)."""
    expression.eval(env=env)
    value = env.stack[-1]
    if not isinstance(value, types) or (isinstance(value, bool) and wanted != "boolean"):
        env.stack.pop()  # a Catch finds the stack as it was
        text = json.dumps(value, separators=(",", ":"))
        cause = (
            f"The JSONata expression '{expression.expression}' specified for the field '{field}' returned an "
            f"unexpected result type. Expected '{wanted}', but was '{_json_type(value)}' for value: {text}"
        )
        raise _failure(env, "States.QueryEvaluationError", cause, "EvaluationFailed")


def _json_type(value: Any) -> str:
    names = {bool: "boolean", int: "number", float: "number", str: "string", list: "array", dict: "object"}
    return names.get(type(value), "null")


def evaluate_intrinsic(self: Any, env: Any) -> None:
    """Evaluate an intrinsic function; what cannot be evaluated is States.IntrinsicFailure."""
    try:
        _engine_evaluate_intrinsic(self, env)
    except (FailureEventException, NoSuchJsonPathError):
        raise
    except Exception as error:  # the functions raise what Python raises
        cause = f"The function '{self.intrinsic_function_derivation}' had the following error: {error}"
        raise _failure(env, "States.IntrinsicFailure", cause, "TaskFailed") from error


def evaluate_choice(self: Any, env: Any) -> None:
    """Choose the next state; where no rule holds and there is no default, it is States.NoChoiceMatched."""
    try:
        _engine_evaluate_choice(self, env)
    except RuntimeError as error:
        if self.default_state is not None:
            raise
        cause = f"No rule of the choice '{self.name}' holds for its input, and it has no Default"
        raise _failure(env, "States.NoChoiceMatched", cause, "TaskFailed") from error


def evaluate_comparison(self: Any, env: Any) -> None:
    """Compare a value of the input; one that is not there is an error, but to IsPresent (the engine lets it pass)."""
    self.variable.eval(env)
    asks = getattr(self.comparison_function, "operator_type", None)
    if isinstance(env.stack[-1], NoSuchVariable) and asks is not ComparisonOperatorType.IsPresent:
        path = self.variable.string_sampler.literal_value
        cause = f"Invalid path '{path}': The choice state's condition path references an invalid value."
        raise _failure(env, "States.Runtime", cause, "TaskFailed")
    self.comparison_function.eval(env)


def evaluate_result_path(self: Any, env: Any) -> None:
    """Put a result into the input; where it does not fit, it is States.ResultPathMatchFailure."""
    try:
        _engine_evaluate_result_path(self, env)
    except (TypeError, AttributeError, IndexError, KeyError) as error:  # what the path library raises
        cause = f"The ResultPath '{self.result_path_src}' does not fit the state's input: {error}"
        raise _failure(env, "States.ResultPathMatchFailure", cause, "TaskFailed") from error


def missing_path(env: Any, error: NoSuchJsonPathError) -> FailureEventException:
    """Fail a task whose arguments name a path that its input lacks: the execution's end, never a task's event."""
    field = getattr(env, "next_field_name", None)
    place = f" specified for the field '{field}'" if field else ""
    data = json.dumps(error.data, separators=(",", ":"), default=str)
    cause = f"The JSONPath '{error.json_path}'{place} could not be found in the input '{data}'"
    return _failure(env, "States.Runtime", cause, "TaskFailed")


def too_much_data(env: Any, name: str, what: str) -> FailureEventException:
    """Fail a state for the size of its data, as the engine words it for a result."""
    cause = f"The state/task '{name}' {what} with a size exceeding the maximum number of bytes service limit."
    return _failure(env, "States.DataLimitExceeded", cause, "TaskFailed")


def _failure(env: Any, error: str, cause: str, event_type: str) -> FailureEventException:
    details = f"{event_type[0].lower()}{event_type[1:]}EventDetails"
    return FailureEventException(
        FailureEvent(
            env=env,
            error_name=CustomErrorName(error),
            event_type=event_type,
            event_details={details: {"error": error, "cause": cause}},
        )
    )

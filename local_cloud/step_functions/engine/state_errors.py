"""Errors that the engine reports as States.Runtime, by the names that AWS documents for them."""

from __future__ import annotations

import json
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

from local_cloud.step_functions.engine.jsonata_expressions import JsonataError

_engine_evaluate_jsonata = StringJSONata._eval_body
_engine_evaluate_intrinsic = StringIntrinsicFunction._eval_body
_engine_evaluate_choice = StateChoice._eval_state
_engine_evaluate_result_path = ResultPath._eval_body


def evaluate_jsonata(self: Any, env: Any) -> None:
    """Evaluate an expression; what cannot be evaluated is States.QueryEvaluationError."""
    try:
        _engine_evaluate_jsonata(self, env)
    except JsonataError as error:
        cause = f"The JSONata expression '{self.expression}' could not be evaluated: {error}"
        raise _failure(env, "States.QueryEvaluationError", cause, "EvaluationFailed") from error


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

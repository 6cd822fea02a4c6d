"""What travels between states: its size, and JSON only."""

from __future__ import annotations

import json
from typing import Any

from moto.stepfunctions.parser.asl.component.state.exec.state_task.state_task import StateTask
from moto.stepfunctions.parser.asl.component.state.exec.state_task.state_task_lambda import StateTaskLambda

from local_cloud.step_functions import json_text
from local_cloud.step_functions.engine.names import to_json_text
from local_cloud.step_functions.engine.state_errors import too_much_data

#: Step Functions' quota for a state's input and output, and for what one Assign sets, bytes of UTF-8.
MAXIMUM_BYTES = 262_144

_engine_parameters = StateTask._eval_parameters
_engine_function_parameters = StateTaskLambda._eval_parameters


def is_within_limit(value: Any) -> bool:
    """Whether a value is small enough (replaces `quotas.is_within_size_quota`, which counts escapes, not UTF-8)."""
    text = value if isinstance(value, str) else to_json_text(value)
    return len(text.encode("utf-8", "surrogatepass")) <= MAXIMUM_BYTES


def task_parameters(self: Any, env: Any) -> Any:
    """Evaluate a task's parameters, which must not be too large (replaces `StateTask._eval_parameters`).

    Developer Guide, "Handling errors": States.DataLimitExceeded is reported, too, "when, after Parameters processing,
    the input of a state is larger than the payload size quota".
    """
    parameters = _engine_parameters(self, env)
    if not is_within_limit(parameters):
        raise too_much_data(env, self.resource.resource_arn, "has an input")
    return parameters


def function_parameters(self: Any, env: Any) -> Any:
    """As `task_parameters`, where the resource is a function's ARN (replaces `StateTaskLambda._eval_parameters`)."""
    parameters = _engine_function_parameters(self, env)
    if not is_within_limit(parameters["Payload"]):
        raise too_much_data(env, self.resource.resource_arn, "has an input")
    return parameters


def assign(self: Any, env: Any) -> None:
    """Set the variables of an Assign, 256 KiB in all (replaces `AssignDecl._eval_body`).

    https://docs.aws.amazon.com/step-functions/latest/dg/workflow-variables.html
    """
    declarations: dict[str, Any] = {}
    for binding in self.declaration_bindings:
        binding.eval(env=env)
        declarations.update(env.stack.pop())
    if not is_within_limit(declarations):
        raise too_much_data(env, env.states.context_object.context_object_data["State"]["Name"], "assigns variables")
    for name, value in declarations.items():
        env.variable_store.set(variable_identifier=name, variable_value=value)


def answer_of_function(payload_streaming_body: Any) -> Any:
    """Read what a function answered (replaces `lambda_eval_utils._from_payload`); text that is no JSON stays text.

    NaN and Infinity, which Python's runtime writes, make the task fail (nasa/cumulus-message-adapter#105).
    """
    text = payload_streaming_body.read().decode()
    try:
        return json_text.read(text)
    except json.JSONDecodeError:
        return text


def string_to_json(self: Any, env: Any) -> None:
    """Parse a text (replaces `StringToJson._eval_body`); what is no JSON is States.IntrinsicFailure."""
    self.argument_list.eval(env=env)
    text = env.stack.pop().pop()
    env.stack.append(json_text.read(text) if text is not None and text.strip() else None)


def json_to_string(self: Any, env: Any) -> None:
    """Write a value as text, every character as it is (replaces `JsonToString._eval_body`)."""
    self.argument_list.eval(env=env)
    env.stack.append(to_json_text(env.stack.pop().pop()))

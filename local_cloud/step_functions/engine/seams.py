"""Every place where moto's engine is changed, checked when the engine is imported.

The engine is pinned; another version of it that lacks one of these fails here, with its name, before anything runs.
"""

from __future__ import annotations

import importlib
import logging
import sys
from dataclasses import dataclass
from typing import Any

from local_cloud.step_functions.engine import (
    definitions,
    intrinsic_functions,
    json_paths,
    jsonata_expressions,
    names,
    other_tasks,
    payloads,
    runtime,
    state_errors,
    texts,
    waits,
)

_ENGINE = "moto.stepfunctions.parser"
_ASL = f"{_ENGINE}.asl"
_JSON = f"{_ASL}.component.intrinsic.function.statesfunction.json_manipulation"
_TASK = f"{_ASL}.component.state.exec.state_task"


@dataclass(frozen=True)
class Seam:
    """A symbol of the engine, what takes its place, and why."""

    module: str
    symbol: str  #: `name` or `Class.method`
    replacement: Any
    why: str


class SeamError(ImportError):
    """The installed engine lacks symbols that this service replaces."""


SEAMS = (
    Seam(f"{_ASL}.utils.boto_client", "boto_client_for", runtime.boto_client_for, "clients act as the role"),
    Seam(
        f"{_ASL}.parse.preprocessor",
        "Preprocessor.__init__",
        definitions.own_scopes,
        "a refused definition's query languages do not stay for the next one",
    ),
    Seam(f"{_ASL}.antlt4utils.antlr4utils", "from_string_literal", texts.text_of, "JSON's escapes, not Python's"),
    Seam(f"{_ASL}.parse.preprocessor", "Preprocessor._inner_string_of", texts.text_or_null_of, "JSON's escapes"),
    Seam(
        f"{_ASL}.parse.preprocessor",
        "Preprocessor.visitString_intrinsic_function",
        intrinsic_functions.read,
        "the whole text of a function, null, and errors instead of guesses",
    ),
    Seam(
        f"{_ASL}.component.intrinsic.function.statesfunction.generic.string_format",
        "StringFormat._eval_body",
        intrinsic_functions.evaluate_format,
        "AWS's templates, not Python's",
    ),
    Seam(f"{_TASK}.service.state_task_service_factory", "state_task_service_for", other_tasks.task_for, "SageMaker"),
    Seam(f"{_TASK}.state_task", "StateTask._from_error", other_tasks.failure_of_task, "an unreachable service's error"),
    Seam(
        f"{_ASL}.component.state.exec.execute_state",
        "ExecutionState._evaluate_with_timeout",
        waits.evaluate_with_timeout,
        "a stopped execution ends at once",
    ),
    Seam(
        f"{_ASL}.component.common.retry.retrier_decl",
        "RetrierDecl._eval_body",
        waits.evaluate_retrier,
        "a stopped execution does not sleep through its retries",
    ),
    Seam(
        f"{_ASL}.component.state.wait.wait_function.wait_function",
        "WaitFunction._wait_interval",
        waits.wait_interval,
        "fractions of a second, no missed wake-up",
    ),
    Seam(
        f"{_TASK}.service.state_task_service_callback",
        "StateTaskServiceCallback._wait_for_task_token_heartbeat",
        waits.wait_for_heartbeats,
        "an answer that came before the wait began",
    ),
    Seam(
        f"{_ASL}.component.common.error_name.error_equals_decl",
        "ErrorEqualsDecl._eval_body",
        names.evaluate_error_equals,
        "what the wildcards match",
    ),
    Seam(
        f"{_ASL}.component.common.error_name.custom_error_name",
        "CustomErrorName.__init__",
        names.accept_error_name,
        "Fail and Parallel pass on States.* errors",
    ),
    Seam(f"{_ASL}.component.state.state", "StateData", names.state_data(runtime.now), "AWS's form of instants"),
    Seam(f"{_ASL}.jsonata.jsonata", "eval_jsonata_expression", jsonata_expressions.evaluate, "there is no evaluator"),
    Seam(
        f"{_ASL}.jsonata.jsonata",
        "encode_jsonata_variable_declarations",
        jsonata_expressions.declare,
        "strings are escaped",
    ),
    Seam(
        f"{_ASL}.component.common.string.string_expression",
        "StringJSONata._eval_body",
        state_errors.evaluate_jsonata,
        "States.QueryEvaluationError",
    ),
    Seam(
        f"{_ASL}.jsonata.jsonata",
        "_ILLEGAL_VARIABLE_REFERENCES",
        frozenset(),
        "$ is legal below a path's step; where it is not, the definition is refused",
    ),
    Seam(
        f"{_ASL}.component.state.choice.comparison.comparison",
        "ConditionStringJSONata._eval_body",
        state_errors.evaluate_condition,
        "States.QueryEvaluationError for what is no boolean",
    ),
    *(
        Seam(f"{_ASL}.component.{module}", symbol, state_errors.number_of(field), "QueryEvaluationError for no number")
        for module, symbol, field in (
            ("common.timeouts.timeout", "TimeoutSecondsJSONata._eval_seconds", "TimeoutSeconds"),
            ("common.timeouts.heartbeat", "HeartbeatSecondsJSONata._eval_seconds", "HeartbeatSeconds"),
            ("state.wait.wait_function.seconds", "SecondsJSONata._get_wait_seconds", "Seconds"),
            (
                "state.exec.state_map.max_concurrency",
                "MaxConcurrencyJSONata._eval_max_concurrency",
                "MaxConcurrency",
            ),
        )
    ),
    Seam(
        f"{_ASL}.component.state.fail.error_decl",
        "Error._eval_body",
        state_errors.evaluate_fail_text,
        "an error is a string",
    ),
    Seam(
        f"{_ASL}.component.state.fail.cause_decl",
        "Cause._eval_body",
        state_errors.evaluate_fail_text,
        "a cause is a string",
    ),
    Seam(
        f"{_ASL}.component.common.string.string_expression",
        "StringIntrinsicFunction._eval_body",
        state_errors.evaluate_intrinsic,
        "States.IntrinsicFailure",
    ),
    Seam(
        f"{_ASL}.component.state.choice.state_choice",
        "StateChoice._eval_state",
        state_errors.evaluate_choice,
        "States.NoChoiceMatched",
    ),
    Seam(
        f"{_ASL}.component.state.choice.comparison.comparison_variable",
        "ComparisonVariable._eval_body",
        state_errors.evaluate_comparison,
        "a Choice whose Variable is not there fails",
    ),
    Seam(
        f"{_ASL}.component.common.path.result_path",
        "ResultPath._eval_body",
        state_errors.evaluate_result_path,
        "States.ResultPathMatchFailure",
    ),
    Seam(
        f"{_TASK}.state_task_lambda",
        "StateTaskLambda._from_error",
        other_tasks.failure_of_function,
        "Lambda.Unknown and the service's errors by name",
    ),
    Seam(f"{_ASL}.utils.json_path", "extract_json", json_paths.extract, "one value or an array, by the path's form"),
    Seam(
        f"{_ASL}.component.common.string.string_expression",
        "StringVariableSample._eval_body",
        json_paths.evaluate_variable,
        "a path into a variable is JSONPath",
    ),
    Seam(f"{_ASL}.utils.encoding", "to_json_str", names.to_json_text, "JSON without blanks, as AWS writes it"),
    Seam(f"{_ENGINE}.quotas", "is_within_size_quota", payloads.is_within_limit, "the size is that of UTF-8"),
    Seam(f"{_TASK}.state_task", "StateTask._eval_parameters", payloads.task_parameters, "its limit"),
    Seam(f"{_TASK}.state_task_lambda", "StateTaskLambda._eval_parameters", payloads.function_parameters, "its limit"),
    Seam(f"{_ASL}.component.common.assign.assign_decl", "AssignDecl._eval_body", payloads.assign, "its limit"),
    Seam(f"{_TASK}.lambda_eval_utils", "_from_payload", payloads.answer_of_function, "NaN is no JSON"),
    Seam(f"{_JSON}.string_to_json", "StringToJson._eval_body", payloads.string_to_json, "NaN is no JSON"),
    Seam(f"{_JSON}.json_to_string", "JsonToString._eval_body", payloads.json_to_string, "characters as they are"),
    Seam(
        f"{_ASL}.component.intrinsic.jsonata",
        "_DECLARATION_BY_VARIABLE_REFERENCE",
        {},
        "$uuid and $hash are stubs; the evaluator has real ones",
    ),
)

#: Symbols that are used as they are, and must be there.
USED = (
    (f"{_ASL}.parse.asl_parser", "ASLParserException"),
    (f"{_ASL}.parse.asl_parser", "SyntaxErrorListener"),
    (f"{_ASL}.antlr.runtime.ASLLexer", "ASLLexer"),
    (f"{_ASL}.antlr.runtime.ASLParser", "ASLParser.state_machine"),
    (f"{_ASL}.parse.preprocessor", "Preprocessor.visit"),
    (f"{_ASL}.parse.preprocessor", "Preprocessor._query_language_per_scope"),
    (f"{_ASL}.utils.json_path", "parse"),
    (
        f"{_ASL}.component.intrinsic.functionname.state_function_name_types",
        "StatesFunctionNameType.__members__",
    ),
    (f"{_ASL}.component.intrinsic.function.statesfunction.generic.string_format", "StringFormat._to_str_repr"),
    (f"{_ASL}.eval.environment", "Environment.set_stop"),
    (f"{_ASL}.eval.environment", "Environment.program_state"),
    (f"{_ASL}.eval.environment", "Environment.open_frame"),
    (f"{_ASL}.eval.callback.callback", "CallbackPoolManager.notify"),
    (f"{_ASL}.eval.callback.callback", "CallbackPoolManager.heartbeat"),
    (f"{_ASL}.eval.callback.callback", "CallbackEndpoint.interrupt_all"),
    (f"{_ASL}.eval.event.logging", "is_logging_enabled_for"),
    (f"{_ASL}.eval.states", "ContextObject.update_task_token"),
    (f"{_ASL}.eval.states", "States.reset"),
    (f"{_ASL}.component.program.program", "Program.eval"),
    (f"{_TASK}.service.state_task_service", "StateTaskService._after_eval_execution"),
    (f"{_TASK}.service.state_task_service", "StateTaskService._eval_service_task"),
    (f"{_TASK}.service.state_task_service", "StateTaskService._to_boto_request"),
    (f"{_TASK}.service.state_task_service", "StateTaskService._from_boto_response"),
    (f"{_TASK}.service.state_task_service_lambda", "StateTaskServiceLambda._get_supported_parameters"),
    (f"{_TASK}.service.state_task_service_aws_sdk", "StateTaskServiceAwsSdk._normalise_service_error_name"),
    (f"{_TASK}.service.state_task_service", "StateTaskService._from_error"),
    (f"{_TASK}.service.state_task_service", "StateTaskService._get_sfn_resource"),
    (f"{_TASK}.service.state_task_service", "StateTaskService._get_sfn_resource_type"),
    (f"{_TASK}.service.state_task_service", "StateTaskService._validate_service_integration_is_supported"),
    (f"{_TASK}.service.state_task_service_aws_sdk", "StateTaskServiceAwsSdk._eval_service_task"),
    (f"{_TASK}.service.state_task_service_aws_sdk", "StateTaskServiceAwsSdk._from_boto_response"),
    (f"{_TASK}.service.state_task_service_aws_sdk", "StateTaskServiceAwsSdk._to_boto_request"),
    (f"{_TASK}.service.state_task_service_lambda", "StateTaskServiceLambda._error_cause_from_client_error"),
    (f"{_TASK}.service.state_task_service_lambda", "StateTaskServiceLambda._from_error"),
    (f"{_ENGINE}.utils", "TMP_THREADS"),
)


def missing() -> list[str]:
    """Name the symbols that the installed engine lacks."""
    wanted = [(seam.module, seam.symbol) for seam in SEAMS] + list(USED)
    return [f"{module}.{symbol}" for module, symbol in wanted if _find(module, symbol) is None]


def install() -> None:
    """Put every replacement in place; doing it again changes nothing."""
    lacking = missing()
    if lacking:
        raise SeamError(
            f"the installed moto lacks {', '.join(lacking)}; install the version that requirements/dev.txt pins"
        )
    for seam in SEAMS:
        _replace(seam)
    # Each failure stands in the execution's history; the engine would write it to stderr as well.
    logging.getLogger("moto.stepfunctions").setLevel(logging.CRITICAL)


def _find(module: str, symbol: str) -> Any:
    try:
        found: Any = importlib.import_module(module)
    except ImportError:
        return None
    for part in symbol.split("."):
        found = getattr(found, part, None)
    return found


def _replace(seam: Seam) -> None:
    owner: Any = importlib.import_module(seam.module)
    *path, last = seam.symbol.split(".")
    for part in path:
        owner = getattr(owner, part)
    original = getattr(owner, last)
    if original is seam.replacement:
        return
    setattr(owner, last, seam.replacement)
    if path:
        return
    # The engine's modules import functions by name: each has its own reference.
    for name, module in list(sys.modules.items()):
        if name.startswith(_ENGINE) and getattr(module, last, None) is original:
            setattr(module, last, seam.replacement)

"""Which states and integrations the local cloud runs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from local_cloud.step_functions.definition.diagnostic import Diagnostic
from local_cloud.step_functions.definition.fields import problems_in_definition
from local_cloud.step_functions.definition.walk import StateAt, states

#: `operation(service, action)` gives botocore's model of an API action, or None.
FindOperation = Callable[[str, str], Any]

_WITH_TOKEN = frozenset({"", "waitForTaskToken"})
_JOB = frozenset({"", "sync"})
_REQUEST = frozenset({""})

#: Optimised integrations by service and action, each with the patterns that it knows.
INTEGRATIONS: dict[str, dict[str, frozenset[str]]] = {
    "lambda": {"invoke": _WITH_TOKEN},
    "sns": {"publish": _WITH_TOKEN},
    "sqs": {"sendMessage": _WITH_TOKEN},
    "events": {"putEvents": _WITH_TOKEN},
    "states": {"startExecution": frozenset({"", "sync", "sync:2"})},
    "dynamodb": dict.fromkeys(("getItem", "putItem", "deleteItem", "updateItem"), _REQUEST),
    "sagemaker": {
        "createProcessingJob": _JOB,
        "createTrainingJob": _JOB,
        "createTransformJob": _JOB,
        "createModel": _REQUEST,
        "createEndpointConfig": _REQUEST,
        "createEndpoint": _REQUEST,
        "updateEndpoint": _REQUEST,
    },
}
#: Fields of a Map state that the local cloud does not run.
_MAP_FIELDS = ("ItemReader", "ResultWriter", "ItemBatcher")
_SERVICE_RESOURCE = re.compile(r"^arn:aws[a-z-]*:states:([^:]*):([^:]*):([\w-]+):(.+)$")
_FUNCTION = re.compile(r"^arn:aws[a-z-]*:lambda:[^:]+:\d{12}:function:[\w-]+(:[\w$-]+)?$")
#: Names in a resource ARN of `aws-sdk` that differ from botocore's are the client factory's business.
_SDK = re.compile(r"^([a-z0-9]+):([a-z]\w+)$")


def check_integrations(definition: Mapping[str, Any], operation: FindOperation) -> list[Diagnostic]:
    """Find what would not run here, and arguments that the API does not know."""
    found: list[Diagnostic] = []
    for state in states(definition):
        if state.body.get("Type") == "Task" and isinstance(state.body.get("Resource"), str):
            found += _check_task(state, operation)
        if state.body.get("Type") == "Map":
            found += _check_map(state)
    return found


def managed_rules(definition: Mapping[str, Any]) -> list[str]:
    """Name the EventBridge rules that AWS manages for the `.sync` tasks of a definition."""
    rules = set()
    for state in states(definition):
        match = re.search(r":sagemaker:create(\w+)Job\.sync$", str(state.body.get("Resource", "")))
        if match:
            rules.add(f"StepFunctionsGetEventsForSageMaker{match[1]}JobsRule")
        if re.search(r":states:startExecution\.sync(:2)?$", str(state.body.get("Resource", ""))):
            rules.add("StepFunctionsGetEventsForStepFunctionsExecutionRule")
    return sorted(rules)


def _check_task(state: StateAt, operation: FindOperation) -> Iterator[Diagnostic]:
    resource: str = state.body["Resource"]
    if "Credentials" in state.body:
        yield _unsupported(state, "Credentials", "Credentials")
    if _FUNCTION.match(resource):
        return
    match = _SERVICE_RESOURCE.match(resource)
    if not match:
        yield _unsupported(state, resource)
        return
    service, rest = match[3], match[4]
    action, _, pattern = rest.partition(".")
    if service == "aws-sdk":
        sdk = _SDK.match(action)
        model = operation(sdk[1], sdk[2]) if sdk and pattern in _WITH_TOKEN else None
        if model is None:
            yield _unsupported(state, resource)
            return
    elif pattern in INTEGRATIONS.get(service, {}).get(action, frozenset()):
        model = operation(service, action)
    else:
        yield _unsupported(state, resource)
        return
    arguments = state.body.get("Parameters", state.body.get("Arguments", {}))
    field = "Arguments" if "Arguments" in state.body else "Parameters"
    if isinstance(arguments, Mapping) and model.input_shape is not None:
        for problem in problems_in_definition(arguments, model.input_shape, strict=service == "sagemaker"):
            yield Diagnostic("SCHEMA_VALIDATION_FAILED", problem, f"{state.location}/{field}")


def _check_map(state: StateAt) -> Iterator[Diagnostic]:
    for field in _MAP_FIELDS:
        if field in state.body:
            yield _unsupported(state, f"Map with {field}", field)
    processor = state.body.get("ItemProcessor")
    configuration = processor.get("ProcessorConfig", {}) if isinstance(processor, Mapping) else {}
    if isinstance(configuration, Mapping) and configuration.get("Mode") == "DISTRIBUTED":
        yield _unsupported(state, "Map in DISTRIBUTED mode", "ItemProcessor/ProcessorConfig/Mode")


def _unsupported(state: StateAt, what: str, field: str = "Resource") -> Diagnostic:
    return Diagnostic(
        "UNSUPPORTED_BY_LOCAL_CLOUD",
        f'State "{state.name}" uses {what}, which the local cloud does not run',
        f"{state.location}/{field}",
    )

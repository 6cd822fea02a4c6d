"""Requests that CloudFormation refuses for what they name or for the state of a stack; change sets of outputs alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ministack.services.cloudformation import changesets, handlers, stacks

Request = Any
Response = Any

#: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/stack-failure-options.html: these can be updated.
_UPDATABLE = frozenset(
    {"CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "IMPORT_COMPLETE", "IMPORT_ROLLBACK_COMPLETE"}
)
_FREE = frozenset({"DELETE_COMPLETE", "REVIEW_IN_PROGRESS"})
#: What the emulator has and the local cloud does not vouch for.
_LEFT_OUT = (
    "DetectStackDrift",
    "DetectStackResourceDrift",
    "DescribeStackDriftDetectionStatus",
    "DescribeStackResourceDrifts",
    "SetStackPolicy",
    "GetStackPolicy",
    "SignalResource",
    "RollbackStack",
)


class _RefusedError(Exception):
    """A template that cannot follow on the one that a stack has."""


def install() -> None:
    """Lay the checks around the emulator's handlers."""
    actions: dict[str, Callable[[Request], Response]] = handlers._ACTION_HANDLERS
    checks: dict[str, Callable[[Request], Response | None]] = {
        "CreateStack": _refuse_create,
        "UpdateStack": _refuse_update,
        "CreateChangeSet": _refuse_change_set,
        "ExecuteChangeSet": _refuse_execution,
        "DeleteStack": _refuse_deletion,
    }
    for action, check in checks.items():
        actions[action] = _checked(check, actions[action])
    actions["CreateChangeSet"] = _with_changed_outputs(actions["CreateChangeSet"])
    for action in _LEFT_OUT:
        actions[action] = _refusal(action)
    _check_parameters()
    _check_types()


def _checked(check: Callable[[Request], Response | None], handle: Callable[[Request], Response]) -> Any:
    def answer(request: Request) -> Response:
        try:
            return check(request) or handle(request)
        except _RefusedError as error:
            return _error("ValidationError", str(error))

    return answer


def _refusal(action: str) -> Callable[[Request], Response]:
    def refuse(_request: Request) -> Response:
        return _error("ValidationError", f"The local cloud does not support {action} of CloudFormation")

    return refuse


def _error(code: str, message: str) -> Response:
    return handlers._error(code, message)


def _stack(request: Request, name: str = "StackName") -> Mapping[str, Any] | None:
    found: Mapping[str, Any] | None = handlers._resolve_stack(handlers._p(request, name))
    return found


def _refuse_create(request: Request) -> Response | None:
    """A stack whose creation was rolled back can only be deleted; its name is taken until then."""
    stack = _stack(request)
    if stack is not None and stack["StackStatus"] == "ROLLBACK_COMPLETE":
        return _error("AlreadyExistsException", f"Stack [{stack['StackName']}] already exists")
    return None


def _refuse_update(request: Request) -> Response | None:
    stack = _stack(request)
    if stack is not None and stack["StackStatus"] not in _UPDATABLE | {"DELETE_COMPLETE"}:
        return _error(
            "ValidationError", f"Stack:{stack['StackId']} is in {stack['StackStatus']} state and can not be updated."
        )
    return None


def _refuse_change_set(request: Request) -> Response | None:
    kind = handlers._p(request, "ChangeSetType") or "UPDATE"
    if kind == "UPDATE":
        return _refuse_update(request)
    stack = _stack(request)
    if kind == "CREATE" and stack is not None and stack["StackStatus"] not in _FREE:
        name = handlers._p(request, "ChangeSetName")
        return _error(
            "ValidationError",
            f"Stack [{stack['StackName']}] already exists and cannot be created again with the changeSet [{name}].",
        )
    if kind == "IMPORT":
        return _error("ValidationError", "The local cloud does not support change sets of type IMPORT")
    return None


def _refuse_execution(request: Request) -> Response | None:
    name, stack_name = handlers._p(request, "ChangeSetName"), handlers._p(request, "StackName")
    _, change_set = changesets._find_change_set(name, stack_name)
    if not change_set or change_set.get("ChangeSetType") != "UPDATE":
        return None
    stack = handlers._resolve_stack(change_set["StackName"])
    if stack is not None and stack["StackStatus"] not in _UPDATABLE:
        return _error(
            "ValidationError", f"Stack:{stack['StackId']} is in {stack['StackStatus']} state and can not be updated."
        )
    return None


def _refuse_deletion(request: Request) -> Response | None:
    stack = _stack(request)
    busy = ("UPDATE_IN_PROGRESS", "UPDATE_ROLLBACK_IN_PROGRESS", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
    if stack is not None and stack["StackStatus"] in busy:
        return _error(
            "ValidationError",
            f"Stack [{stack['StackId']}] cannot be deleted while in status {stack['StackStatus']}",
        )
    return None


def _with_changed_outputs(handle: Callable[[Request], Response]) -> Callable[[Request], Response]:
    """Let a change set be executed that changes nothing but outputs: it has no changes, and is none that failed.

    https://github.com/aws/aws-cdk/pull/2029 tells of it; the emulator fails such a change set as one without changes.
    """

    def create(request: Request) -> Response:
        response = handle(request)
        _, change_set = changesets._find_change_set(
            handlers._p(request, "ChangeSetName"), handlers._p(request, "StackName")
        )
        stack = handlers._resolve_stack(change_set["StackName"]) if change_set else None
        if (
            stack is not None
            and (change_set["ChangeSetType"], change_set["Status"]) == ("UPDATE", "FAILED")
            and not change_set["Changes"]
            and _outputs_change(stack, change_set)
        ):
            change_set.update(Status="CREATE_COMPLETE", ExecutionStatus="AVAILABLE", StatusReason="")
        return response

    return create


def _outputs_change(stack: Mapping[str, Any], change_set: Mapping[str, Any]) -> bool:
    template, values = change_set["_template"], change_set["_resolved_params"]
    try:
        outputs, _ = stacks._resolve_stack_outputs(
            template.get("Outputs") or {},
            changesets._evaluate_conditions(template, values),
            stack["_resources"],
            values,
            template.get("Mappings") or {},
            stack["StackName"],
            stack["StackId"],
        )
    except ValueError:
        return True  # the update will say what is wrong with it, and roll back
    return bool(outputs != stack["Outputs"])


def _check_types() -> None:
    """Refuse a template that gives a resource of the stack another type, where the emulator compares the two."""
    emulators_diff, emulators_no_updates = changesets._diff_resources, handlers._stack_has_no_updates

    def diff(old: Any, new: Any, resources: Any, template: Any, *rest: Any) -> Any:
        _refuse_other_types(resources or {}, template)
        return emulators_diff(old, new, resources, template, *rest)

    def has_no_updates(stack: Any, template: Any, *rest: Any) -> Any:
        _refuse_other_types(stack.get("_resources") or {}, template)
        return emulators_no_updates(stack, template, *rest)

    changesets._diff_resources = diff
    handlers._stack_has_no_updates = has_no_updates


def _refuse_other_types(resources: Mapping[str, Any], template: Mapping[str, Any]) -> None:
    wanted = template.get("Resources") or {}
    other = [
        name
        for name, resource in resources.items()
        if name in wanted and resource.get("ResourceType", wanted[name]["Type"]) != wanted[name]["Type"]
    ]
    if other:
        raise _RefusedError(
            "Update of resource type is not permitted. The new template modifies resource type of the following "
            f"resources: [{', '.join(sorted(other))}]"
        )


def _check_parameters() -> None:
    """Refuse values for parameters that the template does not have, and name all that have no value."""
    emulators_own = handlers._resolve_parameters

    def resolve(template: Mapping[str, Any], provided: list[dict[str, Any]], previous: Any = None) -> Any:
        known = template.get("Parameters") or {}
        given = {parameter["Key"]: parameter for parameter in provided if "Key" in parameter}
        unknown = [name for name in given if name not in known]
        if unknown:
            raise ValueError(f"Parameters: [{', '.join(unknown)}] do not exist in the template")
        missing = [name for name, declared in known.items() if "Default" not in declared and name not in given]
        if missing:
            raise ValueError(f"Parameters: [{', '.join(missing)}] must have values")
        return emulators_own(template, provided, previous)

    handlers._resolve_parameters = resolve
    changesets._resolve_parameters = resolve

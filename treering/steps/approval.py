"""An execution waits until a person has decided on its model package.

The token of the waiting task is kept under the package's name, and the decision is looked up once more after that: so
nobody can be too quick, and whoever comes second (that look, or the registry's event) finds the task answered.
"""

from typing import Protocol

from treering import keys
from treering.contracts import ApprovalDecision, ApprovalRequest, ApprovalResult, ApprovalToken, ModelPackageDetail


class TokenStore(Protocol):
    """The part of the bucket that keeps tokens."""

    def find(self, key: str, *, denied_is_missing: bool = True) -> bytes | None: ...  # noqa: D102
    def replace(self, key: str, body: bytes) -> None: ...  # noqa: D102


class KnowsApprovals(Protocol):
    """What `treering.aws.model_registry.ModelRegistry` does."""

    def approval(self, model_package_arn: str) -> tuple[str, str]: ...  # noqa: D102


class ResumesTasks(Protocol):
    """What `treering.aws.step_functions.WaitingTasks` does."""

    def succeed(self, task_token: str, output: str) -> bool: ...  # noqa: D102


def wait(request: ApprovalRequest, store: TokenStore, registry: KnowsApprovals, tasks: ResumesTasks) -> ApprovalResult:
    """Keep the token of the task that waits; if the decision is there already, answer the task at once."""
    token = ApprovalToken.model_validate(request.model_dump())
    store.replace(keys.approval_key(request.model_package_arn), token.to_json().encode())
    status, comment = registry.approval(request.model_package_arn)
    if status in ("Approved", "Rejected"):
        return _answer(token, status, comment, tasks)
    return ApprovalResult(
        resumed=False, message=f"The execution waits for the approval of {request.model_package_arn}."
    )


def resume(detail: ModelPackageDetail, store: TokenStore, tasks: ResumesTasks) -> ApprovalResult:
    """Answer the task that waits for this model package, if one does. The same event again changes nothing."""
    arn, status = detail.model_package_arn, detail.approval_status
    if status not in ("Approved", "Rejected"):
        return ApprovalResult(resumed=False, message=f"{arn} is {status}: nothing is decided yet.")
    found = store.find(keys.approval_key(arn), denied_is_missing=False)
    if found is None:
        return ApprovalResult(resumed=False, message=f"{arn} is {status}; no execution waits for it.")
    return _answer(ApprovalToken.model_validate_json(found), status, detail.approval_description, tasks)


def _answer(token: ApprovalToken, status: str, comment: str, tasks: ResumesTasks) -> ApprovalResult:
    decision = ApprovalDecision.model_validate(
        {"decision": status, "comment": comment, "model_package_arn": token.model_package_arn}
    )
    if tasks.succeed(token.task_token, decision.model_dump_json()):
        message = f"{token.model_package_arn} is {status}: {token.execution_arn} goes on."
        return ApprovalResult(resumed=True, message=message)
    message = f"{token.model_package_arn} is {status}; {token.execution_arn} no longer waits for it."
    return ApprovalResult(resumed=False, message=message)

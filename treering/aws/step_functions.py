"""Step Functions: start one execution per name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from treering.aws.errors import code_of, translated
from treering.aws.session import CLIENT_CONFIG, session

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

_ADVICE = "Check that the state machine exists, in this account and region."


class StateMachine:
    """One standard state machine.

    Needs `states:StartExecution` on it and `states:DescribeExecution` on its executions.
    """

    def __init__(self, arn: str, client: SFNClient | None = None) -> None:
        self.arn = arn
        self._client: SFNClient = client or session().client("stepfunctions", config=CLIENT_CONFIG)

    def start(self, name: str, execution_input: str) -> tuple[str, bool]:
        """Start the execution `name` unless it was started before; its ARN, and whether this call started it.

        StartExecution itself keeps a name from being started twice (the same name and input: the running execution's
        answer; ended or another input: ExecutionAlreadyExists; for 90 days after its end). Its answer does not tell the
        first call from a later one, so DescribeExecution is asked before; that may lag behind, StartExecution does not.
        """
        arn = execution_arn(self.arn, name)
        with translated(f"start the execution {name} of {self.arn}", _ADVICE):
            if self._exists(arn):
                return arn, False
            try:
                answer = self._client.start_execution(stateMachineArn=self.arn, name=name, input=execution_input)
            except ClientError as error:
                if code_of(error) == "ExecutionAlreadyExists":
                    return arn, False
                raise
        return answer["executionArn"], True

    def _exists(self, arn: str) -> bool:
        try:
            self._client.describe_execution(executionArn=arn)
        except ClientError as error:
            if code_of(error) == "ExecutionDoesNotExist":
                return False
            raise
        return True


class WaitingTasks:
    """Tasks that wait with a token. Needs `states:SendTaskSuccess`."""

    def __init__(self, client: SFNClient | None = None) -> None:
        self._client: SFNClient = client or session().client("stepfunctions", config=CLIENT_CONFIG)

    def succeed(self, task_token: str, output: str) -> bool:
        """Resume the task with `output` (JSON). False where it no longer waits: answered before, timed out, stopped."""
        with translated("resume the waiting execution", "Check the role of this program."):
            try:
                self._client.send_task_success(taskToken=task_token, output=output)
            except ClientError as error:
                if code_of(error) in ("TaskTimedOut", "TaskDoesNotExist", "InvalidToken"):
                    return False
                raise
        return True


def execution_arn(state_machine_arn: str, name: str) -> str:
    """ARN of an execution: `…:stateMachine:<machine>` → `…:execution:<machine>:<name>` (IAM's action reference)."""
    return f"{state_machine_arn.replace(':stateMachine:', ':execution:', 1)}:{name}"

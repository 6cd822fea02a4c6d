"""What people read of a failure: the state machines take the sentence out of Step Functions' cause."""

import json
from pathlib import Path
from typing import Any

import jsonata
import pytest
import yaml

MACHINES = Path(__file__).parents[2] / "statemachine"
SAID = 'EndpointError: The update of "x" was rolled back,\nby C:\\alarm.'
JOB = json.dumps({"ProcessingJobName": "j", "ExitMessage": SAID, "FailureReason": "AlgorithmError: See job logs"})
STOPPED = "The job was stopped: it took longer than it may (JobMaxRuntimeInSeconds), or somebody asked for it"
ROLLOUT = {"ExecutionArn": "arn:aws:states:us-east-1:000000000000:execution:r:1", "Error": "States.TaskFailed"}


def explained(machine: str, state: str, failed_state: str, cause: str | None) -> dict[str, Any]:
    """The failure, after the Pass state that explains it."""
    output = yaml.safe_load((MACHINES / f"{machine}.asl.yaml").read_text())["States"][state]["Output"]
    expression = jsonata.Jsonata(output.strip().removeprefix("{%").removesuffix("%}"))
    failure = {"Error": "States.TaskFailed"} | ({} if cause is None else {"Cause": cause})
    expression.assign("states", {"input": {"run": 1, "failure": failure}})
    expression.assign("failed_state", failed_state)
    expression.register_lambda("parse", json.loads)
    found = expression.evaluate(None)
    assert found["run"] == 1
    return dict(found["failure"])


@pytest.mark.parametrize(
    ("machine", "state"), [("weekly_training", "Explain Failure"), ("rollout", "Explain Rollout Failure")]
)
@pytest.mark.parametrize(
    ("cause", "reason"),
    [
        (JOB, SAID),
        (json.dumps({"ExitMessage": "", "FailureReason": "CapacityError: none"}), "CapacityError: none"),
        (json.dumps({"ExitMessage": None, "FailureReason": "CapacityError: none"}), "CapacityError: none"),
        ("User: a is not authorized to perform: b", "User: a is not authorized to perform: b"),
        ("{ no JSON", "{ no JSON"),
        (json.dumps({"ProcessingJobName": "j", "ProcessingJobStatus": "Stopped"}), STOPPED),
        ("", "Train: States.TaskFailed"),
        (None, "Train: States.TaskFailed"),
    ],
)
def test_the_reason_is_the_sentence_in_the_cause(machine: str, state: str, cause: str | None, reason: str) -> None:
    """The job's own message, else SageMaker's, else the whole cause; it is there whatever Step Functions gives."""
    found = explained(machine, state, "Train", cause)

    if machine == "rollout":  # whose execution's cause it is, too: it names the state
        reason = f"Train: {reason.removeprefix('Train: ')}"
    assert found == {"Error": "States.TaskFailed", "Cause": cause or "", "Reason": reason}


def test_the_reason_of_a_function_is_its_error_message() -> None:
    """Not its stack trace."""
    cause = json.dumps({"errorMessage": "no such run", "errorType": "ContractError", "stackTrace": ["…"]})

    assert explained("weekly_training", "Explain Failure", "Create Run ID", cause)["Reason"] == "no such run"


def test_the_reason_of_a_rollout_is_that_of_its_state() -> None:
    """Which is its execution's cause; a rollout that was cut off says so."""
    told = f"Deploy Endpoint: {SAID}"
    failed = explained("weekly_training", "Explain Failure", "Roll Out", json.dumps({**ROLLOUT, "Cause": told}))
    late = {"ExecutionArn": ROLLOUT["ExecutionArn"], "Status": "TIMED_OUT"}
    cut_off = explained("weekly_training", "Explain Failure", "Roll Out", json.dumps(late))
    refused = explained("weekly_training", "Explain Failure", "Roll Out", "ExecutionLimitExceeded")

    assert failed == {"Error": "States.TaskFailed", "Cause": told, "Reason": told}
    assert cut_off["Reason"] == f"The rollout {ROLLOUT['ExecutionArn']} ended as TIMED_OUT"
    assert refused["Reason"] == "ExecutionLimitExceeded"

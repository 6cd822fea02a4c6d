"""The run-ID function names an execution, the same way whenever it is asked."""

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from functions.create_run_id.app import handler
from treering.contracts import CreateRunIdResult
from treering.errors import InvalidEventError
from treering.names import SAGEMAKER_NAME

ROOT = Path(__file__).parents[3]
EVENT = json.loads((ROOT / "events" / "create_run_id.json").read_text())
CONTEXT = SimpleNamespace(
    function_name="treering-dev-create-run-id",
    memory_limit_in_mb=256,
    invoked_function_arn="arn:aws:lambda:eu-central-1:123456789012:function:treering-dev-create-run-id",
    aws_request_id="request",
)


def run_id(**changes: str) -> str:
    """The answer to the example event with these members changed."""
    return CreateRunIdResult.model_validate(handler({**EVENT, **changes}, CONTEXT)).run_id


def test_the_id_begins_with_the_executions_start_and_is_the_same_again() -> None:
    """Time in UTC, digits from the ARN; a retried call gives the same."""
    assert run_id() == run_id()
    assert run_id().startswith("20261123-060107-")


def test_executions_that_start_together_have_different_ids() -> None:
    """The ARN tells them apart."""
    assert run_id() != run_id(execution_arn=EVENT["execution_arn"] + "x")


def test_ids_sort_by_time_whatever_the_time_zone() -> None:
    """A start that is written with an offset counts in UTC."""
    later = run_id(started_at="2026-11-23T08:01:08+02:00", execution_arn="a")

    assert sorted([later, run_id()]) == [run_id(), later]


def test_names_made_of_it_are_valid_for_sagemaker() -> None:
    """The longest name: project, stage, run ID and number of the try."""
    name = f"treering-production-deploy-endpoint-{run_id()}-2"

    assert SAGEMAKER_NAME.fullmatch(name)


@pytest.mark.parametrize(
    ("event", "problem"),
    [
        ({}, "execution_arn: Field required; started_at: Field required"),
        ({**EVENT, "started_at": "2026-11-23T06:01:07"}, "started_at: Input should have timezone info"),
        ({**EVENT, "more": 1}, "more: Extra inputs are not permitted"),
        ([], "the event: Input should be"),
    ],
)
def test_an_event_of_another_form_is_named(event: Any, problem: str) -> None:
    """With every member that is missing, wrong or unknown."""
    with pytest.raises(InvalidEventError, match=problem):
        handler(event, CONTEXT)


def test_it_imports_nothing_heavy() -> None:
    """No boto3, no data libraries: its cold start is short."""
    program = "import sys, functions.create_run_id.app; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)

    assert not {"boto3", "requests", "numpy", "pandas", "aws_xray_sdk"} & set(modules.stdout.split())

"""What is refused about a definition, and in which words."""

from __future__ import annotations

import json
from typing import Any

import pytest

from local_cloud.step_functions.errors import ApiError
from tests.local_cloud.step_functions.cloud import CallError, Cloud
from tests.local_cloud.step_functions.front_door import ROLE

END: dict[str, Any] = {"Type": "Pass", "End": True}


def machine(**states: Any) -> dict[str, Any]:
    """Make a definition that starts with the first state."""
    return {"StartAt": next(iter(states)), "States": states}


def task(resource: str, **fields: Any) -> dict[str, Any]:
    """Make a Task that ends."""
    return {"Type": "Task", "Resource": resource, "End": True, **fields}


@pytest.mark.parametrize(
    ("definition", "finding"),
    [
        (
            machine(A={"Type": "Pass", "Next": "C"}, B=END),
            "MISSING_TRANSITION_TARGET: Missing 'Next' target: C at /States/A/Next, "
            'MISSING_TRANSITION_TARGET: State "B" is not reachable. at /States/B',
        ),
        ({"StartAt": "X", "States": {"A": END}}, "Missing 'Next' target: X at /StartAt"),
        (machine(A={"Type": "Pass", "Next": "B"}, B={"Type": "Pass", "Next": "A"}), "MISSING_END_STATE"),
        (machine(A={"Type": "Pass"}), "[Next, End] at /States/A"),
        (machine(A={"Type": "Pass", "Next": "B", "End": True}, B=END), "only one of these fields: [Next, End]"),
        (
            machine(
                A={"Type": "Choice", "Choices": [{"Variable": "$.a", "IsNull": True, "Next": "B"}], "Default": "Q"},
                B=END,
            ),
            "Missing 'Next' target: Q at /States/A/Default",
        ),
        (
            machine(A={"Type": "Parallel", "Branches": [machine(I={"Type": "Pass", "Next": "J"}, K=END)], "End": True}),
            "Missing 'Next' target: J at /States/A/Branches[0]/States/I/Next",
        ),
        (machine(A={**END, "ResultPath": "$.a["}), "/States/A/ResultPath"),
        (machine(A={**END, "Parameters": {"x.$": "States.Formatt('{}', $)"}}), "x.$"),
        (machine(A={**END, "Colour": "red"}), "Colour"),
        (machine(A={"Type": "Nap", "End": True}), "Nap"),
        ({"States": {"A": END}}, "StartAt"),
    ],
)
def test_a_definition_that_does_not_hang_together_is_refused(
    cloud: Cloud, definition: dict[str, Any], finding: str
) -> None:
    """CreateStateMachine says InvalidDefinition with each finding and where it is."""
    with pytest.raises(CallError) as refused:
        cloud.create(definition)

    assert refused.value.code == "InvalidDefinition"
    assert refused.value.message.startswith("Invalid State Machine Definition: '")
    assert finding in refused.value.message


@pytest.mark.parametrize(
    ("state", "what"),
    [
        (task("arn:aws:states:::glue:startJobRun.sync"), "arn:aws:states:::glue:startJobRun.sync"),
        (task("arn:aws:states:::sagemaker:createHyperParameterTuningJob.sync"), "createHyperParameterTuningJob.sync"),
        (task("arn:aws:states:::sagemaker:createEndpoint.sync"), "createEndpoint.sync"),
        (task("arn:aws:states:::states:startExecution.waitForTaskToken"), "startExecution.waitForTaskToken"),
        (task("arn:aws:states:us-east-1:000000000000:activity:a"), "activity:a"),
        (task("arn:aws:states:::aws-sdk:sagemaker:describeNothing"), "describeNothing"),
        (
            {
                "Type": "Map",
                "ItemReader": {"Resource": "arn:aws:states:::s3:getObject", "Parameters": {"Bucket": "b", "Key": "k"}},
                "ItemProcessor": {
                    "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
                    **machine(I=END),
                },
                "End": True,
            },
            "Map in DISTRIBUTED mode",
        ),
    ],
)
def test_what_the_local_cloud_does_not_run_is_named(cloud: Cloud, state: dict[str, Any], what: str) -> None:
    """An integration or a state that is not supported stops the creation, with the state's name and the resource."""
    with pytest.raises(CallError) as refused:
        cloud.create(machine(**{"Do It": state}))

    assert 'State "Do It" uses' in refused.value.message
    assert what in refused.value.message
    assert "/States/Do It/" in refused.value.message


def test_arguments_are_checked_against_the_api(cloud: Cloud) -> None:
    """Unknown and missing fields, and literal values of a wrong type, are named at creation."""
    parameters = {"TrainingJobName": 5, "HyperParameters": {"n": 1, "m.$": "$.m"}, "Tags": [{"key": "a"}]}

    with pytest.raises(CallError) as refused:
        cloud.create(machine(A=task("arn:aws:states:::sagemaker:createTrainingJob.sync", Parameters=parameters)))
    for finding in (
        "The value for the field 'TrainingJobName' must be a STRING",
        "The value for the field 'n' must be a STRING",
        'The field "key" is not supported by Step Functions at /States/A/Parameters',
        'The field "RoleArn" is required but was missing at /States/A/Parameters',
    ):
        assert finding in refused.value.message


def test_validation_reports_every_finding(cloud: Cloud) -> None:
    """ValidateStateMachineDefinition answers OK, or FAIL with code, message and location of each finding."""
    good = cloud.call("ValidateStateMachineDefinition", definition=json.dumps(machine(A=END)))
    dangling = machine(A={"Type": "Pass", "Next": "C"}, B=END)
    bad = cloud.call("ValidateStateMachineDefinition", definition=json.dumps(dangling))
    broken = cloud.call("ValidateStateMachineDefinition", definition="{")

    assert good == {"result": "OK", "diagnostics": [], "truncated": False}
    assert bad["result"] == "FAIL"
    assert bad["diagnostics"][0] == {
        "severity": "ERROR",
        "code": "MISSING_TRANSITION_TARGET",
        "message": "Missing 'Next' target: C",
        "location": "/States/A/Next",
    }
    assert broken["diagnostics"][0]["code"] == "INVALID_JSON_DESCRIPTION"


def test_the_api_takes_no_yaml(cloud: Cloud) -> None:
    """YAML is for CloudFormation; the API wants JSON, as on AWS."""
    with pytest.raises(CallError, match="INVALID_JSON_DESCRIPTION"):
        cloud.call("CreateStateMachine", name="m", roleArn="arn:aws:iam::000000000000:role/r", definition="StartAt: A")


def test_a_yaml_alias_is_refused(cloud: Cloud) -> None:
    """What a YAML reader would resolve, AWS does not: the alias and its line are named."""
    text = "StartAt: A\nStates:\n  A: &end\n    Type: Pass\n    End: true\n  B: *end\n"

    with pytest.raises(ApiError, match=r"SCHEMA_VALIDATION_FAILED: the YAML alias \*end in line 6"):
        cloud.service.create_state_machine("m", text, ROLE, type="STANDARD", tags={})

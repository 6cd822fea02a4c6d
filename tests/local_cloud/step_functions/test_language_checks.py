"""What the Amazon States Language does not have is refused before deployment, with the place where it stands."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.local_cloud.step_functions.cloud import CallError, Cloud, output

END: dict[str, Any] = {"Type": "Pass", "End": True}
INVOKE = "arn:aws:states:::lambda:invoke"


def machine(**states: Any) -> dict[str, Any]:
    """Make a definition that starts with the first state."""
    return {"StartAt": next(iter(states)), "States": states}


def task(**fields: Any) -> dict[str, Any]:
    """Make a machine of a Task that ends, and a state for its catchers."""
    called = {"Type": "Task", "Resource": INVOKE, "Parameters": {"FunctionName": "f"}, "End": True, **fields}
    return machine(A=called, **({"B": END} if "Catch" in fields else {}))


def choice(*rules: dict[str, Any]) -> dict[str, Any]:
    """Make a machine of a Choice."""
    return machine(A={"Type": "Choice", "Choices": list(rules)}, B=END)


def jsonata(**fields: Any) -> dict[str, Any]:
    """Make a machine of a Pass in JSONata."""
    return {"QueryLanguage": "JSONata", **machine(A={**END, **fields})}


def called(**fields: Any) -> dict[str, Any]:
    """Make a machine of a Task in JSONata."""
    state = {"Type": "Task", "Resource": INVOKE, "Arguments": {"FunctionName": "f"}, "End": True, **fields}
    return {"QueryLanguage": "JSONata", **machine(A=state, **({"B": END} if "Catch" in fields else {}))}


CALLED = {"ErrorEquals": ["States.TaskFailed"], "Next": "B"}
ALL = {"ErrorEquals": ["States.ALL"], "Next": "B"}
NULL = {"Variable": "$.a", "IsNull": True}


@pytest.mark.parametrize(
    ("definition", "finding"),
    [
        ({"StartAt": "A", "States": {}}, "must not be empty at /States"),
        (machine(**{"x" * 81: END}), "INVALID_STATE_NAME: The name of a state has from 1 to 80 characters"),
        (machine(A={"Type": "Fail", "Next": "B"}, B=END), "Fail must not have the field Next at /States/A/Next"),
        (machine(A={"Type": "Succeed", "End": True}), "Succeed must not have the field End at /States/A/End"),
        (choice({**NULL, "Next": "B"}, NULL), "must have the field Next at /States/A/Choices[1]"),
        (
            choice({"And": [NULL, {"Not": {**NULL, "Next": "B"}}], "Next": "B"}),
            "Only the outermost rule of a Choice has the field Next at /States/A/Choices[0]/And[1]/Not/Next",
        ),
        (choice({"Variable": "$.a", "StringLike": "b", "Next": "B"}), "StringLike"),
        (choice({"Variable": "$.a", "TimestampEquals": "yesterday", "Next": "B"}), "TimestampEquals"),
        (task(Retry=[{"ErrorEquals": ["States.ALL", "E"]}]), "alone in ErrorEquals, and in the last element of Retry"),
        (task(Retry=[{"ErrorEquals": ["States.ALL"]}, {"ErrorEquals": ["E"]}]), "at /States/A/Retry[0]/ErrorEquals"),
        (task(Catch=[ALL, CALLED]), "last element of Catch at /States/A/Catch[0]/ErrorEquals"),
        (task(Catch=[{"ErrorEquals": ["E"]}, ALL]), "A catcher must have the field Next at /States/A/Catch[0]"),
        (task(Retry=[{"MaxAttempts": 1}]), "ErrorEquals"),
        (task(Retry=[{"ErrorEquals": ["E"], "IntervalSeconds": 0}]), "IntervalSeconds"),
        (task(Retry=[{"ErrorEquals": ["E"], "BackoffRate": 0.5}]), "BackoffRate"),
        (task(Retry=[{"ErrorEquals": ["E"], "Delay": 1}]), "Delay"),
        (task(TimeoutSeconds=0), "TimeoutSeconds"),
        (task(TimeoutSeconds="60"), "TimeoutSeconds"),
        (task(TimeoutSeconds="{% 60 %}"), "TimeoutSeconds"),
        (task(TimeoutSeconds=100_000_000), "TimeoutSeconds"),
        (called(TimeoutSeconds="60"), "TimeoutSeconds"),
        (task(TimeoutSeconds=5, HeartbeatSeconds=5), "HeartbeatSeconds"),
        (machine(A={"Type": "Wait", "Seconds": 100_000_000, "End": True}), "must not be above 99999999"),
        (machine(A={"Type": "Wait", "Seconds": 1, "SecondsPath": "$.s", "End": True}), "only one of"),
        (machine(A={"Type": "Wait", "Timestamp": "2026-13-01T00:00:00Z", "End": True}), "/States/A/Timestamp"),
        (machine(A={"Type": "Wait", "Timestamp": "2026-01-01", "End": True}), "'2026-01-01'"),
        (machine(A={**END, "ResultPath": "$..a"}), "$..a is no Reference Path"),
        (machine(A={**END, "ResultPath": "$.a[*]"}), "$.a[*] is no Reference Path"),
        (machine(A={**END, "ResultPath": "$$.a"}), "/States/A/ResultPath"),
        (machine(A={**END, "InputPath": "a.b"}), "a.b is no path: it must begin with $ at /States/A/InputPath"),
        (machine(A={**END, "OutputPath": "$.["}), "$.[ is no valid JSONPath"),
        (machine(A={**END, "Parameters": {"x": [{"y.$": "$.a["}]}}), "at /States/A/Parameters/x[0]/y.$"),
        (machine(A={**END, "Parameters": {"x.$": "States.UUID(1)"}}), "Expected no arguments for function type 'UUID'"),
        (machine(A={**END, "Assign": {"states": 1}}), "A variable cannot be named states"),
        (machine(A={**END, "Assign": {"1st.$": "$"}}), "A variable cannot be named 1st"),
        (machine(A={"Type": "Succeed", "Assign": {"a": 1}}), "Succeed must not have the field Assign"),
        (
            machine(A={**END, "Assign": {"a.$": "State.Name"}}),
            "The value for the field 'a.$' must be a valid JSONPath or a valid intrinsic function call at "
            "/States/A/Assign/a.$",
        ),
        (machine(A={**END, "Assign": {"a": [{"b.$": "States.Format('{}', $.x"}]}}), "at /States/A/Assign/a[0]/b.$"),
        (task(Catch=[{**ALL, "Assign": {"a.$": "$.a["}}]), "$.a[ is no valid JSONPath"),
        (task(Catch=[{**ALL, "Assign": {"a.$": "$$State.Name"}}]), "at /States/A/Catch[0]/Assign/a.$"),
        (choice({**NULL, "Next": "B", "Assign": {"a.$": "b"}}), "at /States/A/Choices[0]/Assign/a.$"),
        (
            jsonata(Output="{% ( %}"),
            "INVALID_JSONATA_EXPRESSION: Expected ) before end of expression at /States/A/Output",
        ),
        (
            jsonata(Output={"v": "{% failure.Cause %}"}),
            "UNSUPPORTED_JSONATA_EXPRESSION: Reference to 'failure' at the top level is not supported. at "
            "/States/A/Output/v",
        ),
        (jsonata(Output="{% $.failure %}"), "Reference to '$' at the top level is not supported."),
        (jsonata(Output="{% [$count(a), {'b': -c}] %}"), "Reference to 'c' at the top level"),
        (jsonata(Output="{% true ? $map($states.input, function($x) { a }) %}"), "Reference to 'a' at the top level"),
        (
            jsonata(Assign={"a": "{% ($x := b; $x) ~> $string %}"}),
            "'b' at the top level is not supported. at /States/A",
        ),
        (jsonata(Output="{% $$.input %}"), "Reference to '$$' is not supported. at /States/A/Output"),
        (jsonata(Output="{% $states.errorOutput.Cause %}"), "Field '$states.errorOutput' does not exist."),
        (
            called(Catch=[{**ALL, "Output": "{% Cause %}"}]),
            "'Cause' at the top level is not supported. at /States/A/Ca",
        ),
        (jsonata(Output={"a": ["{% 1"]}), "must begin with {% and end with %}"),
        (jsonata(Output=" {% 1 %}"), "must begin with {% and end with %}"),
        (jsonata(InputPath="$.a"), "InputPath"),
        (machine(A={**END, "Output": "{% 1 %}"}), "Output"),
        (
            task(Resource="arn:aws:states:::aws-sdk:s3:getObject", Parameters={"bucket": "b", "Key": "k"}),
            'The field "bucket" is not supported by Step Functions',
        ),
        (
            task(Resource="arn:aws:states:::aws-sdk:s3:GetObject", Parameters={"Bucket": "b", "Key": "k"}),
            "s3:GetObject",
        ),
        (task(Credentials={"RoleArn": "arn:aws:iam::000000000000:role/r"}), 'State "A" uses Credentials'),
    ],
)
def test_what_the_language_does_not_have_is_refused(cloud: Cloud, definition: dict[str, Any], finding: str) -> None:
    """Names, transitions, rules, error rules, times, paths, variables and expressions, each where it stands."""
    with pytest.raises(CallError) as refused:
        cloud.create(definition)

    assert refused.value.code == "InvalidDefinition"
    assert finding in refused.value.message
    assert "moto" not in refused.value.message


def test_a_refused_definition_leaves_no_trace_on_the_next(cloud: Cloud) -> None:
    """What is refused in the middle of its JSONata does not change how a later JSONPath machine is read."""
    inner = {**END, "QueryLanguage": "JSONPath", "InputPath": "$"}
    with pytest.raises(CallError, match="JSONata"):
        cloud.create({"QueryLanguage": "JSONata", **machine(A=inner)}, "refused")

    assert output(cloud.run(machine(A={**END, "Parameters": {"b.$": "$.a"}}), {"a": 1})) == {"b": 1}


def test_variables_are_assigned_in_a_state_of_json_path(cloud: Cloud) -> None:
    """Assign is no privilege of Task states or of JSONata."""
    definition = machine(
        A={"Type": "Pass", "Assign": {"kept.$": "$.a"}, "Next": "B"}, B={**END, "Parameters": {"b.$": "$kept"}}
    )

    assert output(cloud.run(definition, {"a": 5})) == {"b": 5}


def test_what_is_right_stays_right(cloud: Cloud) -> None:
    """Paths with filters, slices and names in brackets, into the context object and variables, are no mistakes."""
    parameters = {
        "all.$": "$.items[*].n",
        "some.$": "$.items[0:1]",
        "few.$": "$.items[?(@.n > 1)].n",
        "odd.$": "$['a b'].c",
        "own.$": "$$.Execution.Name",
        "kept.$": "$kept.n",
    }
    found = cloud.call(
        "ValidateStateMachineDefinition",
        definition=json.dumps(
            machine(
                A={"Type": "Pass", "Assign": {"kept.$": "$.items[0]"}, "Next": "B"}, B={**END, "Parameters": parameters}
            )
        ),
    )

    assert found["diagnostics"] == []


@pytest.mark.parametrize(
    "definition",
    [
        jsonata(Output="{% $states.input.items[price > 1].name %}"),
        jsonata(Output="{% $states.input.items.(a * b) %}"),
        jsonata(Output="{% $states.input.items^(>price){name: $} %}"),
        jsonata(Output="{% $map($states.input.a, function($x) { $x.b[$ > 1] }) %}"),
        jsonata(Output="{% ($x := $states.input; $x ~> |$|{'a': b}|) %}"),
        jsonata(Comment="{% text %}", Output="{% $kept & $states.context.Execution.Name %}"),
        called(Catch=[{**ALL, "Comment": "{% text %}", "Output": "{% $states.errorOutput.Cause %}"}]),
        called(TimeoutSeconds="{% $states.input.t %}", HeartbeatSeconds="{% 1 %}"),
        called(TimeoutSeconds=1, HeartbeatSeconds="{% 1 %}"),
        called(TimeoutSeconds="{% 90 %}", HeartbeatSeconds=60),
        task(TimeoutSeconds=99_999_999, HeartbeatSeconds=60),
        {"TimeoutSeconds": 99_999_999, **machine(A=END)},
    ],
)
def test_what_aws_takes_is_taken(cloud: Cloud, definition: dict[str, Any]) -> None:
    """Names below a step of a path, the error in a catcher, numbers that are expressions, the longest time."""
    assert cloud.call("ValidateStateMachineDefinition", definition=json.dumps(definition))["diagnostics"] == []


def test_numbers_and_instants_may_be_expressions(cloud: Cloud) -> None:
    """In JSONata; they count when the state runs."""
    item = {"QueryLanguage": "JSONata", "Type": "Pass", "Output": "{% $states.input * 2 %}", "End": True}
    definition = {
        "QueryLanguage": "JSONata",
        **machine(
            A={"Type": "Wait", "Seconds": "{% $states.input.n - 2 %}", "Next": "B"},
            B={"Type": "Wait", "Timestamp": "{% $now() %}", "Next": "C"},
            C={
                "Type": "Map",
                "Items": "{% $states.input.items %}",
                "MaxConcurrency": "{% $states.input.n %}",
                "ItemProcessor": machine(I=item),
                "End": True,
            },
        ),
    }

    assert output(cloud.run(definition, {"n": 2, "items": [2, 3]})) == [4, 6]

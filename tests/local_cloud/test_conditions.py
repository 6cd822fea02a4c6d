"""Conditions of a template are evaluated as CloudFormation does, from parameters, pseudo parameters and mappings."""

from typing import Any

import pytest

from local_cloud.cloudformation.conditions import evaluate

PARAMETERS = {
    "Approval": {"Value": "true", "Type": "String"},
    "Stage": {"Value": "prod", "Type": "String"},
    "Nobody": {"Value": "", "Type": "CommaDelimitedList"},
}
MAPPINGS = {"Stages": {"prod": {"Size": "large"}}}


def equals(left: Any, right: Any) -> dict[str, Any]:
    """A condition that compares two values."""
    return {"Fn::Equals": [left, right]}


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        (equals({"Ref": "Approval"}, "true"), True),
        (equals({"Ref": "Approval"}, True), True),
        (equals({"Ref": "AWS::Region"}, "us-east-1"), True),
        (equals({"Ref": "AWS::Partition"}, "aws-cn"), False),
        (equals({"Fn::FindInMap": ["Stages", {"Ref": "Stage"}, "Size"]}, "large"), True),
        (equals({"Fn::Join": ["", {"Ref": "Nobody"}]}, ""), True),
        (equals({"Fn::Sub": "${Stage}-1"}, "prod-1"), True),
        (equals({"Fn::If": ["Is", "a", "b"]}, "a"), True),
        (equals({"Condition": "Is"}, "true"), True),
        ({"Fn::Not": [{"Condition": "Is"}]}, False),
        ({"Fn::And": [{"Condition": "Is"}, {"Fn::Not": [equals("a", "a")]}]}, False),
        ({"Fn::Or": [{"Fn::Not": [equals("a", "a")]}, {"Condition": "Is"}]}, True),
    ],
)
def test_a_condition_is_what_cloudformation_makes_of_it(condition: dict[str, Any], holds: bool) -> None:
    """Whatever it is made of."""
    template = {
        "Parameters": {name: {"Type": one["Type"]} for name, one in PARAMETERS.items()},
        "Mappings": MAPPINGS,
        "Conditions": {"Asked": condition, "Is": equals({"Ref": "Stage"}, "prod")},
    }

    assert evaluate(template, PARAMETERS) == {"Asked": holds, "Is": True}


@pytest.mark.parametrize("name", ["AWS::StackName", "AWS::StackId"])
def test_what_is_not_known_when_conditions_are_evaluated_is_refused(name: str) -> None:
    """The local cloud says so, rather than comparing something else."""
    with pytest.raises(ValueError, match=f"does not support {name} in the Conditions block"):
        evaluate({"Conditions": {"C": equals({"Ref": name}, "a")}}, {})

"""IAM's policy language is read as AWS documents it, and what is not read is named."""

from typing import Any

import pytest

from local_cloud.policy_language.authorization import takes_resource
from local_cloud.policy_language.conditions import arn_like, like, met
from local_cloud.policy_language.problems import problems

JOB = "arn:aws:sagemaker:us-east-1:000000000000:processing-job/mine-1"


@pytest.mark.parametrize(
    ("pattern", "value", "matches"),
    [
        ("*", JOB, True),
        ("arn:aws:sagemaker:us-east-1:000000000000:processing-job/mine-*", JOB, True),
        ("arn:aws:sagemaker:*:*:processing-job/mine-?", JOB, True),
        ("arn:aws:sagemaker:us-east-1:000000000000:processing-job/Mine-1", JOB, False),
        ("arn:aws:sagemaker:*:processing-job/mine-1", JOB, False),  # five parts: the account is missing
        ("arn:aws:states:*:execution:machine:*", "arn:aws:states:us-east-1:000000000000:execution:machine:a", False),
        ("arn:aws:logs:us-east-1:1:log-group:/a:*", "arn:aws:logs:us-east-1:1:log-group:/a:log-stream:b", True),
        ("arn:aws:s3:::bucket/*", "arn:aws:s3:::bucket", False),
        ("arn:aws:s3:::bucket", "*", False),  # an action without resource is granted on * only
    ],
)
def test_each_part_of_an_arn_is_matched_by_itself(pattern: str, value: str, matches: bool) -> None:
    """A wildcard never reaches over a colon of the first five."""
    assert arn_like(value, pattern) is matches


def test_actions_have_no_case_and_values_do() -> None:
    """`S3:getobject` is `s3:GetObject`; a prefix is as it is written."""
    assert like("s3:GetObject", "S3:get*", ignore_case=True)
    assert not like("Datasets/a", "datasets/*")


@pytest.mark.parametrize(
    ("operator", "actual", "expected", "holds"),
    [
        ("StringEquals", "a", ["b", "a"], True),
        ("StringEquals", None, "a", False),
        ("StringEqualsIfExists", None, "a", True),
        ("StringNotEquals", "a", ["b", "a"], False),
        ("StringNotEquals", None, "a", True),
        ("StringLike", "datasets/x", "datasets/*", True),
        ("StringNotLike", "datasets/x", "datasets/*", False),
        ("StringEqualsIgnoreCase", "A", "a", True),
        ("Bool", "false", False, True),
        ("Bool", None, "true", False),
        ("NumericLessThanEquals", "10", 10, True),
        ("NumericGreaterThan", "9", "10", False),
        ("NumericEquals", "many", "1", False),
        ("DateLessThan", "2026-11-21T00:00:00Z", "2026-11-22T00:00:00Z", True),
        ("DateGreaterThan", "2026-11-21T00:00:00Z", "1763683200", True),
        ("IpAddress", "10.1.2.3", "10.1.0.0/16", True),
        ("NotIpAddress", "10.1.2.3", "10.1.0.0/16", False),
        ("ArnLike", JOB, "arn:aws:sagemaker:*:*:processing-job/*", True),
        ("ArnNotEquals", JOB, "arn:aws:sagemaker:*:*:training-job/*", True),
        ("Null", None, "true", True),
        ("Null", "a", "true", False),
        ("ForAnyValue:StringEquals", ["a", "b"], ["b", "c"], True),
        ("ForAnyValue:StringEquals", ["a"], ["b"], False),
        ("ForAnyValue:StringEquals", None, ["b"], False),
        ("ForAllValues:StringEquals", ["a", "b"], ["a", "b", "c"], True),
        ("ForAllValues:StringEquals", ["a", "d"], ["a", "b", "c"], False),
        ("ForAllValues:StringEquals", None, ["a"], True),
        ("ForAnyValue:StringEqualsIfExists", None, ["a"], True),
    ],
)
def test_a_condition_holds_as_documented(operator: str, actual: Any, expected: Any, holds: bool) -> None:
    """Values of a policy are alternatives, for a negated operator none may match; a missing key decides by operator."""
    assert met({operator: {"aws:SourceArn": expected}}, lambda _key: actual) is holds


def test_all_operators_and_keys_of_a_statement_must_hold() -> None:
    """Blocks and keys are joined by AND."""
    both = {"StringEquals": {"a": "1", "b": "2"}, "StringLike": {"c": "3*"}}
    request = {"a": "1", "b": "2", "c": "33"}

    assert met(both, request.get)
    assert not met(both, {**request, "c": "4"}.get)
    assert not met(both, {**request, "b": "1"}.get)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"Condition": {"StringSounds": {"aws:SourceArn": "a"}}}, "StringSounds"),
        ({"Condition": {"StringEquals": {"aws:SourceVpce": "vpce-1"}}}, "aws:SourceVpce"),
        ({"Condition": {"StringEquals": {"aws:PrincipalTag/team": "${aws:username}"}}}, "${aws:username}"),
        ({"Resource": "arn:aws:s3:::bucket/${aws:username}/*"}, "${aws:username}"),
        ({"Resource": "bucket/*"}, "bucket/*"),
        ({"Action": "GetObject"}, "GetObject"),
        ({"NotPrincipal": {"AWS": "*"}}, "NotPrincipal"),
        ({"Principal": {"AWS": "*"}}, "Principal"),  # in an identity policy
    ],
)
def test_what_is_not_evaluated_is_named(changes: dict[str, Any], named: str) -> None:
    """An operator, a key, a variable, an element: each has its name in the problem, and the statement's."""
    statement = {"Sid": "Mine", "Effect": "Allow", "Action": "s3:GetObject", "Resource": "*", **changes}

    [problem] = problems({"Version": "2012-10-17", "Statement": statement})

    assert problem.startswith("statement Mine: ")
    assert named in problem


def test_an_intrinsic_function_is_left_alone() -> None:
    """In a template, what a function will stand for is looked at when it is known."""
    statement = {
        "Effect": "Allow",
        "Action": "s3:GetObject",
        "Resource": [{"Fn::Sub": "${Bucket.Arn}/*"}, {"Fn::GetAtt": ["Bucket", "Arn"]}],
        "Condition": {"ArnEquals": {"aws:SourceArn": {"Fn::GetAtt": ["Rule", "Arn"]}}},
    }

    assert list(problems({"Statement": [statement]})) == []


@pytest.mark.parametrize(
    ("action", "takes"),
    [
        ("s3:GetObject", True),
        ("iam:PassRole", True),
        ("ecr:GetAuthorizationToken", False),
        ("xray:PutTraceSegments", False),
        ("logs:CreateLogDelivery", False),
        ("s3:*", True),
        ("nothing:Known", True),
    ],
)
def test_actions_that_have_no_resource_are_known(action: str, takes: bool) -> None:
    """Only these may be granted on *."""
    assert takes_resource(action) is takes

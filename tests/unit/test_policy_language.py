"""IAM's policy language is read as AWS documents it, and what is not read is named."""

from typing import Any

import pytest

from local_cloud.policy_language.authorization import takes_resource
from local_cloud.policy_language.conditions import arn_like, like, met
from local_cloud.policy_language.kinds import BUCKET, IDENTITY, QUEUE, TOPIC, TRUST, Kind
from local_cloud.policy_language.principals import is_service
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


BUCKET_ARN, OBJECTS = "arn:aws:s3:::mine", "arn:aws:s3:::mine/*"
TOPIC_ARN = "arn:aws:sns:us-east-1:000000000000:mine"
QUEUE_ARN = "arn:aws:sqs:us-east-1:000000000000:mine"
ACCEPTED: dict[Kind, dict[str, Any]] = {
    IDENTITY: {"Action": "s3:GetObject", "Resource": "*"},
    TRUST: {"Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"},
    BUCKET: {"Principal": "*", "Action": "s3:*", "Resource": [BUCKET_ARN, OBJECTS]},
    TOPIC: {"Principal": {"AWS": "000000000000"}, "Action": "sns:Publish", "Resource": TOPIC_ARN},
    QUEUE: {"Principal": "*", "Action": "sqs:*", "Resource": QUEUE_ARN},
}
BELONGS_TO = {BUCKET: BUCKET_ARN, TOPIC: TOPIC_ARN, QUEUE: QUEUE_ARN}
EVERY_KIND = [pytest.param(kind, id=f"{kind.code}-{kind.no_action[:7]}") for kind in ACCEPTED]


def _statement(kind: Kind, **changes: Any) -> dict[str, Any]:
    """A statement that AWS takes, with changes; an element that is None is left out."""
    changed = {"Effect": "Allow", **ACCEPTED[kind], **changes}
    return {name: value for name, value in changed.items() if value is not None}


def _found(kind: Kind, *statements: dict[str, Any], version: str = "2012-10-17") -> list[str]:
    return list(problems({"Version": version, "Statement": list(statements)}, kind, BELONGS_TO.get(kind)))


@pytest.mark.parametrize(
    ("kind", "changes", "words"),
    [
        (TRUST, {"Principal": {"Service": "stats.amazonaws.com"}}, '"SERVICE":"stats.amazonaws.com"'),
        (TRUST, {"Principal": {"Service": "sagemaker.amazon.com"}}, 'Invalid principal in policy: "SERVICE":"sage'),
        (TRUST, {"Principal": {"Service": ["lambda.amazonaws.com", "lambda"]}}, '"SERVICE":"lambda"'),
        (TRUST, {"Principal": "lambda.amazonaws.com"}, "Invalid principal in policy"),
        (TRUST, {"Principal": None}, "Missing required field Principal"),
        (TRUST, {"Principal": {"AWS": []}}, "Missing required field Principal"),
        (TRUST, {"Action": None}, "Missing required field Action"),
        (TRUST, {"Action": "sts:AssumRole"}, "AssumeRole policy may only specify STS AssumeRole actions."),
        (TRUST, {"Action": "s3:GetObject"}, "AssumeRole policy may only specify STS AssumeRole actions."),
        (TRUST, {"Resource": "*"}, "Has prohibited field Resource"),
        (TRUST, {"Effect": "allow"}, "Syntax errors in policy."),
        (BUCKET, {"Action": "s3:GetObject", "Resource": BUCKET_ARN}, "Action does not apply to any resource(s)"),
        (BUCKET, {"Action": "s3:ListBucket", "Resource": OBJECTS}, "Action does not apply to any resource(s)"),
        (BUCKET, {"Action": ["s3:GetObject", "s3:ListBucket"], "Resource": OBJECTS}, "in statement: s3:ListBucket"),
        (BUCKET, {"Action": "s3:PutBucket*", "Resource": OBJECTS}, "Action does not apply to any resource(s)"),
        (BUCKET, {"Resource": "arn:aws:s3:::other/*"}, "Policy has invalid resource"),
        (BUCKET, {"Action": "s3:GetObjct"}, "Policy has invalid action"),
        (BUCKET, {"Action": "sqs:SendMessage"}, "Policy has invalid action"),
        (BUCKET, {"Principal": None}, "Missing required field Principal"),
        (BUCKET, {"Resource": None}, "Missing required field Resource"),
        (TOPIC, {"Action": "sns:*"}, "Invalid parameter: Policy statement action out of service scope!"),
        (TOPIC, {"Action": "sns:Publsh"}, "Policy statement action out of service scope!"),
        (TOPIC, {"Action": "sns:CreateTopic"}, "Policy statement action out of service scope!"),
        (TOPIC, {"Resource": f"{TOPIC_ARN}-too"}, "Invalid parameter: Policy Error: null"),
        (TOPIC, {"Principal": None}, "Invalid parameter: Policy Error: null"),
        (TOPIC, {"Principal": {"Service": "cloudwatch.amazon.com"}}, "Policy Error: PrincipalNotFound"),
        (QUEUE, {"Principal": None}, "Invalid value for the parameter Policy."),
        (QUEUE, {"Resource": None}, "Invalid value for the parameter Policy."),
        (QUEUE, {"Action": "sns:Publish"}, "Invalid value for the parameter Policy. sns:Publish"),
        (QUEUE, {"Action": "sqs:SendMesage"}, "Invalid value for the parameter Policy."),
        (IDENTITY, {"Sid": "read-the-token"}, "Statement IDs (SID) must be alpha-numeric."),
        (IDENTITY, {"Action": []}, "Policy statement must contain actions."),
        (IDENTITY, {"Resource": []}, "Policy statement must contain resources."),
        (IDENTITY, {"NotResource": "*"}, "Syntax errors in policy."),
    ],
)
def test_a_statement_is_refused_in_the_words_of_its_service(kind: Kind, changes: dict[str, Any], words: str) -> None:
    """One fault, one problem."""
    [problem] = _found(kind, _statement(kind, **changes))

    assert words in problem


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        (IDENTITY, {"Action": "s3:GetObjct"}),  # IAM takes an action that nobody knows, and grants nothing
        (TRUST, {"Principal": {"AWS": "*"}, "Action": ["sts:AssumeRole", "sts:TagSession"]}),
        (TRUST, {"Sid": ""}),
        (BUCKET, {"Action": ["s3:GetObject", "s3:ListBucket"]}),
        (BUCKET, {"Action": "s3:Get*", "Resource": OBJECTS}),
        (BUCKET, {"Action": "s3:GetObject", "Resource": "arn:aws:s3:::mine/a/*", "Sid": "any one-liner"}),
        (BUCKET, {"Action": "s3:GetObject", "Resource": "*"}),
        (TOPIC, {"Action": ["SNS:Subscribe", "SNS:Receive"], "Sid": "Publish access"}),
        (TOPIC, {"Resource": "arn:aws:sns:*:*:mine"}),
        (QUEUE, {"Principal": {"Service": "s3.amazonaws.com"}, "Action": "SQS:SendMessage"}),
    ],
)
def test_what_aws_takes_is_taken(kind: Kind, changes: dict[str, Any]) -> None:
    """A check that refuses more than AWS would keep applications out."""
    assert _found(kind, _statement(kind, **changes)) == []


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_a_policy_is_more_than_its_statements(kind: Kind) -> None:
    """It has one at least, is of a version that there is, and has no element that IAM does not know."""
    statement = _statement(kind)

    assert _found(kind, statement) == _found(kind, statement, version="2008-10-17") == []
    assert _found(kind)
    assert "2012-10-18" in _found(kind, statement, version="2012-10-18")[0]
    assert "Statements" in next(problems({"Statement": statement, "Statements": []}, kind))


def test_statement_ids_are_unique_where_the_service_asks_for_it() -> None:
    """IAM and SNS do, and SNS wants one in each of several statements; S3 and SQS take any."""

    def with_ids(kind: Kind, *sids: str | None) -> list[str]:
        return _found(kind, *(_statement(kind, Sid=sid) for sid in sids))

    for kind in (IDENTITY, TRUST):
        assert with_ids(kind, "A", "A") == ["Statement IDs (SID) in a single policy must be unique. (A)"]
        assert with_ids(kind, None, None) == []
    unique = ["Invalid parameter: Every policy statement must have a unique ID"]
    assert with_ids(TOPIC, "A", "A") == with_ids(TOPIC, "A", None) == unique
    assert with_ids(TOPIC, "A", "B") == with_ids(TOPIC, None) == []
    assert with_ids(BUCKET, "A", "A") == with_ids(QUEUE, "A", "A") == []


@pytest.mark.parametrize(
    "name",
    [
        "states.amazonaws.com",
        "delivery.logs.amazonaws.com",
        "logs.eu-west-1.amazonaws.com",
        "ecs-tasks.amazonaws.com",
        "ec2.amazonaws.com.cn",
        "alexa-appkit.amazon.com",
    ],
)
def test_services_are_known_by_their_principals(name: str) -> None:
    """Also of a Region, of a part of a service, in China, and those that are called otherwise than their actions."""
    assert is_service(name)


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

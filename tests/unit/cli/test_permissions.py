"""What is wrong with permissions is found in the cloud's report on them."""

from pathlib import Path
from typing import Any

import pytest

from cli import permissions

WHEN = "2026-11-21T06:00:00+00:00"
OBJECTS = "arn:aws:s3:::bucket/*"


def statement(**changes: Any) -> dict[str, Any]:
    """A statement that a run used."""
    return {
        "policy": "own",
        "policy_logical_id": None,
        "label": "Read",
        "effect": "Allow",
        "actions": ["s3:GetObject"],
        "not_actions": [],
        "resources": [OBJECTS],
        "not_resources": [],
        "conditions": {},
        "reason": "",
        "reasons": {},
        "uses": [{"action": "s3:GetObject", "resource": OBJECTS, "count": 3, "last": WHEN}],
        **changes,
    }


def found(*statements: dict[str, Any], **changes: Any) -> permissions.Permissions:
    """The permissions in a report on one role that has the statements, and on a role of another stack."""
    role = {"name": "app-Role-1", "arn": "arn", "stack": "app", "logical_id": "Role", "trusts": [], "statements": []}
    report: dict[str, Any] = {
        "roles": [
            {**role, "statements": list(statements)},
            {**role, "stack": "other", "statements": [statement(uses=[])]},
        ],
        "missing": [],
        "unknown_reasons": [],
        **changes,
    }
    return permissions.of_report(report, "app", Path("folder"), running=True)


def test_what_is_used_or_has_a_reason_is_no_problem() -> None:
    """A reason stands for the statement or for one action; a role of another stack does not count."""
    whole = statement(label="Whole", uses=[], reason="failure path")
    action = statement(
        label="Action", actions=["s3:GetObject", "s3:DeleteObject"], reasons={"s3:DeleteObject": "failure path"}
    )
    all_found = found(statement(), whole, action)

    assert all_found.problems == ()
    assert [(one.action, one.count, one.reason) for one in all_found.grants] == [
        ("s3:GetObject", 3, ""),
        ("s3:GetObject", 0, "failure path"),
        ("s3:GetObject", 3, ""),
        ("s3:DeleteObject", 0, "failure path"),
    ]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"actions": ["s3:GetObject", "s3:PutObject"]}, "s3:PutObject is granted, but no run has used it"),
        ({"resources": [OBJECTS, "arn:aws:s3:::other/*"]}, "granted on arn:aws:s3:::other/*, but no run"),
        (
            {"resources": ["*"], "uses": [{"action": "s3:GetObject", "resource": "*", "count": 1, "last": WHEN}]},
            "s3:GetObject is granted on *, though AWS takes an ARN for it",
        ),
    ],
)
def test_what_is_too_much_is_a_problem(changes: dict[str, Any], named: str) -> None:
    """Each with its role and statement."""
    [problem] = found(statement(**changes)).problems

    assert problem.startswith("Role, Read: ")
    assert named in problem


@pytest.mark.parametrize(
    ("action", "conditions", "problems"),
    [
        ("ecr:GetAuthorizationToken", {}, 0),
        ("cloudwatch:PutMetricData", {"StringEquals": {"cloudwatch:Namespace": "App"}}, 0),
        ("cloudwatch:PutMetricData", {}, 1),
    ],
)
def test_star_is_right_where_aws_has_no_resource(action: str, conditions: dict[str, Any], problems: int) -> None:
    """Metrics are limited by their namespace instead."""
    uses = [{"action": action, "resource": "*", "count": 1, "last": WHEN}]
    one = statement(actions=[action], resources=["*"], conditions=conditions, uses=uses)

    assert len(found(one).problems) == problems


def test_what_was_denied_and_what_explains_nothing_are_problems() -> None:
    """With AWS's words, and the place of the reason in the template."""
    missing = {
        "role": "app-Role-1",
        "stack": "app",
        "logical_id": "Role",
        "last": WHEN,
        "messages": ["User: … is not authorized to perform: s3:PutObject"],
        "statements": [{"Effect": "Allow"}],
        "yaml": "- Effect: Allow",
    }
    all_found = found(statement(), missing=[missing], unknown_reasons=["Role.Gone"])

    assert all_found.problems == (
        "User: … is not authorized to perform: s3:PutObject",
        "Metadata.Treering.Permissions.Role.Gone: a reason for what is not granted",
    )
    assert permissions.to_add(list(all_found.missing)).endswith("    - Effect: Allow")

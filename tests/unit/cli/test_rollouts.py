"""Which version a rollback puts back into service."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cli import rollouts
from cli.errors import CommandError
from cli.registry import ModelVersion
from cli.rollouts import Kind, Rollout

BEGAN = datetime(2026, 11, 21, 6, tzinfo=UTC)


def rollout(version: int, kind: Kind = "weekly", **changes: Any) -> Rollout:
    """One that succeeded."""
    content: dict[str, Any] = {
        "kind": kind,
        "execution_arn": f"arn:{version}",
        "started_by": "weekly" if kind == "weekly" else "",
        "version": version,
        "run_id": "20261123-060000-0123abcd",
        "started_at": BEGAN + timedelta(days=version),
        "status": "succeeded",
        "reached_production": True,
    }
    return Rollout(**content | changes)


def registered(*numbers: int, status: str = "Approved") -> list[ModelVersion]:
    """Versions of the model registry."""
    return [
        ModelVersion(
            version=number,
            arn=f"arn:aws:sagemaker:us-east-1:000000000000:model-package/flats/{number}",
            status=status,
            comment="",
            created_at=BEGAN,
            decided_at=None,
            model_data_url="s3://b/model.tar.gz",
            image="image",
            metadata={},
        )
        for number in numbers
    ]


def back(*numbers: int) -> list[Rollout]:
    """Rollbacks to these versions."""
    return [rollout(number, "rollback") for number in numbers]


def weekly(*numbers: int) -> list[Rollout]:
    """Weekly rollouts of these versions."""
    return [rollout(number) for number in numbers]


@pytest.mark.parametrize(
    ("so_far", "current", "previous"),
    [
        (weekly(1, 2, 3), 3, 2),
        ([*weekly(1, 2, 3), *back(2)], 2, 1),  # a second rollback leads further back, not forth again
        ([*weekly(1, 2), *back(1), *weekly(3)], 3, 1),  # never to what was itself rolled back
        ([*weekly(1, 2, 3), rollout(1, "rollout")], 1, 3),  # undoes a rollout by hand
        ([*weekly(1, 2, 3), rollout(3, "rollout", status="failed", reached_production=False)], 3, 2),
        ([*weekly(1), rollout(2, status="failed"), *weekly(3)], 3, 1),  # 2 failed its test in production
        ([*weekly(1), rollout(2, status="failed")], 2, 1),  # what failed its test can be gone back from
        ([*weekly(1, 2), rollout(3, status="running", reached_production=False)], 2, 1),
        (weekly(1, 2), 4, 2),  # a person updated the endpoint past the rollouts
        ([*weekly(1, 2, 3), rollout(2, "rollback", status="failed", reached_production=False)], 3, 2),
    ],
)
def test_a_rollback_goes_to_what_was_in_service_before(so_far: list[Rollout], current: int, previous: int) -> None:
    """Rollouts lie on each other, a rollback takes the top one off; what lies below served and passed its test."""
    found = rollouts.before(so_far, registered(1, 2, 3, 4), current)

    assert found == previous


def test_what_is_no_longer_approved_is_passed_over() -> None:
    """A version that was rejected after it had been in service is not gone back to, nor one that was deleted."""
    versions = [*registered(1, 3), *registered(2, status="Rejected")]

    assert rollouts.before(weekly(1, 2, 3), versions, 3) == 1
    assert rollouts.before(weekly(1, 4, 3), versions, 3) == 1


@pytest.mark.parametrize(
    ("so_far", "current"),
    [([], None), (weekly(1), 1), ([*weekly(1, 2), *back(1)], 1), ([rollout(1, status="failed"), *weekly(2)], 2)],
)
def test_where_there_is_nothing_to_go_back_to_it_is_said(so_far: list[Rollout], current: int | None) -> None:
    """No endpoint, a first version, or none below that was good: nothing happens, and what to do instead is named."""
    with pytest.raises(CommandError) as refused:
        rollouts.before(so_far, registered(1, 2), current)

    assert "go back" in str(refused.value)
    assert "treering rollout VERSION" in refused.value.hint


def test_the_same_request_within_a_second_has_the_same_name() -> None:
    """Step Functions starts a name once, so a command typed twice in a moment rolls out once; kinds differ."""
    at = datetime(2026, 11, 21, 7, 30, 15, 900000, tzinfo=UTC)

    assert rollouts.name("rollout", 3, at) == "rollout-3-20261121-073015"
    assert rollouts.name("rollback", 3, at) != rollouts.name("rollout", 3, at)

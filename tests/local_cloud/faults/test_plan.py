"""Which fault strikes, and how often."""

from concurrent.futures import ThreadPoolExecutor

from local_cloud.faults import Capacity, FaultPlan, Kill
from local_cloud.faults.base import ENDPOINT, JOB


def test_a_fault_strikes_as_often_as_it_is_to_whatever_the_threads() -> None:
    """A hundred who ask at the same time get three faults."""
    plan = FaultPlan()
    plan.arm([Capacity(times=3)])
    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(lambda number: plan.take(Capacity, JOB, f"job-{number}"), range(100)))

    assert len([fault for fault in taken if fault is not None]) == 3
    assert plan.as_json()["armed"] == []
    assert [(spent["hits"], spent["left"]) for spent in plan.as_json()["spent"]] == [(3, 0)]


def test_a_fault_for_ever_stays() -> None:
    """Until it is cleared."""
    plan = FaultPlan()
    plan.arm([Capacity(times=None)])
    taken = [plan.take(Capacity, JOB, "train") for _ in range(5)]

    assert None not in taken
    assert plan.as_json()["armed"][0]["hits"] == 5
    assert "left" not in plan.as_json()["armed"][0]
    assert plan.clear() == 1
    assert plan.take(Capacity, JOB, "train") is None


def test_the_oldest_that_matches_strikes() -> None:
    """Name and target decide what matches; a pattern knows upper from lower case."""
    plan = FaultPlan()
    plan.arm([Capacity(name="*-Train-*"), Capacity(target=ENDPOINT), Capacity(name="*-train-*", times=2), Capacity()])
    numbers = [armed.number for armed in plan.may_strike(Capacity, JOB, "dev-train-1")]

    assert numbers == [3, 4]
    assert plan.take(Capacity, JOB, "dev-train-1") == Capacity(name="*-train-*", times=2)


def test_looking_at_what_may_strike_uses_nothing_up() -> None:
    """Only `use` does, and only as often as the fault has strikes left."""
    plan = FaultPlan()
    (armed,) = plan.arm([Kill(target=JOB)])
    seen = [plan.may_strike(Kill, JOB, "train") for _ in range(3)]

    assert seen == [[armed]] * 3
    assert [plan.use(armed), plan.use(armed)] == [True, False]


def test_a_fault_that_was_cleared_meanwhile_does_not_strike() -> None:
    """Who found it before has nothing in hand."""
    plan = FaultPlan()
    (armed,) = plan.arm([Kill(target=JOB, times=None)])
    plan.clear()

    assert not plan.use(armed)

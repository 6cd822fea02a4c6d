"""When an experiment ends, and how it ends."""

import math

import numpy as np
import pytest

from treering.steps.experiment_plan import Plan
from treering.steps.experiment_statistics import (
    FEWEST_ROWS,
    decide,
    fails_more,
    of_pairs,
    of_two_groups,
    planned_rows,
)

PLAN = Plan(effect=0.1)


def errors(seed, rows, spread):
    """Errors of made-up predictions."""
    return np.random.default_rng(seed).normal(0, spread, rows)


def test_the_planned_size_is_the_textbook_s():
    """Two equal groups, 80 % power, 95 % confidence: 2 * 7.849 * sigma^2 / effect^2 for each group."""
    sigma, effect, each = 3.0, 0.5, 40
    standard_error = math.sqrt(2 * sigma**2 / each)

    total = planned_rows(2 * each, standard_error, effect, Plan(power=0.8, confidence=0.95).z)

    assert total == pytest.approx(2 * 2 * 7.849 * sigma**2 / effect**2, rel=1e-3)


def test_the_planned_size_sees_the_effect_as_often_as_the_power_says():
    """Groups of the planned size whose means differ by the effect: about 80 of 100 tests at 95 % see it."""
    sigma, effect = 1.0, 0.4
    total = planned_rows(100, math.sqrt(2 * sigma**2 / 50), effect, Plan().z)
    chance, each, seen = np.random.default_rng(4), total // 2, 0
    for _ in range(1000):
        one, other = chance.normal(0, sigma, each), chance.normal(effect, sigma, each)
        seen += abs(other.mean() - one.mean()) > 1.96 * math.sqrt((one.var(ddof=1) + other.var(ddof=1)) / each)

    assert 760 <= seen <= 840


def test_too_few_rows_say_nothing():
    """Also where only one of the variants has too few."""
    enough, few = errors(1, 500, 0.1), errors(2, FEWEST_ROWS - 1, 0.1)

    assert of_two_groups(few, enough, PLAN) is None
    assert of_two_groups(enough, few, PLAN) is None
    assert of_pairs(few, few, PLAN) is None


def test_before_the_planned_size_a_small_difference_goes_on():
    """An interval without 0 is not enough at an early look."""
    found = of_two_groups(errors(1, 60, 0.085), errors(2, 60, 0.1), Plan(effect=0.02))

    assert not found.complete
    assert decide(found) == "go_on"


@pytest.mark.parametrize(("spread", "action"), [(0.05, "promote"), (0.2, "drop")])
def test_an_overwhelming_difference_ends_it_early(spread, action):
    """Beyond p = 0.001 nobody need wait for the planned size."""
    found = of_two_groups(errors(1, 200, spread), errors(2, 200, 0.1), Plan(effect=0.02))

    assert not found.complete
    assert decide(found) == action


@pytest.mark.parametrize(("spread", "action"), [(0.08, "promote"), (0.1, "drop"), (0.12, "drop")])
def test_at_the_planned_size_only_a_better_challenger_is_promoted(spread, action):
    """One that is as good, or worse, is dropped."""
    found = of_two_groups(errors(3, 4000, spread), errors(4, 4000, 0.1), PLAN)

    assert found.complete
    assert decide(found) == action
    assert found.difference.low <= found.challenger_rmse - found.champion_rmse <= found.difference.high


def test_pairs_need_fewer_rows():
    """A shadow that is wrong where the champion is wrong is told from it on far fewer rows."""
    champion = errors(5, 300, 0.1)
    challenger = champion * 0.95 + errors(6, 300, 0.002)

    paired, apart = of_pairs(challenger, champion, PLAN), of_two_groups(challenger, champion, PLAN)

    assert paired.planned_rows < apart.planned_rows / 3
    assert decide(paired) == "promote"


def test_the_same_model_is_dropped():
    """Nothing is won; the difference is exactly 0."""
    same = errors(7, 100, 0.1)
    found = of_pairs(same, same, PLAN)

    assert (found.z, found.difference.estimate) == (0, 0)
    assert decide(found) == "drop"


def test_looking_often_does_not_promote_by_chance():
    """Two equal models, looked at 3 times on the way to the planned size: wrongly promoted in few of 30 cases."""
    promoted = 0
    for seed in range(30):
        new, old = errors(2 * seed, 300, 0.1), errors(2 * seed + 1, 300, 0.1)
        for rows in range(100, 301, 100):
            action = decide(of_two_groups(new[:rows], old[:rows], Plan(effect=0.24)))
            if action != "go_on":
                promoted += action == "promote"
                break

    assert promoted <= 4  # 1 expected of the last look, and little of the looks before


@pytest.mark.parametrize(
    ("challenger", "champion", "more"),
    [
        ((50, 500), (1, 4500), True),
        ((0, 500), (0, 4500), False),
        ((5, 500), (40, 4500), False),
        ((20, 20), (0, 4500), False),  # too few requests
        ((500, 500), (500, 500), False),
    ],
)
def test_a_challenger_that_fails_is_found(challenger, champion, more):
    """Failures beyond chance; as many as the champion's are none of its own."""
    assert fails_more(challenger, champion) is more

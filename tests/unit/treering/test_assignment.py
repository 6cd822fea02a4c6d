"""Which variant answers a caller."""

from collections import Counter

import pytest

from treering.steps.assignment import variant_for

CALLERS = [f"caller-{number}" for number in range(20_000)]


def test_the_same_caller_gets_the_same_variant():
    """Whatever order the weights come in, and on whatever scale."""
    for caller in CALLERS[:200]:
        assert variant_for(caller, {"main": 0.9, "challenger": 0.1}) == variant_for(
            caller, {"challenger": 1, "main": 9}
        )


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.9])
def test_callers_are_divided_in_proportion_to_the_weights(share):
    """Within four standard deviations of a binomial."""
    counted = Counter(variant_for(caller, {"main": 1 - share, "challenger": share}) for caller in CALLERS)

    spread = (len(CALLERS) * share * (1 - share)) ** 0.5
    assert abs(counted["challenger"] - len(CALLERS) * share) < 4 * spread


def test_a_challenger_that_grows_keeps_its_callers():
    """Raising the weight moves callers to the challenger only, never away from it."""
    for caller in CALLERS[:2000]:
        if variant_for(caller, {"main": 0.9, "challenger": 0.1}) == "challenger":
            assert variant_for(caller, {"main": 0.7, "challenger": 0.3}) == "challenger"


def test_a_variant_without_weight_answers_nobody():
    """The weight 0 is how a variant is taken out without an update."""
    assert {variant_for(caller, {"main": 1, "challenger": 0}) for caller in CALLERS[:500]} == {"main"}


@pytest.mark.parametrize("weights", [{}, {"main": 0.0}, {"main": 2.0, "challenger": -1.0}])
def test_weights_that_divide_nothing_are_refused(weights):
    """There is nobody to answer."""
    with pytest.raises(ValueError, match="weights"):
        variant_for("caller", weights)

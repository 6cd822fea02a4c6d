"""How the endpoint's answers are compared with the artefact's own."""

import numpy as np

from treering.steps.endpoint_test import relative_difference


def test_predictions_of_zero_agree_with_themselves() -> None:
    """A target may be zero: equal answers differ by nothing, others by more than any rounding."""
    offline = np.array([0.0, 0.0, 200.0])

    found = relative_difference(np.array([0.0, 1.0, 201.0]), offline)

    assert found[0] == 0
    assert found[1] > 1
    assert found[2] == 0.005

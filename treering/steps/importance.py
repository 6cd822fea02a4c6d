"""Permutation importance (Breiman 2001, "Random Forests", section 10): the error's growth by shuffling a feature."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from treering.contracts import Importance
from treering.steps.comparison import rmse

_SEED = 7
LARGEST_SAMPLE = 500  # rows; enough for an order, and the time does not grow with the test split


def permutation_importance(
    predict: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    matrix: NDArray[np.float64],
    learnt: NDArray[np.float64],
    names: tuple[str, ...],
) -> tuple[Importance, ...]:
    """Importance of every feature on (a sample of) the test rows, the most important first, equal ones by name.

    `predict` maps features, shape (rows, features), to the scale that the model learns; `learnt` is the truth on that
    scale.
    """
    chance = np.random.default_rng(_SEED)
    sample = np.sort(chance.permutation(len(matrix))[:LARGEST_SAMPLE])
    rows, truth = matrix[sample], learnt[sample]
    base = rmse(predict(rows) - truth)
    found = []
    for index, name in enumerate(names):
        shuffled = rows.copy()
        shuffled[:, index] = chance.permutation(shuffled[:, index])
        found.append(Importance(name=name, increase=rmse(predict(shuffled) - truth) - base))
    return tuple(sorted(found, key=lambda item: (-item.increase, item.name)))

"""Grows the random forest. The only module that needs scikit-learn; what it gives does not."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from treering.steps.forest import Forest
from treering.use_case import Model

if TYPE_CHECKING:
    from sklearn.ensemble import RandomForestRegressor


def grow(matrix: NDArray[np.float64], target: NDArray[np.float64], settings: Model) -> "RandomForestRegressor":
    """Fit scikit-learn's forest to features of shape (rows, features) and a target on the learnt scale, shape (rows,).

    Uses all processors; each tree's seed is drawn before any tree grows, so their number does not change the forest.
    """
    from sklearn.ensemble import RandomForestRegressor  # takes a second to import, so only where a forest is grown

    model = RandomForestRegressor(
        n_estimators=settings.n_estimators,
        max_features=settings.max_features,
        min_samples_leaf=settings.min_samples_leaf,
        random_state=settings.random_state,
        n_jobs=-1,
    )
    return model.fit(matrix, target)


def train(matrix: NDArray[np.float64], target: NDArray[np.float64], settings: Model) -> Forest:
    """The grown forest (see `grow`) as flat arrays: same data, same settings, same bytes."""
    return Forest.from_sklearn(grow(matrix, target, settings))

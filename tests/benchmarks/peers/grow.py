"""Grows one forest and says how long it took and how far off it is: `grow.py <name> <folder> <trees> <seed>`.

The folder holds train.npy, target.npy, held_out.npy and truth.npy. Runs in the peers' own environments, so it imports
nothing of the project, but for the name `treering`. All use all processors. Prints one JSON line.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np


def regressor(name: str, trees: int, seed: int, rows: int) -> Any:
    """The regressor of that name, not fitted, for so many rows."""
    options: dict[str, Any] = {"n_estimators": trees, "random_state": seed, "n_jobs": -1}
    if name.startswith("lightgbm"):
        import lightgbm

        # bagging as in a random forest: a share of the rows for each tree, of the features for each node; trees as
        # large as can be waited for, since one takes time by the square of its leaves
        options |= {"boosting_type": "rf", "subsample": 0.632, "subsample_freq": 1, "colsample_bynode": 0.33}
        options |= {"num_leaves": min(rows, 4095), "min_child_samples": 1, "min_split_gain": 0.0}
        options |= {"histogram_pool_size": 1024, "verbose": -1}  # megabytes; else it would keep one for each leaf
        return lightgbm.LGBMRegressor(**options)
    if name.startswith("intelex"):
        from sklearnex.ensemble import RandomForestRegressor
    else:
        from sklearn.ensemble import RandomForestRegressor
    if name == "extra trees":
        from sklearn.ensemble import ExtraTreesRegressor

        return ExtraTreesRegressor(**options)
    if name == "histogram boosting":
        from sklearn.ensemble import HistGradientBoostingRegressor

        return HistGradientBoostingRegressor(random_state=seed)
    return RandomForestRegressor(**options, max_features=0.33 if name.endswith("0.33") else 1.0)


def main() -> None:
    """Fit, time, compare."""
    name, folder, trees, seed = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    matrix, target = np.load(folder / "train.npy"), np.load(folder / "target.npy")
    held_out, truth = np.load(folder / "held_out.npy"), np.load(folder / "truth.npy")
    if name == "treering":
        import sklearn.ensemble  # noqa: F401  # counted for nobody

        from treering import use_case
        from treering.steps.training import train

        settings = use_case.load("house_prices").model
        settings = settings.model_copy(update={"n_estimators": trees, "random_state": seed})

        def fit() -> Any:
            return train(matrix, target, settings)  # with the flat arrays that are stored
    else:
        model = regressor(name, trees, seed, len(matrix))

        def fit() -> Any:
            return model.fit(matrix, target)

    begun, busy = time.perf_counter(), time.process_time()
    grown = fit()
    seconds, processor = time.perf_counter() - begun, time.process_time() - busy
    error = float(np.sqrt(np.mean((grown.predict(held_out) - truth) ** 2)))
    print(json.dumps({"seconds": seconds, "processor_seconds": processor, "rmse": error}))


if __name__ == "__main__":
    main()

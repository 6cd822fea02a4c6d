"""The same preprocessing and forest as one usually has them: pandas before scikit-learn, pickled.

Runs in the peers' own environments, so it imports nothing of the project.
"""

import io
import json
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd


class Pipeline:
    """Raw rows as a data frame to predictions."""

    def __init__(self, preprocessing: dict[str, Any], forest: Any) -> None:
        self.preprocessing = preprocessing
        self.forest = forest

    def predict(self, frame: pd.DataFrame) -> np.ndarray:
        """One prediction per row."""
        missing = self.preprocessing["missing_tokens"]
        frame = frame.mask(frame.isin(missing))
        features = {}
        for feature in self.preprocessing["features"]:
            name = feature["name"]
            if feature["kind"] == "number":
                features[name] = pd.to_numeric(frame[name]).fillna(feature["fill"])
            elif feature["kind"] == "sum":
                features[name] = frame[list(feature["columns"])].apply(pd.to_numeric).sum(axis=1)
            else:
                levels = frame[name].fillna(feature["missing_level"]).astype(str)
                features[name] = levels.map(feature["codes"]).fillna(feature["unseen"])
        predicted = self.forest.predict(pd.DataFrame(features).to_numpy(float))
        return np.exp(predicted) if self.preprocessing["log_scale"] else predicted


def read_csv(text: str) -> pd.DataFrame:
    """Rows of a request."""
    return pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False)


def load() -> Pipeline:
    """The pipeline of the folder that MODEL names."""
    folder = Path(os.environ["MODEL"])
    forest = pickle.loads((folder / "forest.pickle").read_bytes())  # noqa: S301
    forest.n_jobs = 1  # threads only cost where one row is asked for
    return Pipeline(json.loads((folder / "model" / "preprocessing.json").read_bytes()), forest)

"""Prepares splits as the preprocess job does, with a named tool: fill, encode, add up, select, write.

    python prepare.py {pandas,polars} FOLDER-OF-SPLITS FOLDER SETTINGS-AS-JSON

pandas with scikit-learn: means for missing numbers, target encoding with the same smoothing, the features most related
to the target by f_regression (the job's own measure also sees relations that are not linear). polars: the same, but it
has no such measure, so it writes all features.
"""

import json
import sys
from pathlib import Path
from typing import Any

from usage import report


def with_pandas(source: Path, folder: Path, settings: dict[str, Any]) -> None:
    """Everything in memory."""
    import numpy as np
    import pandas as pd
    from sklearn.feature_selection import SelectKBest, f_regression
    from sklearn.impute import SimpleImputer
    from sklearn.preprocessing import TargetEncoder

    numbers, categories, target = settings["numbers"], settings["categories"], settings["target"]
    imputer, encoder = SimpleImputer(), TargetEncoder(target_type="continuous", smooth=settings["smoothing"])
    best = SelectKBest(f_regression, k=settings["keep"])
    for split in ("train", "validation", "test"):
        table = pd.read_csv(
            source / f"{split}.csv", keep_default_na=False, na_values={name: ["", "NA"] for name in numbers},
            dtype=dict.fromkeys(categories, "str"),
        )  # fmt: skip
        learnt = np.log(table[target])
        for name, parts in settings["sums"].items():
            table[name] = table[parts].sum(axis=1)
        if split == "train":
            imputer.fit(table[numbers])
            encoder.fit(table[categories], learnt)
        sums = table[list(settings["sums"])].to_numpy()
        matrix = np.hstack([imputer.transform(table[numbers]), encoder.transform(table[categories]), sums])
        if split == "train":
            best.fit(matrix, learnt)
        names = np.array([*numbers, *categories, *settings["sums"]])[best.get_support()]
        prepared = pd.DataFrame(best.transform(matrix), columns=names)
        prepared.insert(0, settings["key"], table[settings["key"]])
        prepared[target] = table[target].astype(float)
        prepared.to_csv(folder / f"{split}.csv", index=False)


def with_polars(source: Path, folder: Path, settings: dict[str, Any]) -> None:
    """Everything in memory, on all processors."""
    import polars as pl

    numbers, categories, target = settings["numbers"], settings["categories"], settings["target"]
    types = {**dict.fromkeys(numbers, pl.Float64), **dict.fromkeys(categories, pl.String), target: pl.Float64}
    missing = dict.fromkeys(numbers, "NA")
    codes: dict[str, Any] = {}
    for split in ("train", "validation", "test"):
        table = pl.read_csv(source / f"{split}.csv", schema_overrides=types, null_values=missing)
        if split == "train":
            learnt, smoothing = table[target].log(), settings["smoothing"]
            overall = float(learnt.mean())
            means = {name: table[name].mean() for name in numbers}
            for name in categories:
                grouped = table.select(pl.col(name), learnt.alias("y")).group_by(name)
                found = grouped.agg(((pl.col("y").sum() + smoothing * overall) / (pl.len() + smoothing)).alias("code"))
                codes[name] = dict(found.iter_rows())
        table.select(
            pl.col(settings["key"]),
            *(pl.col(name).fill_null(means[name]) for name in numbers),
            *(
                pl.col(name).replace_strict(codes[name], default=overall, return_dtype=pl.Float64)
                for name in categories
            ),
            *(pl.sum_horizontal(parts).alias(name) for name, parts in settings["sums"].items()),
            pl.col(target),
        ).write_csv(folder / f"{split}.csv")


def main() -> None:
    """Prepare, and report."""
    tool, source, folder, settings = sys.argv[1:]
    {"pandas": with_pandas, "polars": with_polars}[tool](Path(source), Path(folder), json.loads(settings))
    report()


if __name__ == "__main__":
    main()

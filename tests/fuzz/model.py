"""A small model of made-up rows, for a server that is to be sent nonsense."""

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from treering import use_case
from treering.steps import artefact
from treering.steps.artefact import Artefact
from treering.steps.fitting import fit
from treering.steps.training import train

CASE = use_case.load("house_prices")
ROWS = 200


@dataclass(frozen=True)
class Grown:
    """The model, and the raw rows it was grown on as text, some values missing."""

    artefact: Artefact
    columns: dict[str, list[str]]

    @classmethod
    def in_folder(cls, folder: Path) -> Self:
        """Grow and store it."""
        chance = random.Random(7)  # noqa: S311  # reproducible, not secret
        columns = {}
        for name in CASE.columns.features:
            values = "ABCD" if CASE.columns.type_of(name) == "category" else [str(number) for number in range(9)]
            columns[name] = [chance.choice([*values, "NA"]) for _ in range(ROWS)]
        first, second = (columns[name] for name in CASE.columns.integer[:2])
        prices = [100_000 + 9_000 * (a + b).count("8") + 5_000 * len(a) for a, b in zip(first, second, strict=True)]
        columns[CASE.target.column] = [str(price + chance.randint(0, 20_000)) for price in prices]
        preprocessing, _, _ = fit(columns, CASE, run_id="20240101-060000-0a1b2c3d", dataset_version="0123456789abcdef")
        target = np.log(np.array(columns[CASE.target.column], float))
        settings = CASE.model.model_copy(update={"n_estimators": 20})
        forest = train(preprocessing.transform(columns), target, settings)
        artefact.save(folder, preprocessing, forest, run_id=preprocessing.run_id, hyperparameters={})
        return cls(Artefact.load(folder), columns)

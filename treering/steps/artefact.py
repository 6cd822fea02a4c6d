"""The model artefact: preprocessing and forest together, so that it answers raw rows. Three data files, no code:

model.json           what this is: run, dataset version, settings, library versions, hashes of the other two
preprocessing.json   treering.steps.preprocessing.Preprocessing
forest.npz           treering.steps.forest.Forest
"""

import hashlib
import math
import platform
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from io import BufferedReader
from pathlib import Path
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError
from treering_native import Model

from treering.contracts import Contract, RunId, Version
from treering.errors import InvalidDataError
from treering.steps.compiled import compile_model
from treering.steps.forest import LARGEST_FILE, Forest
from treering.steps.preprocessing import Cell, Preprocessing

CARD, PREPROCESSING, FOREST = "model.json", "preprocessing.json", "forest.npz"
_HIGHEST_LOGARITHM = 709.0  # what it is the logarithm of still is a number
_LARGEST_TEXT = 64 * 1024**2  # bytes of each JSON file


class ModelCard(Contract):
    """`model.json`: what the artefact is and what grew it."""

    format: Literal["treering-model-1"] = "treering-model-1"
    run_id: RunId
    dataset_version: Version
    use_case: str
    features: tuple[str, ...]
    trees: int
    regressor: str = "random_forest"
    hyperparameters: dict[str, float]
    versions: dict[str, str]  # of Python and the libraries that grew the forest
    sha256: dict[str, str]  # of the other files


@dataclass(frozen=True)
class Artefact:
    """A model that answers raw rows."""

    card: ModelCard
    preprocessing: Preprocessing
    forest: Forest

    def predict(self, columns: Mapping[str, Sequence[Cell]]) -> NDArray[np.float64]:
        """Predictions in the target's unit, one per row of the raw columns (see `Preprocessing.transform`)."""
        predicted = self.forest.predict(self.preprocessing.transform(columns))
        if not self.preprocessing.log_scale:
            return predicted
        return np.array([math.exp(value) for value in predicted.tolist()])  # numpy's own may differ in the last bit

    @cached_property
    def compiled(self) -> Model:
        """The same for C, which reads plain request bodies itself."""
        return compile_model(self.preprocessing, self.forest)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read an artefact that `save` wrote. Raises InvalidDataError that names the file that is not right."""
        card = _read_card(folder)
        for name in (PREPROCESSING, FOREST):
            with _open(folder / name, LARGEST_FILE if name == FOREST else _LARGEST_TEXT) as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != card.sha256.get(name):
                    raise InvalidDataError(f"{name} is not the file that {CARD} describes (SHA-256). Train again.")
        preprocessing = Preprocessing.from_json((folder / PREPROCESSING).read_bytes(), PREPROCESSING)
        forest = Forest.load(folder / FOREST)
        if forest.features != len(preprocessing.features):
            raise InvalidDataError(
                f"{FOREST} takes {forest.features} features, {PREPROCESSING} gives {len(preprocessing.features)}. "
                "Train again."
            )
        if preprocessing.log_scale and forest.highest > _HIGHEST_LOGARITHM:
            raise InvalidDataError(f"{FOREST} may predict a logarithm of {forest.highest:g}. Train again.")
        return cls(card, preprocessing, forest)

    @classmethod
    def load_archive(cls, path: Path) -> Self:
        """Read the `model.tar.gz` that SageMaker makes of a training job's /opt/ml/model.

        Only the three files are unpacked, each to its size limit at most, whatever else the archive holds.
        """
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            try:
                with tarfile.open(path, "r:gz") as archive:
                    for name in (CARD, PREPROCESSING, FOREST):
                        _unpack(archive, name, folder)
            except (OSError, tarfile.TarError, EOFError, zlib.error) as error:
                raise InvalidDataError(f"{path.name} cannot be read: {error}. Train again.") from error
            return cls.load(folder)


def save(
    folder: Path,
    preprocessing: Preprocessing,
    forest: Forest,
    *,
    run_id: str,
    hyperparameters: dict[str, float],
    regressor: str = "random_forest",
) -> ModelCard:
    """Write the artefact of a run to `folder`. The same model of the same run gives the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / PREPROCESSING).write_text(preprocessing.to_json(), "utf-8")
    forest.save(folder / FOREST)
    card = ModelCard(
        run_id=run_id,
        dataset_version=preprocessing.dataset_version,
        use_case=preprocessing.use_case,
        features=preprocessing.feature_names,
        trees=len(forest.roots),
        regressor=regressor,
        hyperparameters=hyperparameters,
        versions=_versions(),
        sha256={name: _sha256(folder / name) for name in (PREPROCESSING, FOREST)},
    )
    (folder / CARD).write_text(card.to_json(), "utf-8")
    return card


def _versions() -> dict[str, str]:
    from importlib.metadata import version  # slow to import, and only needed where a model is saved

    return {"python": platform.python_version(), **{name: version(name) for name in ("numpy", "scikit-learn")}}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_card(folder: Path) -> ModelCard:
    with _open(folder / CARD, _LARGEST_TEXT) as file:
        text = file.read()
    try:
        return ModelCard.model_validate_json(text)
    except ValidationError as error:
        raise InvalidDataError(f"{CARD} is no model of this version of Treering: {error}. Train again.") from error


def _open(path: Path, largest: int) -> BufferedReader:
    """Open a file of the artefact. Raises InvalidDataError if it is not there or larger than it can be."""
    if not path.is_file():
        raise InvalidDataError(f"The artefact has no {path.name}. Train again.")
    if path.stat().st_size > largest:
        raise InvalidDataError(f"{path.name} of the artefact is larger than the {largest:,} bytes allowed.")
    return path.open("rb")


def _unpack(archive: tarfile.TarFile, name: str, folder: Path) -> None:
    member = next((member for member in archive if member.name.removeprefix("./") == name), None)
    if member is None or not member.isfile():
        raise InvalidDataError(f"The archive has no file {name}. Train again.")
    if member.size > LARGEST_FILE:
        raise InvalidDataError(f"{name} of the archive is larger than the {LARGEST_FILE:,} bytes allowed.")
    content = archive.extractfile(member)
    if content is None:
        raise InvalidDataError(f"{name} of the archive cannot be read. Train again.")
    with content, (folder / name).open("wb") as file:
        shutil.copyfileobj(content, file)
